"""Coefficients that have names are matched to the inputs by name; expected values by hand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import msecli
from msecli import DataError
from tests.files import write

Run = Callable[..., Any]

DATA = "id,x1,x2,y\n1,1,2,5\n2,3,1,8\n3,2,2,1\n"
RIGHT = "9.0\n"
"""2 x1 + x2 is 4, 7, 6; the errors are -1, -1 and 5, and (1 + 1 + 25) / 3 = 9."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "d.csv", DATA)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("w.csv", "x1,x2\n2,1\n"),
        ("w.csv", "x2,x1\n1,2\n"),
        ("w.tsv", "x2\tx1\n1\t2\n"),
        ("w.csv", "id,x2,x1\n7,1,2\n"),
        ("w.csv", "Unnamed: 0,x2,x1\n0,1,2\n"),
        ("w.csv", ",x2,x1\n0,1,2\n"),
        ("w.csv", ",coef\nx2,1\nx1,2\n"),
        ("w.csv", "feature,coef\nx2,1\nx1,2\n"),
        ("w.parquet", {"x2": [1.0], "x1": [2.0]}),
        ("w.parquet", {"feature": ["x2", "x1"], "coef": [1.0, 2.0]}),
        ("w.csv", "coef\n2\n1\n"),
        ("w.parquet", {"x2": [2.0, 1.0]}),
        ("w.npy", np.array([2.0, 1.0])),
        ("w.npy", np.array([[2.0, 1.0]])),
    ],
)
def test_coefficients_find_their_inputs(run: Run, data: Path, tmp_path: Path, name: str, content: Any) -> None:
    coef = write(tmp_path / name, content)
    ran = run("linear", data, "--coef", coef, "-t", "y")
    assert (ran.code, ran.out, ran.err) == (0, RIGHT, "")


def test_without_a_header_they_are_in_the_order_of_the_inputs(run: Run, data: Path, tmp_path: Path) -> None:
    inputs = write(tmp_path / "x.csv", "1,2\n3,1\n2,2\n")
    target = write(tmp_path / "y.csv", "5\n8\n1\n")
    coef = write(tmp_path / "w.csv", "2,1\n")
    assert run("linear", inputs, target, "--coef", coef, "--no-header").out == RIGHT
    # Numbers from 0 on, as pandas numbers columns, are no names.
    numbered = write(tmp_path / "w.parquet", {"0": [2.0], "1": [1.0]})
    assert run("linear", data, "--coef", numbered, "-t", "y").out == RIGHT


def test_the_order_of_the_inputs_does_not_matter(run: Run, data: Path, tmp_path: Path) -> None:
    coef, grad = write(tmp_path / "w.csv", "x1,x2\n2,1\n"), tmp_path / "g.csv"
    ran = run("linear", data, "--coef", coef, "-t", "y", "-x", "x2,x1", "--grad-coef", grad)
    assert ran.out == RIGHT
    # 2/3 of the sums of error * input: -1 - 3 + 10 for x1, -2 - 1 + 10 for x2.
    assert grad.read_text() == f"x2,x1\n{14 / 3!r},4\n"


def test_several_outputs_are_rows_of_named_columns(run: Run, data: Path, tmp_path: Path) -> None:
    coef = write(tmp_path / "w.csv", "x2,x1\n1,2\n0,1\n")
    targets = write(tmp_path / "y.csv", "p,q\n5,1\n8,3\n1,2\n")
    ran = run("linear", data, targets, "--coef", coef, "-x", "x1,x2", "--axis", "0", "--format", "json")
    assert [column["loss"] for column in json.loads(ran.out)["columns"]] == [9.0, 0.0]


def test_a_row_id_is_an_input_where_it_is_named(run: Run, data: Path, tmp_path: Path) -> None:
    coef = write(tmp_path / "w.csv", "x1,id\n2,1\n")
    # 2 x1 + id is 3, 8, 7; the errors are -2, 0 and 6.
    assert run("linear", data, "--coef", coef, "-t", "y", "-x", "id,x1").out == f"{40 / 3!r}\n"


def test_a_name_in_another_case_is_taken_with_a_warning(run: Run, data: Path, tmp_path: Path) -> None:
    ran = run("linear", data, "--coef", write(tmp_path / "w.csv", " X2,x1\n1,2\n"), "-t", "y")
    assert ran.out == RIGHT
    assert "column ' X2': ' X2' was taken for 'x2'" in ran.err


@pytest.mark.parametrize("command", ["linear", "gradcheck"])
def test_other_names_are_an_error_that_shows_both_sets(run: Run, data: Path, tmp_path: Path, command: str) -> None:
    coef = write(tmp_path / "w.csv", "x1,x3\n2,1\n")
    ran = run(command, data, "--coef", coef, "-t", "y")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"Error: {coef}: the coefficients are for 'x1', 'x3', but the inputs in {data} are 'x1', 'x2'; "
        "rename them, or write them without names, to be paired by position\n"
    )


@pytest.mark.parametrize("content", ["x2,x1,x3\n1,2,0\n", "feature,coef\nx2,1\nx1,2\n(Intercept),0\n"])
def test_a_name_too_many_is_an_error(run: Run, data: Path, tmp_path: Path, content: str) -> None:
    ran = run("linear", data, "--coef", write(tmp_path / "w.csv", content), "-t", "y")
    assert (ran.code, ran.out) == (3, "")
    assert "the inputs in" in ran.err


def test_the_command_in_the_error_runs(run: Run, tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", "x0,x1,x2,y\n9,1,2,5\n9,3,1,8\n9,2,2,1\n")
    coef = write(tmp_path / "w.csv", "x2,x1\n1,2\n")
    ran = run("linear", data, "--coef", coef, "-t", "y")
    assert ran.code == 3
    advised = ran.err.partition("run: msecli ")[2]
    assert run(*shlex.split(advised)).out == RIGHT
    # Where inputs were named, another -x would only add to them.
    named = run("linear", data, "--coef", coef, "-t", "y", "-x", "x0")
    assert named.err.endswith("are 'x0'; to take the inputs that they are for, use -x x2,x1\n")


def test_a_name_that_is_there_twice_is_an_error(run: Run, data: Path, tmp_path: Path) -> None:
    ran = run("linear", data, "--coef", write(tmp_path / "w.csv", "f,coef\nx1,1\nx1,2\n"), "-t", "y")
    assert ran.code == 3
    assert "2 coefficients are named 'x1'" in ran.err


def test_data_in_memory_are_matched_alike() -> None:
    frame = pd.DataFrame({"x1": [1.0, 3, 2], "x2": [2.0, 1, 2], "y": [5.0, 8, 1]})
    series = pd.Series([1.0, 2.0], index=["x2", "x1"])
    for coef in (series, series.to_frame().T, pa.table({"x2": [1.0], "x1": [2.0]}), [2.0, 1.0], pd.Series([2.0, 1.0])):
        assert msecli.linear(frame, coef=coef).loss == 9.0
    assert msecli.gradcheck(frame, coef=series).passed
    with pytest.raises(DataError, match=r"use inputs='x2,x3'|rename them"):
        msecli.linear(frame, coef=pd.Series([1.0, 2.0], index=["x2", "x3"]))
    # Arrays have no names to match.
    assert (
        msecli.linear(frame[["x1", "x2"]].to_numpy(), frame["y"], coef=pd.DataFrame({"x2": [2.0], "x1": [1.0]})).loss
        == 9.0
    )


def test_penalties_are_of_the_same_coefficients_in_any_order(run: Run, data: Path, tmp_path: Path) -> None:
    grads = []
    for content in ("x1,x2\n2,1\n", "x2,x1\n1,2\n"):
        grad = tmp_path / "g.csv"
        coef = write(tmp_path / "w.csv", content)
        ran = run("linear", data, "--coef", coef, "-t", "y", "--l2", "0.5", "--grad-coef", grad, "--overwrite")
        grads.append((ran.out, grad.read_text()))
    assert grads[0] == grads[1]


def test_names_are_matched_in_another_dialect_too(run: Run, data: Path, tmp_path: Path) -> None:
    coef = write(tmp_path / "w.csv", "x2;x1\n1,0;2,0\n")
    ran = run("linear", data, "--coef", coef)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.endswith("--delimiter 'coef=;' --decimal coef=,\n")
    assert run(*shlex.split(ran.err.partition("run: msecli ")[2])).out == RIGHT


def test_columns_without_a_header_name_nothing(run: Run, data: Path, tmp_path: Path) -> None:
    for text, options in (("2,1\n", ()), ("x1,2\nx2,1\n", ()), ("a,2,1\n", ("-x", "x1,x2"))):
        coef = write(tmp_path / "w.csv", text)
        ran = run("linear", data, "--coef", coef, "--no-header", "coef", *options)
        assert (ran.code, ran.out) == (0, RIGHT), text


def test_a_first_row_is_not_taken_for_the_name_of_coefficients(run: Run, data: Path, tmp_path: Path) -> None:
    coef = write(tmp_path / "w.csv", "x1,2\nx2,1\n")
    ran = run("linear", data, "--coef", coef)
    assert (ran.code, ran.out) == (3, "")
    assert "the column name '2' is a number like those below; use --no-header coef if" in ran.err
    # Names that the inputs have are names, even if they are numbers.
    numbers = write(tmp_path / "n.csv", "1,2,y\n1,2,5\n3,1,8\n2,2,1\n")
    named = write(tmp_path / "v.csv", "2,1,note\n1,2,a\n")
    assert run("linear", numbers, "--coef", named, "-x", "1,2").out == RIGHT


def test_warnings_of_coefficients_are_passed_on(run: Run, data: Path, tmp_path: Path) -> None:
    coef = write(tmp_path / "w.csv", "2\n1\n")
    ran = run("linear", data, "--coef", coef)
    assert (ran.code, ran.out) == (0, RIGHT)
    assert (
        ran.err
        == f"Warning: {coef}: the first line was read as data, because it holds only numbers, like the lines below it\n"
    )
