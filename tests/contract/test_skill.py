"""The metric skill:COLUMN, 1 - SSE / SSE of a baseline; expected values are exact quotients by `fractions.Fraction`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import msecli
from msecli import Accumulator, DataError, UsageError
from tests.files import WRITERS, suffix, write

Run = Callable[..., Any]

ROWS: dict[str, Any] = {
    "id": [11, 12, 13, 14, 15, 16],
    "yhat": [1.5, 2.0, 3.0, 1.0, 6.0, 0.1],
    "y": [1.0, 4.0, 0.0, 2.0, 8.0, 0.3],
    "naive": [0.0, 1.0, 4.0, 0.0, 7.5, 0.7],
    "flat": [1.0, 1.0, 1.0, 1.0, 1.0, 1.0],
    "w": [1.0, 2.0, 0.5, 1.0, 3.0, 0.1],
    "g": ["a", "a", "b", "b", "a", "b"],
}
FRAME = pd.DataFrame(ROWS)


def skill(rows: Iterable[int] = range(6), baseline: str = "naive", *, weighted: bool = False) -> float:
    """Return the skill over some rows: residuals rounded as float64 subtracts them, everything else exact."""

    def errors(column: str) -> Fraction:
        return sum(
            (
                Fraction(ROWS["w"][row] if weighted else 1.0) * Fraction(ROWS[column][row] - ROWS["y"][row]) ** 2
                for row in rows
            ),
            Fraction(0),
        )

    rows = list(rows)
    return float(1 - errors("yhat") / errors(baseline))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    FRAME.to_csv(path, index=False)
    return path


def report_of(run: Run, *arguments: object) -> dict[str, Any]:
    ran = run("compute", *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    report: dict[str, Any] = json.loads(ran.out)
    return report


@pytest.mark.parametrize("format", WRITERS)
def test_every_format_gives_the_exact_skill(run: Run, tmp_path: Path, format: str) -> None:
    numbers = {name: ROWS[name] for name in ("yhat", "y", "naive")}
    path = write(tmp_path / f"table{suffix(format)}", numbers)
    columns = tuple(numbers) if WRITERS[format].named else ("0", "1", "2")
    report = report_of(run, path, "-p", columns[0], "-t", columns[1], "-m", f"skill:{columns[2]}")
    assert report["metrics"] == {f"skill:{columns[2]}": skill()}


def test_data_in_memory_give_the_same(table: Path) -> None:
    for data in (str(table), FRAME, pa.table(ROWS)):
        assert msecli.score(data, metrics="skill:naive").metrics == {"skill:naive": skill()}


def test_several_baselines_stand_beside_the_mean_of_the_targets(run: Run, table: Path) -> None:
    metrics = report_of(run, table, "-m", "skill,skill:naive,SKILL:flat")["metrics"]
    assert list(metrics) == ["skill", "skill:naive", "skill:flat"]
    assert metrics["skill:naive"] == skill()
    assert metrics["skill:flat"] == skill(baseline="flat")
    assert metrics["skill"] == msecli.score(FRAME, metrics="r2").metrics["r2"]


def test_weights_groups_and_batches_are_those_of_the_loss(run: Run, table: Path) -> None:
    assert report_of(run, table, "-m", "skill:naive", "-w", "w")["metrics"]["skill:naive"] == skill(weighted=True)
    groups = report_of(run, table, "-m", "skill:naive", "--by", "g")["groups"]
    assert [each["metrics"]["skill:naive"] for each in groups] == [skill([0, 1, 4]), skill([2, 3, 5])]
    batches = report_of(run, table, "-m", "skill:naive", "--batch-size", "4")["batches"]
    assert [each["metrics"]["skill:naive"] for each in batches] == [skill(range(4)), skill([4, 5])]


@pytest.mark.parametrize("reduction", ["mean", "sum", "batchmean", "none"])
def test_it_does_not_depend_on_the_reduction(run: Run, table: Path, reduction: str) -> None:
    assert report_of(run, table, "-m", "skill:naive", "-r", reduction)["metrics"]["skill:naive"] == skill()


def test_elements_that_are_left_out_of_the_loss_are_left_out_of_both_sums(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    changed = FRAME.assign(y=FRAME["y"].where(FRAME["id"] != 12), yhat=FRAME["yhat"].where(FRAME["id"] != 14))
    changed.to_csv(path, index=False)
    options = ("--nan-target", "omit", "--nan-pred", "omit", "--ignore-index", "8")
    assert report_of(run, path, "-m", "skill:naive", *options)["metrics"]["skill:naive"] == skill([0, 2, 5])


@pytest.mark.parametrize("side", ["prediction", "target"])
def test_the_column_may_be_in_either_file_and_follows_the_keys(run: Run, tmp_path: Path, side: str) -> None:
    ours, theirs = tmp_path / "p.csv", tmp_path / "t.parquet"
    more = {"prediction": ["naive"], "target": []}[side]
    FRAME[["id", "yhat", *more]].iloc[::-1].to_csv(ours, index=False)
    FRAME[["id", "y", *({"naive"} - set(more))]].to_parquet(theirs)
    report = report_of(run, ours, theirs, "--on", "id", "-m", "skill:naive")
    assert report["metrics"] == {"skill:naive": skill()}
    path = str(ours if side == "prediction" else theirs)
    assert report["inputs"][-1] == {
        "role": "baseline",
        "path": path,
        "format": path.rpartition(".")[2],
        "columns": ["naive"],
        "files": 1,
        "skipped": 0,
    }


def test_a_column_of_both_files_is_ambiguous(run: Run, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "p.csv", tmp_path / "t.csv"
    FRAME[["id", "yhat", "naive"]].to_csv(ours, index=False)
    FRAME[["id", "y", "naive"]].to_csv(theirs, index=False)
    ran = run("compute", ours, theirs, "-m", "skill:naive")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == "Error: --metrics: both files have a column 'naive'; rename it in one of them\n"


def test_the_baseline_is_no_candidate_for_the_prediction(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    FRAME[["yhat", "y", "naive"]].rename(columns={"yhat": "model"}).to_csv(path, index=False)
    report = report_of(run, path, "-m", "skill:naive")
    assert report["signature"].startswith("mse|columns:model~y|")
    assert "|baseline:naive|" in report["signature"]
    assert report["settings"]["metrics"] == ["skill:naive"]


def test_the_name_is_found_in_any_case_and_may_hold_a_colon(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    FRAME.rename(columns={"naive": "Naive:1"}).to_csv(path, index=False)
    ran = run("compute", path, "-m", "skill:naive:1")
    assert ran.out.splitlines()[1] == f"skill:naive:1\t{skill()!r}"
    assert "column 'Naive:1' was taken for 'naive:1'" in ran.err


def test_a_missing_baseline_goes_by_the_policy_for_missing_predictions(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    FRAME.assign(naive=FRAME["naive"].where(FRAME["id"] > 12)).to_csv(path, index=False)
    ran = run("compute", path, "-m", "skill:naive")
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"Error: {path}, column 'naive': the value in row 1 (line 2) is missing; to leave such elements out of "
        "skill:naive, use --nan-pred omit\n"
    )
    omitted = run("compute", path, "-m", "skill:naive", "--nan-pred", "omit")
    # The loss is over all six rows as before; only the metric leaves two out.
    assert omitted.out == f"loss\t{msecli.score(FRAME).loss!r}\nskill:naive\t{skill(range(2, 6))!r}\n"
    assert (
        "values are missing (their elements are left out of skill:naive), the first in row 1 (line 2) (2 in all)"
        in omitted.err
    )
    kept = run("compute", path, "-m", "skill:naive", "--nan-pred", "propagate")
    assert kept.out.splitlines()[1] == "skill:naive\tnan"
    assert "values are missing, so that skill:naive is undefined, the first in row 1 (line 2) (2 in all)" in kept.err


def test_a_row_paired_by_key_is_named_by_the_file_of_the_baseline(run: Run, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "p.csv", tmp_path / "t.csv"
    FRAME[["id", "yhat"]].to_csv(ours, index=False)
    FRAME[["id", "y", "naive"]].assign(naive=FRAME["naive"].where(FRAME["id"] > 11)).iloc[::-1].to_csv(
        theirs, index=False
    )
    ran = run("compute", ours, theirs, "--on", "id", "-m", "skill:naive")
    assert ran.code == 3
    assert f"{theirs}, column 'naive': the value in row 6 (line 7) is missing" in ran.err


def test_a_baseline_without_errors_makes_it_undefined_with_a_warning(run: Run, table: Path) -> None:
    ran = run("compute", table, "-p", "yhat", "-t", "y", "-m", "skill:y")
    assert (ran.code, ran.out.splitlines()[1]) == (0, "skill:y\tnan")
    assert ran.err == f"Warning: {table}, column 'y': there is no error, so that skill:y is undefined\n"


def test_an_infinite_baseline_makes_it_undefined_with_a_warning(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    FRAME.assign(naive=[1.0, 2.0, np.inf, 3.0, 4.0, 5.0]).to_csv(path, index=False)
    ran = run("compute", path, "-m", "skill:naive")
    assert (ran.code, ran.out.splitlines()[1]) == (0, "skill:naive\tnan")
    assert (
        "column 'naive': values are infinite, so that skill:naive is undefined, the first in row 3 (line 4)" in ran.err
    )


@pytest.mark.parametrize(
    ("metric", "code", "message"),
    [
        ("skill:", 2, "metric 'skill:': name the column to compare with, as in skill:naive"),
        ("skill:nave", 3, "--metrics: no file has a column 'nave'"),
        ("skill:g", 3, "column 'g': 'a' is not a number"),
    ],
)
def test_a_column_that_is_not_there_or_no_number_is_refused(
    run: Run, table: Path, metric: str, code: int, message: str
) -> None:
    ran = run("compute", table, "-p", "yhat", "-t", "y", "-m", metric)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err


def test_one_baseline_is_not_compared_with_several_columns(run: Run, table: Path) -> None:
    ran = run("compute", table, "-p", "yhat,flat", "-t", "y,w", "-m", "skill:naive")
    assert (ran.code, ran.out) == (3, "")
    assert "skill:naive compares one column of predictions with another, but 2 are scored" in ran.err


def test_a_linear_model_is_compared_with_a_column_that_is_no_input(tmp_path: Path) -> None:
    frame = FRAME[["w", "y", "naive"]]
    result = msecli.linear(frame, coef=[2.0], metrics="skill:naive")
    errors = sum(Fraction(2 * w - y) ** 2 for w, y in zip(ROWS["w"], ROWS["y"], strict=True))
    baseline = sum(Fraction(b - y) ** 2 for b, y in zip(ROWS["naive"], ROWS["y"], strict=True))
    assert result.metrics == {"skill:naive": float(1 - errors / baseline)}


def test_batches_of_arrays_have_no_columns() -> None:
    with pytest.raises(UsageError, match="metric 'skill:naive' compares with a column"):
        Accumulator(metrics="skill:naive")


@given(
    st.lists(st.tuples(*[st.floats(-1e300, 1e300, allow_subnormal=True)] * 3), min_size=1, max_size=20),
    st.integers(1, 20),
)
def test_it_is_the_rounded_quotient_for_any_numbers_and_batches(rows: list[tuple[float, ...]], size: int) -> None:
    frame = pd.DataFrame(rows, columns=["yhat", "y", "naive"])
    ours, theirs = (
        sum((Fraction(float(row[column]) - float(row[1])) ** 2 for row in rows), Fraction(0)) for column in (0, 2)
    )
    found = msecli.score(frame, metrics="skill:naive", batch_size=size).metrics["skill:naive"]
    assert found != found if theirs == 0 else found == _rounded(1 - ours / theirs)  # noqa: PLR0124 - nan


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def test_errors_name_the_setting_as_python_spells_it() -> None:
    with pytest.raises(DataError, match="use nan_pred='omit'"):
        msecli.score(FRAME.assign(naive=np.nan), metrics="skill:naive")
