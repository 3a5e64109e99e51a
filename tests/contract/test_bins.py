"""Groups by quantiles: --by-bins; the reference sorts the values, and pandas scores each bin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli.pairing.bins import Bins

Run = Callable[..., Any]

ROWS = 1000
RANDOM = np.random.default_rng(21)
FRAME = pd.DataFrame(
    {
        "id": np.arange(ROWS) + 7,
        "yhat": RANDOM.normal(size=ROWS),
        "y": RANDOM.normal(size=ROWS),
        "age": np.where(RANDOM.random(ROWS) < 0.05, np.nan, RANDOM.normal(40, 15, ROWS)),
        "g": RANDOM.choice(["a", "b"], size=ROWS),
    }
)
LOSSES = (FRAME["yhat"] - FRAME["y"]) ** 2


def report_of(run: Run, *arguments: object, command: str = "compute") -> dict[str, Any]:
    ran = run(command, *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def bins_of(values: Any, count: int) -> Any:
    """Return the bin of every value, by sorting: bin k begins at the value of rank k * n // count."""
    ordered = sorted(value for value in values if not np.isnan(value))
    starts = sorted({ordered[k * len(ordered) // count] for k in range(count)})
    return [sum(start <= value for start in starts) - 1 if not np.isnan(value) else None for value in values]


@pytest.fixture(params=["csv", "parquet"])
def table(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"table.{request.param}"
    if request.param == "csv":
        FRAME.to_csv(path, index=False)
    else:
        FRAME.to_parquet(path, row_group_size=100)
    return path


@pytest.mark.parametrize("count", [1, 3, 10])
def test_bins_hold_as_many_rows_each_in_the_order_of_their_values(run: Run, table: Path, count: int) -> None:
    report = report_of(run, table, "--by-bins", f"age:{count}")
    bins = pd.Series(bins_of(FRAME["age"], count))
    *groups, missing = report["groups"]
    assert missing["group"] == {"age": None}
    assert missing["rows"]["used"] == int(FRAME["age"].isna().sum())
    for number, group in enumerate(groups):
        rows = bins == number
        expected = msecli.score(FRAME["yhat"][rows].to_numpy(), FRAME["y"][rows].to_numpy())
        assert (group["loss"], group["rows"]["used"]) == (expected.loss, int(rows.sum()))
    sizes = [group["rows"]["used"] for group in groups]
    assert max(sizes) - min(sizes) <= 1
    assert f'|by_bins:"age:{count}"|' in report["signature"]


def test_labels_tell_the_edges(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yhat,y,k\n" + "".join(f"{k},0,{k}\n" for k in (10, 2, 3, 1, 5, 4)))
    report = report_of(run, path, "-p", "yhat", "-t", "y", "--by-bins", "k:3")
    assert [group["group"]["k"] for group in report["groups"]] == ["[1, 3)", "[3, 5)", "[5, 10]"]
    assert [group["loss"] for group in report["groups"]] == [2.5, 12.5, 62.5]


@pytest.mark.parametrize(
    ("edges", "labels"),
    [
        ((0.1, 2.5, 7.0), ["[0.1, 2.5)", "[2.5, 7]"]),
        ((1.0, 2.0, 2.0), ["[1, 2)", "[2, 2]"]),
        ((123456789.0, 123456790.0), ["[123456789, 123456790]"]),
        ((0.1234567, 0.12345678, 1.0), ["[0.1234567, 0.1234568)", "[0.1234568, 1]"]),
        ((1 / 3, 2 / 3), ["[0.333333, 0.666667]"]),
        ((0.1 + 0.2, 0.3, 1.0), ["[0.30000000000000004, 0.3)", "[0.3, 1.0]"]),
        ((-np.inf, 0.5, np.inf), ["[-inf, 0.5)", "[0.5, inf]"]),
    ],
)
def test_edges_can_be_told_apart(edges: tuple[float, ...], labels: list[str]) -> None:
    assert Bins("k", 2, edges=edges).labels() == labels


def test_equal_values_are_in_one_bin(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yhat,y,k\n" + "1,0,5\n" * 8 + "2,0,6\n3,0,7\n")
    ran = run("compute", path, "-p", "yhat", "-t", "y", "--by-bins", "k:5", "--format", "json")
    groups = json.loads(ran.out)["groups"]
    assert [(group["group"]["k"], group["rows"]["used"]) for group in groups] == [("[5, 6)", 8), ("[6, 7]", 2)]
    assert "equal values leave 2 of 5 bins" in ran.err
    assert report_of(run, path, "-p", "yhat", "-t", "y", "--by-bins", "y:5")["groups"][0]["group"] == {"y": "[0, 0]"}


def test_bins_go_with_groups_conditions_sorting_and_all_else(run: Run, table: Path, tmp_path: Path) -> None:
    left = tmp_path / "left.csv"
    FRAME[FRAME["y"] > 0].to_csv(left, index=False)
    options = ("--by", "g", "--by-bins", "age:4", "-m", "rmse", "--ci", "0.9")
    ours, theirs = report_of(run, table, "--where", "y > 0", *options), report_of(run, left, *options)
    assert ours["groups"] == theirs["groups"]
    assert [group["group"]["g"] for group in ours["groups"]] == ["a"] * 5 + ["b"] * 5
    sorted_by = report_of(run, left, *options, "--sort", "loss", "--top", 2, "--worst", 2)
    losses = sorted((group["loss"] for group in theirs["groups"]), reverse=True)
    assert [group["loss"] for group in sorted_by["groups"]] == losses[:2]
    labels = [group["group"] for group in theirs["groups"]]
    assert all(element["group"] in labels for element in sorted_by["worst"])


def test_bins_of_keyed_rows_and_of_the_target_itself(run: Run, tmp_path: Path) -> None:
    pred, target = tmp_path / "p.csv", tmp_path / "t.parquet"
    FRAME[["id", "yhat"]].to_csv(pred, index=False)
    FRAME[["id", "y", "g"]].sample(frac=1, random_state=3).to_parquet(target)
    report = report_of(run, pred, target, "--on", "id", "--by-bins", "y:10")
    bins = pd.Series(bins_of(FRAME["y"], 10))
    assert [group["rows"]["used"] for group in report["groups"]] == [100] * 10
    expected = [LOSSES[bins == number].mean() for number in range(10)]
    assert [group["loss"] for group in report["groups"]] == pytest.approx(expected)


def test_the_number_of_jobs_changes_nothing(run: Run, table: Path) -> None:
    one, two = (report_of(run, table, "--by-bins", "age:7", "--jobs", jobs)["groups"] for jobs in (1, 2))
    assert one == two


def test_linear_models_and_standard_input_have_bins(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "w.npy", np.array([1.0]))
    ran = run(
        "linear", "-", "-x", "x", "-t", "y", "--coef", tmp_path / "w.npy", "--by-bins", "x:2",
        stdin=b"x,y\n1,0\n2,0\n3,0\n4,0\n",
    )  # fmt: skip
    assert ran.out.splitlines()[:2] == ["[1, 3)\t2.5", "[3, 4]\t12.5"]


def test_people_see_the_missing_ones(run: Run, table: Path) -> None:
    assert "(missing)" in run("compute", table, "--by-bins", "age:2", "--format", "table").out


@pytest.mark.parametrize(
    ("text", "code", "problem"),
    [
        ("age", 2, "is not COLUMN:N"),
        ("age:0", 2, "is not COLUMN:N"),
        (":3", 2, "is not COLUMN:N"),
        ("age:x", 2, "is not COLUMN:N"),
        ("agee:3", 3, "did you mean 'age'?"),
        ("g:3", 3, "use --by COLUMN"),
    ],
)
def test_what_cannot_be_binned_is_refused(run: Run, table: Path, text: str, code: int, problem: str) -> None:
    ran = run("compute", table, "--by-bins", text)
    assert (ran.code, problem in ran.err) == (code, True), ran.err


def test_bins_do_not_go_with_axes(run: Run, table: Path) -> None:
    assert run("compute", table, "--by-bins", "age:3", "--axis", "0").code == 2
