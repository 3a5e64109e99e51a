"""Fields of structs in Parquet files, which are named by their paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import msecli

Run = Callable[..., Any]

OUT = [{"pred": 1.0, "deep": {"w": 1.0, "tag": "a"}}, {"pred": 3.0, "deep": {"w": 3.0, "tag": "b"}}]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    pq.write_table(pa.table({"out": OUT, "y": [0.0, 1.0]}), tmp_path / "s.parquet", row_group_size=1)
    return tmp_path / "s.parquet"


def test_a_field_is_a_column_wherever_columns_are_named(run: Run, path: Path) -> None:
    assert run("compute", path, "-p", "out.pred", "-t", "y").out == "2.5\n"
    # The squares are 1 and 4, the weights 1 and 3.
    assert run("compute", path, "-p", "out.pred", "-t", "y", "-w", "out.deep.w").out == "3.25\n"
    by = run("compute", path, "-p", "out.pred", "-t", "y", "--by", "out.deep.tag").out
    assert by == "a\t1.0\nb\t4.0\npooled\t2.5\nmacro\t2.5\n"
    assert run("norm", path, "-c", "out.pred", "--ord", "1").out == "4.0\n"
    # The errors of w are the same, 1 and 2.
    assert (
        run("compute", path, "-p", "out.pred", "-t", "y", "-m", "skill:out.deep.w").out
        == "loss\t2.5\nskill:out.deep.w\t0.0\n"
    )
    result = msecli.score(str(path), pred="out.pred", target="y")
    assert result.inputs[0].columns == ("out.pred",)
    assert "|columns:out.pred~y|" in result.signature


def test_a_field_holds_numbers_wherever_these_are_needed(run: Run, path: Path) -> None:
    # The squares are 1 and 4.
    chosen = run("compute", path, "-p", "out.pred", "-t", "y", "--where", "`out.deep.w` > 1")
    assert (chosen.code, chosen.out) == (0, "4.0\n")
    bins = run("compute", path, "-p", "out.pred", "-t", "y", "--by-bins", "out.deep.w:2").out
    assert bins == "[1, 3)\t1.0\n[3, 3]\t4.0\npooled\t2.5\nmacro\t2.5\n"
    document = json.loads(run("inspect", path, "--format", "json").out)
    columns = {each["column"]: each for each in document["files"][0]["columns"]}
    assert (columns["out.pred"]["numeric"], columns["out.pred"]["max"]) == (True, 3.0)
    assert columns["out.pred"]["why"] != "no numbers"
    assert (columns["out.deep.tag"]["numeric"], columns["out.deep.tag"]["why"]) == (False, "no numbers")


def test_a_field_may_be_a_key(run: Run, path: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"tag": ["b", "a"], "pred": [5.0, 7.0]}), tmp_path / "p.parquet")
    ran = run("compute", tmp_path / "p.parquet", path, "-t", "y", "--on", "tag=out.deep.tag")
    # 7 against 0, and 5 against 1.
    assert (ran.code, ran.out) == (0, "32.5\n")


@pytest.mark.parametrize("nullable", [True, False])
def test_a_field_is_missing_where_its_struct_is(run: Run, tmp_path: Path, nullable: bool) -> None:
    kind = pa.struct([pa.field("pred", pa.float64(), nullable=nullable)])
    rows = [{"pred": 1.0}, None, {"pred": None} if nullable else None, {"pred": 4.0}]
    table = pa.table({"out": pa.array(rows, kind), "y": [0.0] * 4})
    pq.write_table(table, tmp_path / "s.parquet")
    ran = run("compute", tmp_path / "s.parquet", "-p", "out.pred", "-t", "y")
    assert (ran.code, ran.out) == (3, "")
    assert "column 'out.pred': 2 of 4 values missing, the first in row 2" in ran.err
    assert run("compute", tmp_path / "s.parquet", "-p", "out.pred", "-t", "y", "--nan-pred", "omit").out == "8.5\n"


def test_a_column_of_exactly_this_name_wins(run: Run, tmp_path: Path) -> None:
    pq.write_table(pa.table({"out": OUT, "out.pred": [0.0, 2.0], "y": [0.0, 1.0]}), tmp_path / "s.parquet")
    assert run("compute", tmp_path / "s.parquet", "-p", "out.pred", "-t", "y").out == "0.5\n"


def test_fields_are_not_chosen_nor_compared(run: Run, path: Path, tmp_path: Path) -> None:
    table = pa.table({"out": [OUT[1], OUT[0]], "yhat": [5.0, 7.0]})
    pq.write_table(table, tmp_path / "p.parquet")
    ran = run("compute", tmp_path / "p.parquet", path)
    # 5 against 0, and 7 against 1: the structs differ, but are no evidence.
    assert (ran.code, ran.out, ran.err) == (0, "30.5\n", "")
    assert run("compute", path).code == 3


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.prd", "no column 'out.prd'; did you mean 'out.pred'?"),
        ("out.deep.tag", "column 'out.deep.tag': the column is of type string: text is not a number"),
        ("out.deep", "no column 'out.deep'"),
        ("out", "it holds lists or structs"),
    ],
)
def test_a_path_that_leads_nowhere_or_to_no_number_is_refused(run: Run, path: Path, name: str, message: str) -> None:
    ran = run("compute", path, "-p", name, "-t", "y")
    assert (ran.code, ran.out) == (3, "")
    assert message in ran.err
