"""The work that text takes grows with its size, and no faster: calls and bytes are counted, not seconds.

A call of a Python or built-in function is what a loop over rows or cells in Python cannot do without.
"""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

import msecli
from msecli import kernel
from msecli.formats.base import Column, Source
from msecli.pairing.roles import assign_roles
from msecli.text.reading import Reading


def calls(path: Path, **options: Any) -> int:
    """Return how many functions are called to score a file, in one thread."""
    profile = cProfile.Profile(builtins=True)
    profile.runcall(msecli.score, str(path), jobs=1, **options)
    return sum(entry.callcount for entry in profile.getstats())


@pytest.fixture
def scanned(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the list of the sizes of the texts that the kernel is given."""
    sizes: list[int] = []
    scan = kernel.chosen().scan

    def counting(buffer: Any, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(buffer))
        return scan(buffer, *arguments, **options)

    monkeypatch.setattr(kernel.chosen(), "scan", counting)
    return sizes


def write(path: Path, rows: int, row: Callable[[int], str]) -> Path:
    path.write_text("pred,target,note\n" + "".join(row(number) for number in range(rows)))
    return path


ROWS = 150_000
"""Two parts of 2 MiB or more."""


@pytest.mark.skipif(kernel.name() == "python", reason="the kernel in Python reads such values one by one")
@pytest.mark.parametrize("value", ["inf", "1e400", "9007199254740993", "123456789012345678", "1.5e17", "-NaN"])
@pytest.mark.parametrize("every", [1, 50_000])
def test_extreme_values_are_not_read_one_by_one(value: str, every: int, tmp_path: Path, scanned: list[int]) -> None:
    def row(number: int) -> str:
        return f"{value if number % every == 0 else 1.5},2.25,a note of some length\n"

    path = write(tmp_path / "x.csv", ROWS, row)
    options: dict[str, Any] = {"nan_target": "propagate", "nan_pred": "propagate"}
    msecli.score(str(path), jobs=1, **options)  # imports, and fills caches
    scanned.clear()
    # To take a row apart takes ten calls or more; infinite errors are looked at once each when they are added.
    assert calls(path, **options) < 2 * ROWS
    assert sum(scanned) <= 1.1 * path.stat().st_size


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 1000])
def test_comments_beside_quotes_take_a_few_calls_each(every: int, tmp_path: Path, scanned: list[int]) -> None:
    def row(number: int) -> str:
        return '1.5,2.25,"a note"\n' + ("# a comment's \"quote\n" if number % every == 0 else "")

    reading = Reading(comment="#")
    counts = []
    for rows in (ROWS, 2 * ROWS):
        path = write(tmp_path / "x.csv", rows, row)
        msecli.score(str(path), jobs=1, reading=reading)
        scanned.clear()
        counts.append(calls(path, reading=reading))
        assert sum(scanned) <= 1.2 * path.stat().st_size
    assert counts[1] < 2.2 * counts[0]
    assert counts[0] < 10 * (ROWS + ROWS // every)


class Counted(str):
    """A name that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return super().__eq__(other)

    __hash__ = str.__hash__


def test_names_are_compared_a_few_times_each_however_many_there_are() -> None:
    def table() -> Source:
        columns = tuple(Column(Counted(f"c{number}"), "number", numeric=True) for number in range(3000))
        return cast("Source", SimpleNamespace(path="x.csv", item=None, columns=columns))

    Counted.compared = 0
    roles = assign_roles([table(), table()])
    assert len(roles.prediction.columns) == 3000
    assert Counted.compared < 20 * 3000


def test_columns_are_chosen_in_a_few_calls_each(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(",".join(f"f{number}" for number in range(5000)) + "\n" + ",".join(["1"] * 5000) + "\n")
    profile = cProfile.Profile()
    with profile, pytest.raises(msecli.DataError, match="cannot tell which columns to score"):
        msecli.score(str(path), jobs=1)
    assert sum(entry.callcount for entry in profile.getstats()) < 400 * 5000


def test_blank_lines_of_wide_files_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(",".join(f"c{number}" for number in range(2000)) + "\n" + "\n" * 50_000 + ",".join(["1"] * 2000))
    result = msecli.score(str(path), str(path), jobs=1)
    assert result.loss == 0.0
    assert [warning.count for warning in result.warnings if warning.code == "blank_lines"] == [2 * 50_000]
