"""`msecli norm` on real files.

Expected values are the known answers of NumPy 2, `numpy.linalg.norm`, `fractions.Fraction` sums rounded once, and
hand algebra.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from msecli import vector_norm

Run = Callable[..., Any]

NAN = math.nan
FORMATS = ["npy", "csv", "tsv", "parquet"]


def _write(path: Path, values: Any) -> Path:
    array: NDArray[Any] = np.asarray(values)
    if path.suffix == ".npy":
        np.save(path, array)
        return path
    table = pd.DataFrame(array.reshape(len(array), -1))
    table.columns = list("abcdef"[: table.shape[1]])
    if path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False, sep="\t" if path.suffix == ".tsv" else ",")
    return path


def _text(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(
    ("order", "expected"), [("1", "7.0"), ("2", "5.0"), ("inf", "4.0"), ("3", "4.497941445275415")]
)
def test_three_and_four_have_their_known_norms(
    run: Run, tmp_path: Path, suffix: str, order: str, expected: str
) -> None:
    ran = run("norm", _write(tmp_path / f"v.{suffix}", [3.0, -4.0]), "--ord", order)
    assert (ran.code, ran.out, ran.err) == (0, f"{expected}\n", "")


def test_order_two_is_the_default(run: Run, tmp_path: Path) -> None:
    assert run("norm", _write(tmp_path / "v.npy", [3.0, 4.0])).out == "5.0\n"


@pytest.mark.parametrize("suffix", FORMATS)
def test_large_and_small_numbers_neither_overflow_nor_underflow(run: Run, tmp_path: Path, suffix: str) -> None:
    large = run("norm", _write(tmp_path / f"l.{suffix}", [1e200, 1e200]), "--ord", "2,3")
    small = run("norm", _write(tmp_path / f"s.{suffix}", [1e-200, 1e-200]), "--ord", "2,3")
    values = [float(line.split("\t")[1]) for line in (large.out + small.out).splitlines()]
    assert values[0] == 1.4142135623730951e200
    assert values[2] == 1.4142135623730951e-200
    assert values[1::2] == pytest.approx([2 ** (1 / 3) * 1e200, 2 ** (1 / 3) * 1e-200], rel=1e-14)


@pytest.mark.parametrize("options", [["--ord", "1,2,inf,3"], ["--ord", "1", "--ord", "2, inf", "--ord", "3"]])
def test_several_orders_come_at_once_and_in_their_order(run: Run, tmp_path: Path, options: list[str]) -> None:
    ran = run("norm", _write(tmp_path / "v.npy", [3.0, 4.0]), *options)
    assert ran.out == "1\t7.0\n2\t5.0\ninf\t4.0\n3\t4.497941445275415\n"


def test_the_document_names_orders_elements_and_columns(run: Run, tmp_path: Path) -> None:
    path = _write(tmp_path / "v.csv", [[3.0, 0.0], [0.0, 4.0]])
    document = json.loads(run("norm", path, "--ord", "2,2.5", "--format", "json").out)
    assert document.pop("version")
    assert document.pop("kernel") in {"native", "python"}
    assert document == {
        "schema": "msecli/1",
        "norms": {"2": 5.0, "2.5": vector_norm([3.0, 4.0], 2.5)},
        "status": "ok",
        "elements": 4,
        "inputs": [
            {"role": "vector", "path": str(path), "format": "csv", "columns": ["a", "b"], "files": 1, "skipped": 0}
        ],
        "warnings": [],
    }


def test_tables_have_a_line_for_every_order(run: Run, tmp_path: Path) -> None:
    path = _write(tmp_path / "v.npy", [3.0, 4.0])
    assert run("norm", path, "--ord", "1,3", "--format", "csv").out == "order,norm\n1,7.0\n3,4.497941445275415\n"
    table = run("norm", path, "--ord", "1,3", "--format", "table").out
    assert [line.split() for line in table.splitlines()[-3:]] == [["order", "norm"], ["1", "7"], ["3", "4.49794"]]


def test_the_result_can_go_to_a_file(run: Run, tmp_path: Path) -> None:
    vector, out = _write(tmp_path / "v.npy", [3.0, 4.0]), tmp_path / "n.json"
    assert run("norm", vector, "-o", out).out == ""
    assert json.loads(out.read_text())["norms"] == {"2": 5.0}
    assert run("norm", vector, "-o", out).code == 2
    assert run("norm", vector, "-o", vector, "--overwrite").code == 2


# columns


TABLE = "id,x,name,y\n100,3,north,0\n200,0,south,4\n"


def test_all_numeric_columns_are_one_vector_without_the_row_index(run: Run, tmp_path: Path) -> None:
    assert run("norm", _text(tmp_path / "v.csv", TABLE)).out == "5.0\n"


def test_columns_may_be_named(run: Run, tmp_path: Path) -> None:
    path = _text(tmp_path / "v.csv", TABLE)
    assert run("norm", path, "-c", "x").out == "3.0\n"
    assert run("norm", path, "-c", "x", "--column", "y", "--ord", "1").out == "7.0\n"
    assert run("norm", path, "-c", "id", "--ord", "inf").out == "200.0\n"


def test_an_unknown_column_or_one_of_words_is_bad_data(run: Run, tmp_path: Path) -> None:
    path = _text(tmp_path / "v.csv", TABLE)
    unknown, words = run("norm", path, "-c", "z"), run("norm", path, "-c", "name")
    assert (unknown.code, words.code) == (3, 3)
    assert "no column 'z'" in unknown.err
    assert "north" in words.err


def test_arrays_of_any_shape_are_one_vector(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(4, 3, 5))
    assert float(run("norm", _write(tmp_path / "v.npy", values)).out) == vector_norm(values)
    assert run("norm", _write(tmp_path / "i.npy", np.array([255, 255], dtype=np.uint8)), "--ord", 1).out == "510.0\n"


def test_a_column_of_an_array_is_named_by_its_number(run: Run, tmp_path: Path) -> None:
    assert run("norm", _write(tmp_path / "v.npy", [[3.0, 1.0], [4.0, 1.0]]), "-c", "0").out == "5.0\n"


def test_numbers_come_from_standard_input(run: Run) -> None:
    assert run("norm", "-", stdin=b"x\n3\n4\n").out == "5.0\n"


def test_integers_that_float64_cannot_hold_are_warned_of(run: Run, tmp_path: Path) -> None:
    """As `compute` does: rounding is never silent."""
    ran = run("norm", _write(tmp_path / "v.npy", np.array([2**53 + 1, 0])), "--ord", "inf")
    assert (ran.code, ran.out) == (0, "9007199254740992.0\n")
    assert ran.err.startswith("Warning: ")


# missing and infinite


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("order", ["1", "2", "inf", "3"])
def test_a_missing_number_is_an_error_that_says_where(run: Run, tmp_path: Path, suffix: str, order: str) -> None:
    ran = run("norm", _write(tmp_path / f"v.{suffix}", [[1.0, 2.0], [3.0, NAN]]), "--ord", order)
    assert (ran.code, ran.out) == (3, "")
    assert "missing in row 2" in ran.err


def test_the_row_of_a_missing_number_is_counted_over_the_whole_file(run: Run, tmp_path: Path) -> None:
    values = np.ones(300_000)
    values[250_000] = NAN
    assert "missing in row 250001" in run("norm", _write(tmp_path / "v.npy", values)).err


def test_a_missing_number_in_either_file_has_no_difference(run: Run, tmp_path: Path) -> None:
    whole, holey = _write(tmp_path / "w.npy", [1.0, 2.0]), _write(tmp_path / "h.npy", [1.0, NAN])
    for files in ((whole, holey), (holey, whole)):
        ran = run("norm", *files)
        assert (ran.code, ran.out) == (3, "")
        assert "missing in row 2" in ran.err


@pytest.mark.parametrize("order", ["1", "2", "inf", "3"])
def test_infinite_numbers_have_an_infinite_norm(run: Run, tmp_path: Path, order: str) -> None:
    path = _write(tmp_path / "v.npy", [1.0, -math.inf])
    assert run("norm", path, "--ord", order).out == "inf\n"
    document = json.loads(run("norm", path, "--ord", order, "--format", "json").out)
    assert (document["norms"], document["status"]) == ({order: None}, "inf")


def test_a_file_without_rows_is_bad_data(run: Run, tmp_path: Path) -> None:
    assert run("norm", _text(tmp_path / "v.csv", "x\n")).code == 3
    assert run("norm", _write(tmp_path / "v.npy", np.empty(0))).code == 3


def test_a_file_that_is_not_there_cannot_be_read(run: Run, tmp_path: Path) -> None:
    ran = run("norm", tmp_path / "a.npy", tmp_path / "b.npy")
    assert ran.code == 4
    assert "a.npy" in ran.err
    assert "b.npy" in ran.err


@pytest.mark.parametrize("order", ["0", "0.5", "-1", "-inf", "nan", "two", "1,x", "1,0.99"])
def test_an_invalid_order_is_a_usage_error(run: Run, tmp_path: Path, order: str) -> None:
    ran = run("norm", _write(tmp_path / "v.npy", [3.0, 4.0]), "--ord", order)
    assert (ran.code, ran.out) == (2, "")
    assert "order" in ran.err


def test_an_invalid_order_is_found_before_the_file_is_looked_at(run: Run, tmp_path: Path) -> None:
    assert run("norm", tmp_path / "missing.npy", "--ord", "0.5").code == 2


# differences


def test_the_loss_is_the_squared_norm_of_the_difference(run: Run, sample_data: Path) -> None:
    files = sample_data / "diabetes_ridge.csv", sample_data / "diabetes_target.csv"
    distance, loss = float(run("norm", *files).out), float(run("compute", *files).out)
    assert distance == pytest.approx(math.sqrt(442 * loss), rel=1e-15)
    assert distance**2 / 442 == pytest.approx(loss, rel=1e-15)


@pytest.mark.parametrize("order", [1, 2, 3, math.inf])
def test_files_of_different_formats_are_subtracted(run: Run, tmp_path: Path, order: float) -> None:
    random = np.random.default_rng(1)
    left, right = random.normal(size=(20, 2)), random.normal(size=(20, 2))
    files = _write(tmp_path / "l.npy", left), _write(tmp_path / "r.npy", right)
    assert float(run("norm", *files, "--ord", order).out) == vector_norm(left - right, order)
    tables = _write(tmp_path / "l.parquet", left), _write(tmp_path / "r.csv", right)
    assert float(run("norm", *tables, "--ord", order).out) == vector_norm(left - right, order)


def test_columns_of_both_files_are_subtracted_by_name(run: Run, sample_data: Path) -> None:
    files = sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv"
    loss = float(run("compute", *files, "-p", "waist", "-t", "waist").out)
    ran = run("norm", *files, "-c", "waist", "--format", "json")
    document = json.loads(ran.out)
    assert document["norms"]["2"] == pytest.approx(math.sqrt(20 * loss), rel=1e-14)
    assert [item["role"] for item in document["inputs"]] == ["vector", "subtracted"]
    assert document["elements"] == 20


def test_integers_are_converted_before_they_are_subtracted(run: Run, tmp_path: Path) -> None:
    left, right = np.array([0, 3], dtype=np.uint8), np.array([4, 0], dtype=np.uint8)
    assert run("norm", _write(tmp_path / "l.npy", left), _write(tmp_path / "r.npy", right)).out == "5.0\n"


def test_files_that_do_not_pair_are_bad_data(run: Run, tmp_path: Path) -> None:
    three, four = _write(tmp_path / "a.npy", np.ones(3)), _write(tmp_path / "b.npy", np.ones(4))
    wide = _write(tmp_path / "c.npy", np.ones((3, 2)))
    assert run("norm", three, four).code == 3
    assert run("norm", three, wide).code == 3
    left, right = _text(tmp_path / "l.csv", "id,x\n1,0\n2,0\n"), _text(tmp_path / "r.csv", "id,x\n2,0\n1,0\n")
    assert run("norm", left, right).code == 3


# exactness


def test_norms_of_many_rows_are_correctly_rounded_for_any_number_of_threads(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(2).normal(size=200_000) * np.logspace(-30, 30, 200_000)
    path = _write(tmp_path / "v.npy", values)
    outs = {run("norm", path, "--ord", "1,2", "--jobs", jobs).out for jobs in (1, 3)}
    exact = [int(Fraction(value) * 2**400) for value in values.tolist()]
    squares = sum(value * value for value in exact)
    root = math.isqrt(squares << 200)
    euclidean = Fraction(2 * root + (root * root != squares << 200), 2**501)
    assert outs == {f"1\t{float(Fraction(sum(map(abs, exact)), 2**400))!r}\n2\t{float(euclidean)!r}\n"}


@pytest.mark.parametrize("order", ["1.1", "1.5", "2.5", "3", "4", "10", "50"])
def test_other_orders_are_those_of_numpy(run: Run, tmp_path: Path, order: str) -> None:
    values = np.random.default_rng(3).normal(size=200_000)
    found = float(run("norm", _write(tmp_path / "v.npy", values), "--ord", order).out)
    assert found == pytest.approx(np.linalg.norm(values, float(order)), rel=1e-14)


def test_the_order_of_the_rows_does_not_matter(run: Run, tmp_path: Path) -> None:
    values = np.random.default_rng(4).normal(size=100_000) ** 9
    outs = {
        run("norm", _write(tmp_path / f"{name}.npy", array), "--ord", "1,2,3,inf").out
        for name, array in (("up", np.sort(values)), ("down", np.sort(values)[::-1]), ("as_is", values))
    }
    assert len(outs) == 1


def test_columns_that_cannot_be_told_are_named_by_an_option_of_norm(run: Run, tmp_path: Path) -> None:
    paths = tmp_path / "p.csv", tmp_path / "t.csv"
    paths[0].write_text("a,b\n1,2\n")
    paths[1].write_text("a,b,c\n1,2,3\n")
    ran = run("norm", *paths)
    assert (ran.code, "use -c COLUMN\n" in ran.err) == (3, True)
    assert run("norm", *paths, "-c", "a,b").out == "0.0\n"
