"""Metrics beside the loss of every element: told by the formats that can, refused by those that hold only values."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "x.csv"
    file.write_text("pred,target\n1,2\n2,2\n")
    return file


NONE = ["-r", "none", "-m", "mae"]
"""Errors 1 and 0: the mean absolute error is 0.5."""


@pytest.mark.parametrize("format", [None, "plain", "csv", "tsv"])
def test_formats_of_values_alone_refuse_metrics(run: Run, path: Path, format: str | None) -> None:
    ran = run("compute", path, *NONE, *([] if format is None else ["--format", format]))
    assert (ran.code, ran.out) == (2, "")
    assert f"the format {format or 'plain'} holds only the values" in ran.err
    without = run("compute", path, "-r", "none", *([] if format is None else ["--format", format]))
    assert (without.code, without.err) == (0, "")


@pytest.mark.parametrize("suffix", ["txt", "csv", "tsv", "npy", "parquet"])
def test_files_of_values_alone_refuse_metrics(run: Run, path: Path, tmp_path: Path, suffix: str) -> None:
    ran = run("compute", path, *NONE, "-o", tmp_path / f"o.{suffix}")
    assert (ran.code, ran.out, (tmp_path / f"o.{suffix}").exists()) == (2, "", False)
    assert run("linear", path, "--coef", "none.npy", *NONE, "-o", tmp_path / f"o.{suffix}").code == 2


def test_it_is_refused_before_a_file_is_opened(run: Run, tmp_path: Path) -> None:
    assert run("compute", tmp_path / "missing.csv", *NONE).code == 2


def test_json_and_tables_tell_them(run: Run, path: Path, tmp_path: Path) -> None:
    document = json.loads(run("compute", path, *NONE, "--format", "json").out)
    assert (document["values"], document["metrics"]) == ([1.0, 0.0], {"mae": 0.5})
    table = run("compute", path, *NONE, "--format", "table").out
    assert ["mae", "0.5"] in [line.split() for line in table.splitlines()]
    assert "| mae | 0.5 |" in run("compute", path, *NONE, "--format", "markdown").out.splitlines()
    assert run("compute", path, *NONE, "-o", tmp_path / "o.json").code == 0
    assert json.loads((tmp_path / "o.json").read_text())["metrics"] == {"mae": 0.5}
