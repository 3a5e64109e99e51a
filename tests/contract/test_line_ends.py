"""Line ends of any kind, in files longer than what is read at once: no row is lost, invented or paired wrongly.

Expected losses are those of the same numbers in memory; line numbers and counts follow from how the files are written.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli

Run = Callable[..., Any]

ROWS = 300_000
"""More than one part of 2 MiB, at seven bytes or more for each row."""
ENDS = {"LF": "\n", "CRLF": "\r\n", "CR": "\r"}
MIXED = [pytest.param(first, rest, id=f"{first}-{rest}") for first, rest in itertools.product(ENDS, ENDS)]


@pytest.fixture(scope="module")
def values() -> tuple[list[str], list[str]]:
    chance = np.random.default_rng(7)
    prediction, target = ([f"{value:.4f}" for value in column] for column in chance.normal(size=(2, ROWS)))
    return prediction, target


def write(path: Path, header: str, cells: list[str], first: str, rest: str) -> Path:
    path.write_bytes((header + ENDS[first] + "".join(cell + ENDS[rest] for cell in cells)).encode())
    return path


@pytest.mark.parametrize(("first", "rest"), MIXED)
def test_one_column_is_read_row_by_row_whatever_the_line_ends(
    first: str, rest: str, values: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    prediction = write(tmp_path / "p.csv", "pred", values[0], first, rest)
    target = write(tmp_path / "t.csv", "target", values[1], rest, first)
    # Omitted, an invented missing row would shift the others without a word.
    result = msecli.score(str(prediction), str(target), nan_target="omit", nan_pred="omit")
    assert result.loss == msecli.mse_loss(*(list(map(float, column)) for column in values))
    assert result.to_dict()["elements"]["used"] == ROWS


@pytest.mark.parametrize(("first", "rest"), MIXED)
def test_lines_of_several_columns_are_counted_whatever_the_line_ends(
    first: str, rest: str, values: tuple[list[str], list[str]], tmp_path: Path, run: Run
) -> None:
    cells = [f"{cells[0]},{cells[1]}" for cells in zip(*values, strict=True)]
    ran = run("compute", write(tmp_path / "x.csv", "pred,target", cells, first, rest), "--format", "json")
    assert (ran.code, ran.err) == (0, "")
    ran = run("compute", write(tmp_path / "x.csv", "pred,target", [*cells, "", "", "x,1"], first, rest))
    # The header, the rows, and two blank lines come before it.
    assert ran.code == 3
    assert f"line {ROWS + 4}: " in ran.err


@pytest.mark.parametrize("rest", ["LF", "CRLF", "CR"])
def test_line_ends_inside_quotes_are_of_any_kind(rest: str, tmp_path: Path) -> None:
    # Line ends of the other kinds in every row, so that no part can end at any of them.
    inside = "".join(end for name, end in ENDS.items() if name != rest)
    cells = [f'1,3,"a{inside}b"' for _ in range(200_000)]
    result = msecli.score(str(write(tmp_path / "x.csv", "pred,target,note", cells, "LF", rest)))
    assert (result.loss, result.to_dict()["elements"]["used"]) == (4.0, 200_000)
