"""Tables for people, bare numbers, and how a file's suffix chooses its format; `test_conformance.py` reads all back.

Expected texts are the shortest digits that read back to the same float64 (Python's `repr`).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli import UsageError
from msecli.outputs import RENDERERS, TEXT_FORMATS, Style, renderer_for
from msecli.outputs.base import Renderer
from msecli.outputs.values import StreamSink
from msecli.results.base import Report
from msecli.results.values import Layout

Run = Callable[..., Any]

# The residuals are 0.3 and 0: 0.3 * 0.3 / 2, and 0.3 / 2.
RESULT = msecli.score([0.3, 1.0], [0.0, 1.0], metrics="mae")
LOSS = 0.3 * 0.3 / 2


def _result(name: str, report: Report, style: Style | None = None) -> str:
    stream = io.BytesIO()
    RENDERERS[name].result(stream, report, style or Style())
    return stream.getvalue().decode()


@pytest.mark.parametrize("name", [name for name in TEXT_FORMATS if not RENDERERS[name].rounded])
def test_text_formats_print_every_digit(name: str) -> None:
    assert repr(LOSS) in _result(name, RESULT)
    assert "0.15" in _result(name, RESULT)


def test_tables_round_to_the_precision() -> None:
    report = msecli.score([1 / 3], [0.0], metrics="mae")
    lines = [line.split() for line in _result("table", report, Style(precision=3)).splitlines()]
    assert ["loss", "0.111"] in lines
    assert ["mae", "0.333"] in lines
    assert "| 0.111 | ok | 0.333 |" in _result("markdown", report, Style(precision=3))
    assert f"| {1 / 3 * (1 / 3)!r} |" in _result("markdown", report, Style(precision=17))


def test_markdown_aligns_texts_to_the_left_and_numbers_to_the_right() -> None:
    report = msecli.score(pd.DataFrame({"pred": [1.0, 2.0], "target": [0.0, 0.0], "g": ["a", None]}), by="g")
    head, alignment, *_ = _result("markdown", report).split("\n")
    assert dict(zip(head.split(" | "), alignment.split(" | "), strict=True)) == {
        "| scope": "| ---", "g": "---", "loss": "---:", "status": "---", "reduction": "---", "denominator": "---:",
        "rows_used": "---:", "elements_used": "---:", "checked_by |": "--- |",
    }  # fmt: skip


@pytest.mark.parametrize("color", [False, True])
def test_colours_are_for_terminals_that_have_them(color: bool) -> None:
    assert ("\x1b[" in _result("table", RESULT, Style(color=color, terminal=color))) == color


def test_plain_is_the_bare_number_when_there_are_no_metrics() -> None:
    assert _result("plain", msecli.score([0.3, 1.0], [0.0, 1.0])) == f"{LOSS!r}\n"


@pytest.mark.parametrize(("prediction", "text"), [(math.nan, "nan"), (math.inf, "inf")])
def test_plain_prints_what_json_cannot_say(prediction: float, text: str) -> None:
    assert _result("plain", msecli.score([prediction], [0.0], nan_pred="propagate")) == f"{text}\n"


def test_the_first_values_of_many_are_shown_with_how_to_get_the_others() -> None:
    stream = io.BytesIO()
    sink = StreamSink(stream, RENDERERS["table"], Style(width=100))
    sink.write(np.arange(50.0), Layout((), ("loss",)))
    text = stream.getvalue().decode()
    assert "30 more rows; use --format csv or -o FILE" in text
    assert "19" in text
    assert "21" not in text


def test_a_sink_without_values_writes_the_result_and_one_with_values_ends_with_it() -> None:
    stream = io.BytesIO()
    StreamSink(stream, RENDERERS["plain"], Style()).finish(RESULT)
    assert stream.getvalue().decode() == _result("plain", RESULT)
    stream = io.BytesIO()
    sink = StreamSink(stream, RENDERERS["markdown"], Style())
    sink.begin(Layout((), ("loss",)))
    sink.append(np.array([0.25]), {})
    sink.finish(RESULT)
    assert stream.getvalue() == b"| loss |\n| ---: |\n| 0.25 |\n\n| metric | value |\n| --- | ---: |\n| mae | 0.15 |\n"


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
    assert Layout.of(item, columns, "loss").names == expected


@pytest.mark.parametrize(
    "renderer", [renderer for renderer in RENDERERS.values() if renderer.suffix], ids=lambda r: r.name
)
def test_a_suffix_chooses_the_format_of_the_output_file(
    run: Run, sample_data: Path, tmp_path: Path, renderer: Renderer
) -> None:
    output = tmp_path / f"out{renderer.suffix}"
    files = sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv"
    ran = run("compute", *files, "-p", "weight,waist,pulse", "-o", output)
    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert renderer_for(str(output), "-o") is renderer
    assert output.stat().st_size > 0


def test_an_unknown_suffix_names_the_known_ones() -> None:
    with pytest.raises(UsageError) as raised:
        renderer_for("loss.docx", "-o")
    assert str(raised.value) == (
        "-o loss.docx: the suffix '.docx' names no output format; "
        "use one of .txt, .json, .jsonl, .csv, .tsv, .md, .npy, .parquet"
    )
    assert renderer_for("LOSS.JSON", "-o") is RENDERERS["json"]
