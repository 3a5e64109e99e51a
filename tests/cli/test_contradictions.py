"""Columns that norm and gradcheck choose by themselves against what their values say, and rows that do not agree."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli import DataError
from tests.files import parquet_bytes, write

Run = Callable[..., Any]

ROWS = 12
NUMBERS = [0.5 * row - 1.25 for row in range(ROWS)]
OTHERS = [number + 0.5 for number in NUMBERS]
KEYS = list(range(101, 101 + ROWS))
SHUFFLED = [*KEYS[5:], *KEYS[:5]]
LENGTH = math.sqrt(sum(number**2 for number in NUMBERS))
DISTANCE = math.sqrt(ROWS * 0.25)
"""Every difference is a half."""


def advised(run: Run, err: str) -> Any:
    """Run the first command that an error advises."""
    return run(*shlex.split(err.partition("run: msecli ")[2].partition(";")[0]))


@pytest.mark.parametrize("keys", [KEYS, SHUFFLED, [-key for key in KEYS], [key - 106 for key in SHUFFLED]])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_norm_refuses_a_column_that_counts_the_rows(run: Run, tmp_path: Path, keys: list[int], name: str) -> None:
    path = write(tmp_path / name, {"passenger": keys, "value": NUMBERS})
    ran = run("norm", path)
    assert (ran.code, ran.out) == (3, "")
    assert "'passenger' holds every integer of a range once, as a key does; to take 'value', run:" in ran.err
    assert float(advised(run, ran.err).out) == pytest.approx(LENGTH, rel=1e-15)


@pytest.mark.parametrize(
    "columns",
    [
        {"passenger": KEYS},
        {"passenger": [*KEYS[:-1], KEYS[0]], "value": NUMBERS},
        {"passenger": [2 * key for key in KEYS], "value": NUMBERS},
        {"passenger": [key + 0.5 for key in KEYS], "value": NUMBERS},
        {"a": KEYS, "b": SHUFFLED},
    ],
)
def test_norm_takes_columns_that_are_no_keys_or_the_only_ones(run: Run, tmp_path: Path, columns: Any) -> None:
    path = write(tmp_path / "a.csv", columns)
    values = np.array(list(columns.values()))
    assert float(run("norm", path).out) == pytest.approx(np.linalg.norm(values), rel=1e-14)


def test_norm_takes_a_named_key_and_an_array_whole(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {"passenger": KEYS, "value": NUMBERS})
    ran = run("norm", path, "-c", "passenger,value")
    assert (ran.code, ran.err) == (0, "")
    array = np.column_stack([KEYS, NUMBERS])
    assert run("norm", write(tmp_path / "a.npy", array)).out == ran.out
    assert float(ran.out) == pytest.approx(np.linalg.norm(array), rel=1e-15)


def test_in_nine_rows_such_integers_are_chance(run: Run, tmp_path: Path) -> None:
    ran = run("norm", write(tmp_path / "a.csv", {"passenger": KEYS[:9], "value": NUMBERS[:9]}))
    assert (ran.code, ran.err) == (0, "")


def test_norm_refuses_integers_that_only_moved(run: Run, tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", {"passenger": KEYS, "value": NUMBERS})
    theirs = write(tmp_path / "b.csv", {"passenger": SHUFFLED, "value": OTHERS[5:] + OTHERS[:5]})
    ran = run("norm", ours, theirs)
    assert (ran.code, ran.out) == (3, "")
    assert "'passenger': both files hold the same integers in another order" in ran.err
    paired = advised(run, ran.err.partition("to pair rows by 'passenger', ")[2])
    assert float(paired.out) == pytest.approx(DISTANCE, rel=1e-15)


def test_norm_of_a_difference_may_hold_equal_columns_which_add_nothing(run: Run, tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", {"frozen": NUMBERS, "value": NUMBERS})
    theirs = write(tmp_path / "b.csv", {"frozen": NUMBERS, "value": OTHERS})
    ran = run("norm", ours, theirs)
    assert float(ran.out) == pytest.approx(DISTANCE, rel=1e-15)


GRID = {"lat": [50.0 + row // 12 / 4 for row in range(120)], "lon": [row % 12 / 4 - 3 for row in range(120)]}
"""The places of a grid of 10 by 12; neither column alone is a key."""
FIELD = {**GRID, "temp": [row * 0.37 % 5 for row in range(120)]}
OTHER_FIELD = {**GRID, "temp": [row * 0.37 % 5 + 0.5 for row in range(120)]}


def shuffled(table: dict[str, list[float]]) -> dict[str, list[float]]:
    """Return a table with its rows in another order: 7 and 120 have no common divisor."""
    return {name: [values[row * 7 % 120] for row in range(120)] for name, values in table.items()}


@pytest.mark.parametrize("command", ["gradcheck", "compute"])
@pytest.mark.parametrize("named", [(), ("-p", "temp")])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_fractions_that_only_moved_are_keys(
    run: Run, tmp_path: Path, command: str, named: tuple[str, ...], suffix: str
) -> None:
    ours, theirs = write(tmp_path / f"a.{suffix}", FIELD), write(tmp_path / f"b.{suffix}", shuffled(OTHER_FIELD))
    ran = run(command, ours, theirs, *named)
    assert (ran.code, ran.out) == (3, "")
    assert "'lat' and 'lon': both files hold the same values in another order" in ran.err
    assert "to pair them as they stand, use --no-row-check" in ran.err
    assert run(command, ours, theirs, *named, "--no-row-check").code == 0
    paired = advised(run, ran.err.partition("to pair rows by 'lat' and 'lon', ")[2])
    if command == "compute":
        assert float(paired.out) == pytest.approx(0.25, rel=1e-12)


def test_keys_of_which_some_only_moved_are_advised_together(run: Run, tmp_path: Path) -> None:
    # The rows of each latitude are in another order: 5 and 12 have no common divisor.
    within = {name: [values[row - row % 12 + row * 5 % 12] for row in range(120)] for name, values in FIELD.items()}
    within["temp"] = [value + 0.5 for value in within["temp"]]
    ran = run("compute", write(tmp_path / "a.csv", FIELD), write(tmp_path / "b.csv", within))
    assert "'lon': both files hold the same values in another order" in ran.err
    assert float(advised(run, ran.err.partition("to pair rows by ")[2]).out) == pytest.approx(0.25, rel=1e-12)
    # The same with integers, which are told once all rows are read.
    counted = {"lat": GRID["lat"], "passenger": [float(row) for row in range(120)], "temp": FIELD["temp"]}
    moved = {name: [values[row - row % 12 + row * 5 % 12] for row in range(120)] for name, values in counted.items()}
    moved["temp"] = [value + 0.5 for value in moved["temp"]]
    ran = run("compute", write(tmp_path / "a.csv", counted), write(tmp_path / "b.csv", moved))
    assert "'lat' is equal in every row of both files, unlike 'temp'" in ran.err
    assert float(advised(run, ran.err.partition("to pair rows by ")[2]).out) == pytest.approx(0.25, rel=1e-12)


def test_values_that_moved_are_no_keys_where_all_did_or_they_are_few(run: Run, tmp_path: Path) -> None:
    moved = {"a": FIELD["temp"], "b": GRID["lon"]}
    ours = write(tmp_path / "a.csv", moved)
    assert run("compute", ours, write(tmp_path / "b.csv", shuffled(moved))).code == 0
    # Nine classes may be as many on both sides by chance.
    few = {"temp": FIELD["temp"], "class": [row % 9 / 2 for row in range(120)]}
    other = {"temp": OTHER_FIELD["temp"], "class": [(row + 1) % 120 % 9 / 2 for row in range(120)]}
    for more in ([], ["-p", "temp"]):
        files = write(tmp_path / "a.csv", few), write(tmp_path / "b.csv", other)
        assert run("compute", *files, *more).code == 0


@pytest.mark.parametrize("command", ["norm", "gradcheck", "compute"])
@pytest.mark.parametrize("key", ["id", "x"])
def test_rows_that_do_not_agree_are_refused_alike(run: Run, tmp_path: Path, command: str, key: str) -> None:
    ours = write(tmp_path / "a.csv", {key: KEYS, "pred": NUMBERS})
    theirs = write(tmp_path / "b.csv", {key: SHUFFLED, "target": OTHERS[5:] + OTHERS[:5]})
    ran = run(command, ours, theirs)
    assert (ran.code, ran.out) == (3, "")
    assert f"column '{key}' differs between the files at row 1 (line 2): " in ran.err
    assert "to pair them as they stand, use --no-row-check" in ran.err
    assert run(command, ours, theirs, "--no-row-check").code == 0
    assert advised(run, ran.err).code == 0


@pytest.mark.parametrize("command", ["norm", "gradcheck"])
def test_rows_that_agree_are_scored(run: Run, tmp_path: Path, command: str) -> None:
    ours = write(tmp_path / "a.csv", {"id": KEYS, "x": NUMBERS, "pred": NUMBERS})
    theirs = write(tmp_path / "b.parquet", {"id": KEYS, "X": NUMBERS, "target": OTHERS})
    ran = run(command, ours, theirs)
    assert (ran.code, ran.err) == (0, "")


def test_norm_pairs_rows_by_keys(run: Run, tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", {"id": KEYS, "pred": NUMBERS})
    theirs = write(tmp_path / "b.parquet", {"id": [*SHUFFLED[:-1], 7], "target": [*OTHERS[5:], *OTHERS[:5]]})
    ran = run("norm", ours, theirs, "--on", "id")
    assert ran.code == 3
    assert "have no match" in ran.err or "has no match" in ran.err
    skipped = run("norm", ours, theirs, "--on", "id", "--unmatched", "skip")
    assert float(skipped.out) == pytest.approx(math.sqrt((ROWS - 1) * 0.25), rel=1e-15)
    assert run("norm", ours, "--on", "id").code == 2


def test_norm_names_the_row_of_a_missing_number_in_its_file(run: Run, tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", {"id": KEYS, "pred": NUMBERS})
    theirs = write(tmp_path / "b.csv", {"id": SHUFFLED, "target": [*OTHERS[:-1], None]})
    ran = run("norm", ours, theirs, "--on", "id")
    assert ran.err == f"Error: {theirs}: a number is missing in row 12 (line 13)\n"


@pytest.mark.parametrize("jobs", [1, 2])
def test_norm_counts_the_row_of_a_missing_number_over_all_parts(tmp_path: Path, jobs: int) -> None:
    values = np.linspace(0.0, 1.0, 300_000)
    values[271_828] = np.nan
    groups = parquet_bytes({"v": values}, row_group_size=50_000)
    for name, data in (("a.csv", {"v": values}), ("a.parquet", groups), ("a.npy", values)):
        with pytest.raises(DataError, match="a number is missing in row 271829"):
            msecli.norm(write(tmp_path / name, data), jobs=jobs)


def test_columns_that_cannot_be_told_are_listed_of_standard_input_too(run: Run, tmp_path: Path) -> None:
    other = write(tmp_path / "b.csv", {"c": NUMBERS, "d": NUMBERS})
    ran = run("norm", "-", other, stdin=b"a,b\n1,2\n")
    columns = f"  -: 'a' (number), 'b' (number)\n  {other}: 'c' (number), 'd' (number)\n"
    differ = f"the files have different numbers of rows: - has 1, {other} has 12\n"
    assert (ran.code, ran.err) == (3, f"Error: cannot tell which columns to take; use -c COLUMN\n{columns}{differ}")


def test_gradcheck_refuses_what_compute_refuses(run: Run, tmp_path: Path) -> None:
    ours = write(tmp_path / "a.csv", {"passenger": KEYS, "value": NUMBERS})
    for keys, others, message in (
        (KEYS, OTHERS, "'passenger' is equal in every row of both files, unlike 'value'"),
        (SHUFFLED, [*OTHERS[5:], *OTHERS[:5]], "'passenger': both files hold the same integers in another order"),
    ):
        theirs = write(tmp_path / "b.csv", {"passenger": keys, "value": others})
        found = [run(command, ours, theirs) for command in ("gradcheck", "compute")]
        assert [(ran.code, ran.out) for ran in found] == [(3, ""), (3, "")]
        assert message in found[0].err
        assert found[0].err == found[1].err.replace("msecli compute", "msecli gradcheck")
        assert advised(run, found[0].err).code == 0


def test_gradcheck_warns_of_the_same_column_on_both_sides(run: Run, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", {"value": NUMBERS})
    assert "every prediction equals its target; is this the same column?" in run("gradcheck", path, path).err
    # The norm of a difference is 0 where nothing changed, which is what it is asked for.
    assert (run("norm", path, path).out, run("norm", path, path).err) == ("0.0\n", "")


def test_python_refuses_alike() -> None:
    import pandas as pd

    ours, theirs = (pd.DataFrame({"id": keys, "value": NUMBERS}) for keys in (KEYS, SHUFFLED))
    with pytest.raises(DataError, match=r"column 'id' differs .* use row_check=False; .* use on='id'"):
        msecli.norm(ours, theirs)
    assert float(msecli.norm(ours, theirs, row_check=False)) == 0.0
    assert float(msecli.norm(ours, theirs, on="id")) > 0.0
    with pytest.raises(
        DataError, match=r"'n' holds every integer of a range once, as a key does; .* use columns='value'"
    ):
        msecli.norm(pd.DataFrame({"n": KEYS, "value": NUMBERS}))
