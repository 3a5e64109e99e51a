"""Every output format, on the same result and the same values.

Expected texts are the shortest digits that read back to the same float64 (Python's `repr`).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from msecli.outputs import RENDERERS, TEXT_FORMATS, Style, Values, renderer_for
from msecli.outputs.base import item_names

Run = Callable[..., Any]

LOSS = 0.1 + 0.2
DOCUMENT: dict[str, Any] = {
    "loss": LOSS,
    "status": "ok",
    "reduction": "mean",
    "metrics": {"rmse": 1 / 3},
    "denominator": 3,
    "denominator_name": "elements",
    "rows": {
        "prediction": 3, "target": 3, "matched": 3, "unmatched_prediction": 0, "unmatched_target": 0, "dropped": 0,
        "used": 3,
    },
    "elements": {"total": 3, "used": 3, "ignored": 0, "nan_target": 0, "nan_prediction": 0, "infinite": 0},
    "signature": "mse|reduction:mean",
}  # fmt: skip


def _values(rows: list[Any], names: tuple[str, ...]) -> Values:
    array = np.array(rows, dtype=np.float64)
    values = Values(array.shape[1:], names)
    values.append(array[:1])
    values.append(array[1:])
    return values


def _result(name: str, document: dict[str, Any]) -> bytes:
    stream = io.BytesIO()
    RENDERERS[name].result(stream, document, Style())
    return stream.getvalue()


def _written(name: str, values: Values) -> bytes:
    stream = io.BytesIO()
    RENDERERS[name].values(stream, None, values, Style())
    return stream.getvalue()


@pytest.mark.parametrize("name", [name for name in TEXT_FORMATS if name != "table"])
def test_text_formats_print_every_digit(name: str) -> None:
    assert repr(LOSS) in _result(name, DOCUMENT).decode()
    assert repr(1 / 3) in _result(name, DOCUMENT).decode()


def test_the_table_rounds_to_the_precision() -> None:
    stream = io.BytesIO()
    RENDERERS["table"].result(stream, DOCUMENT, Style(precision=3))
    assert "0.3 " in stream.getvalue().decode()
    assert "0.333" in stream.getvalue().decode()


@pytest.mark.parametrize("width", [10, 20, 40])
def test_a_narrow_table_loses_no_digit(width: int) -> None:
    document = DOCUMENT | {"loss": 1.2345678901234567e-300}
    stream = io.BytesIO()
    RENDERERS["table"].result(stream, document, Style(precision=17, width=width))
    digits = "".join(character for character in stream.getvalue().decode() if not character.isspace())
    assert "…" not in digits
    assert "e-300" in digits


def test_plain_is_the_bare_number_when_there_are_no_metrics() -> None:
    assert _result("plain", DOCUMENT | {"metrics": {}}) == f"{LOSS!r}\n".encode()


@pytest.mark.parametrize(("status", "text"), [("nan", "nan"), ("inf", "inf")])
def test_plain_prints_what_json_cannot_say(status: str, text: str) -> None:
    document = DOCUMENT | {"metrics": {}, "loss": None, "status": status, "not_finite": {"loss": text}}
    assert _result("plain", document) == f"{text}\n".encode()


@pytest.mark.parametrize(("name", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_delimited_results_read_back(name: str, delimiter: str) -> None:
    rows = list(csv.DictReader(io.StringIO(_result(name, DOCUMENT).decode()), delimiter=delimiter))
    assert [float(row["loss"]) for row in rows] == [LOSS]
    assert rows[0]["elements_used"] == "3"


def test_binary_results_read_back() -> None:
    assert float(np.load(io.BytesIO(_result("npy", DOCUMENT)))) == LOSS
    assert np.isinf(np.load(io.BytesIO(_result("npy", DOCUMENT | {"loss": None, "status": "inf"}))))
    assert pq.read_table(io.BytesIO(_result("parquet", DOCUMENT))).to_pylist()[0]["loss"] == LOSS


ROWS = [[0.1, np.nan], [1e300, -2.5]]


def test_values_keep_their_bits_in_every_file_format() -> None:
    assert np.load(io.BytesIO(_written("npy", _values(ROWS, ("a", "b"))))).tobytes() == np.array(ROWS).tobytes()
    table = pq.read_table(io.BytesIO(_written("parquet", _values(ROWS, ("a", "b")))))
    assert table.to_pydict() == {"a": [0.1, 1e300], "b": [None, -2.5]}
    assert _written("csv", _values(ROWS, ("a", "b"))) == b"a,b\n0.1,\n1e+300,-2.5\n"
    assert _written("tsv", _values(ROWS, ("a", "b"))) == b"a\tb\n0.1\t\n1e+300\t-2.5\n"
    assert _written("plain", _values(ROWS, ("a", "b"))) == b"0.1\nnan\n1e+300\n-2.5\n"
    assert json.loads(_written("json", _values(ROWS, ("a", "b")))) == {
        "shape": [2, 2],
        "values": [[0.1, None], [1e300, -2.5]],
    }
    assert b"| 1e+300 | -2.5 |" in _written("markdown", _values(ROWS, ("a", "b")))


def test_values_are_divided_and_negated_without_negative_zeros() -> None:
    values = _values([3.0, 0.0, -1.5], ("grad",))
    values.finish = lambda block, _: block / 3.0
    assert values.array().tolist() == [1.0, 0.0, -0.5]
    negated = values.negated().array()
    assert negated.tolist() == [-1.0, 0.0, 0.5]
    assert not np.signbit(negated[1])


@pytest.mark.parametrize(
    ("item", "columns", "expected"),
    [
        ((), ("a",), ("loss",)),
        ((1,), (), ("loss",)),
        ((2,), ("a", "b"), ("a", "b")),
        ((2,), (), ("0", "1")),
        ((2, 2), (), ("0_0", "0_1", "1_0", "1_1")),
    ],
)
def test_elements_of_a_row_have_names(
    item: tuple[int, ...], columns: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert item_names(item, columns, "loss") == expected


@pytest.mark.parametrize(
    "renderer", [renderer for renderer in RENDERERS.values() if renderer.suffix], ids=lambda r: r.name
)
def test_a_suffix_chooses_the_format_of_the_output_file(
    run: Run, sample_data: Path, tmp_path: Path, renderer: Any
) -> None:
    output = tmp_path / f"out{renderer.suffix}"
    ran = run("compute", sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv", "-o", output)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert renderer_for(str(output), "-o") is renderer
    assert output.stat().st_size > 0
