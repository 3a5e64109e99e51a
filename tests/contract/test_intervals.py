"""Confidence intervals of mean losses: --ci, --cluster, --bootstrap.

Expected values come from SciPy 1.17 (t of one sample), from the formulas in the references of `msecli.core.spread` in
NumPy, and from simulation.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import msecli
from msecli import UsageError
from msecli.core.chunk import Chunk
from msecli.core.elementwise import element_losses
from msecli.core.state import LossState, Rules
from msecli.core.uncertainty import Clusters, Method, Values
from tests.files import write

Run = Callable[..., Any]

ROWS = 300
RANDOM = np.random.default_rng(11)
FRAME = pd.DataFrame(
    {
        "yhat": RANDOM.normal(size=ROWS),
        "y": RANDOM.normal(size=ROWS),
        "w": RANDOM.uniform(0.1, 3, size=ROWS),
        "g": RANDOM.choice(["a", "b", "c"], size=ROWS),
        "patient": RANDOM.integers(0, 25, size=ROWS),
    }
)
LOSSES = ((FRAME["yhat"] - FRAME["y"]) ** 2).to_numpy()


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write(tmp_path / "table.csv", {name: FRAME[name].to_numpy() for name in FRAME})


def report_of(run: Run, *arguments: object) -> dict[str, Any]:
    ran = run("compute", *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    found: dict[str, Any] = json.loads(ran.out)
    return found


def linearised(values: Any, weights: Any, level: float) -> tuple[float, float]:
    """Return the interval of sum(values) / sum(weights) by the linearised variance, with n - 1 degrees of freedom."""
    n, mean = len(values), values.sum() / weights.sum()
    error = np.sqrt(n / (n - 1) * ((values - mean * weights) ** 2).sum()) / weights.sum()
    reach = stats.t.ppf((1 + level) / 2, n - 1) * error
    return mean - reach, mean + reach


def bounds(interval: dict[str, Any]) -> Any:
    return pytest.approx((interval["low"], interval["high"]), rel=1e-9)


@pytest.mark.parametrize("level", [0.5, 0.95, 0.999])
def test_the_interval_is_scipys_of_the_losses(run: Run, table: Path, level: float) -> None:
    interval = report_of(run, table, "-p", "yhat", "-t", "y", "--ci", level)["interval"]
    expected = stats.ttest_1samp(LOSSES, 0).confidence_interval(level)
    assert tuple(expected) == bounds(interval)
    assert (interval["level"], interval["method"], interval["status"]) == (level, "t", "ok")


def test_weights_are_linearised(run: Run, table: Path) -> None:
    interval = report_of(run, table, "-p", "yhat", "-t", "y", "-w", "w", "--ci", 0.9)["interval"]
    weights = FRAME["w"].to_numpy()
    assert linearised(weights * LOSSES, weights, 0.9) == bounds(interval)
    assert interval["method"] == "t, weighted"


@pytest.mark.parametrize("weighted", [False, True])
def test_of_dependent_rows_the_clusters_count(run: Run, table: Path, weighted: bool) -> None:
    weights = FRAME["w"].to_numpy() if weighted else np.ones(ROWS)
    sums = pd.DataFrame({"s": weights * LOSSES, "w": weights}).groupby(FRAME["patient"]).sum()
    options = ("-w", "w") if weighted else ()
    report = report_of(run, table, "-p", "yhat", "-t", "y", *options, "--ci", 0.95, "--cluster", "patient")
    assert linearised(sums["s"].to_numpy(), sums["w"].to_numpy(), 0.95) == bounds(report["interval"])
    assert report["interval"]["method"] == f"t, {'weighted, ' if weighted else ''}cluster(patient)"


@pytest.mark.parametrize("options", [(), ("--cluster", "patient"), ("-w", "w"), ("--bootstrap", 200)])
def test_groups_have_the_intervals_of_their_own_rows(run: Run, tmp_path: Path, options: tuple[str, ...]) -> None:
    frame = FRAME.sort_values("g")  # so that rows of the bootstrap have the numbers that they have by themselves
    whole = write(tmp_path / "whole.csv", {name: frame[name].to_numpy() for name in frame})
    arguments = ("-p", "yhat", "-t", "y", "--ci", 0.95, *options)
    report = report_of(run, whole, "--by", "g", *arguments)
    assert report["interval"] == report_of(run, whole, *arguments)["interval"]
    first, *others = report["groups"]
    for group in [first] if "--bootstrap" in options else [first, *others]:
        rows = frame[frame["g"] == group["group"]["g"]]
        alone = write(tmp_path / "alone.csv", {name: rows[name].to_numpy() for name in rows})
        assert group["interval"] == report_of(run, alone, *arguments)["interval"]


@pytest.mark.slow
def test_the_bootstrap_is_near_t_and_the_same_for_any_jobs_and_parts(run: Run, tmp_path: Path) -> None:
    rows = 150_000
    random = np.random.default_rng(2)
    columns = {"yhat": random.normal(size=rows), "y": np.zeros(rows), "g": random.choice(["a", "b"], rows)}
    csv, parquet = write(tmp_path / "t.csv", columns), tmp_path / "t.parquet"
    pd.DataFrame(columns).to_parquet(parquet, row_group_size=9_999)
    arguments = ("--by", "g", "--ci", 0.95, "--bootstrap", 200, "--seed", 7)
    found = [report_of(run, path, *arguments, "--jobs", jobs) for path in (csv, parquet) for jobs in (1, 2)]
    intervals = [[report["interval"], *(group["interval"] for group in report["groups"])] for report in found]
    assert all(each == intervals[0] for each in intervals)
    t = report_of(run, csv, "--ci", 0.95)["interval"]
    assert (intervals[0][0]["low"], intervals[0][0]["high"]) == pytest.approx((t["low"], t["high"]), rel=2e-3)
    assert intervals[0][0]["method"] == "bootstrap(200, seed 7)"
    assert report_of(run, csv, "--ci", 0.95, "--bootstrap", 200)["interval"] != intervals[0][0]


def test_the_bootstrap_of_clusters_draws_clusters(run: Run, table: Path) -> None:
    arguments = (table, "-p", "yhat", "-t", "y", "--ci", 0.9, "--cluster", "patient")
    by_t, drawn = (report_of(run, *arguments, *more)["interval"] for more in ((), ("--bootstrap", 2000)))
    assert drawn["method"] == "bootstrap(2000, seed 0), cluster(patient)"
    assert drawn["high"] - drawn["low"] == pytest.approx(by_t["high"] - by_t["low"], rel=0.15)


def test_the_bootstrap_of_clusters_is_the_same_in_any_order_of_rows(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    columns = {"yhat": random.normal(size=300), "y": np.zeros(300), "c": random.integers(0, 40, 300)}
    order = random.permutation(300)
    paths = [
        write(tmp_path / name, each)
        for name, each in (("a.csv", columns), ("b.csv", {key: values[order] for key, values in columns.items()}))
    ]
    arguments = ("-p", "yhat", "-t", "y", "--ci", 0.9, "--cluster", "c", "--bootstrap", 100)
    one, other = (report_of(run, path, *arguments)["interval"] for path in paths)
    assert one == other
    compared = [
        run("compare", path, "-p", "yhat,c", "-t", "y", "--cluster", "c", "--test", "bootstrap", "--format", "json")
        for path in paths
    ]
    found = [json.loads(each.out)["systems"][1]["difference"] for each in compared]
    assert found[0] == found[1]


def test_elements_that_are_not_used_do_not_count(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yhat,y,w\n1,0,1\n,0,1\n3,0,1\n5,7,1\n2,0,1\n9,0,0\n")
    options = ("--nan-pred", "omit", "--ignore-index", "7", "--ci", "0.95")
    expected = tuple(stats.ttest_1samp([1.0, 9.0, 4.0], 0).confidence_interval(0.95))
    # A weight of 0 leaves a row out, too.
    assert expected == bounds(report_of(run, path, "-p", "yhat", "-t", "y", "-w", "w", *options)["interval"])


def test_what_is_not_finite_has_no_interval(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("g,yhat,y\na,1,0\na,2,0\nb,inf,0\nb,1,0\nc,1,0\nd,nan,0\nd,1,0\n")
    report = report_of(run, path, "-p", "yhat", "-t", "y", "--by", "g", "--nan-pred", "propagate", "--ci", "0.95")
    assert report["interval"] == {"low": None, "high": None, "level": 0.95, "method": "t", "status": "nan"}
    assert [group["interval"]["status"] for group in report["groups"]] == ["ok", "inf", "too_few", "nan"]
    assert [group["interval"]["low"] is None for group in report["groups"]] == [False, True, True, True]


def test_one_element_has_no_interval_and_a_warning(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("yhat,y\n1,0\n")
    ran = run("compute", path, "--ci", "0.95", "--format", "json")
    report = json.loads(ran.out)
    assert (ran.code, report["interval"]["status"], report["interval"]["low"]) == (0, "too_few", None)
    assert "fewer than two elements" in ran.err


def test_groups_of_one_row_are_warned_of_together(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("g,yhat,y\na,1,0\na,2,0\nb,1,0\nc,1,0\n")
    err = run("compute", path, "-p", "yhat", "-t", "y", "--by", "g", "--ci", "0.95").err
    assert "groups with fewer than two elements have none, the first is 'b' (2 in all)" in err


def test_equal_losses_have_an_interval_of_one_point() -> None:
    interval = msecli.score([1.1, 1.1, 1.1], [1.0, 1.0, 1.0], ci=0.95).interval
    assert interval is not None
    assert interval.low == interval.high == msecli.score([1.1], [1.0]).loss


def test_rows_of_several_elements_are_warned_of() -> None:
    rows = np.arange(6.0).reshape(3, 2)
    found = msecli.score(rows, rows[::-1], ci=0.9)
    assert [warning.code for warning in found.warnings] == ["elements_taken_as_independent"]
    losses = (rows - rows[::-1]) ** 2
    assert found.interval is not None
    expected = tuple(stats.ttest_1samp(losses.reshape(-1), 0).confidence_interval(0.9))
    assert (found.interval.low, found.interval.high) == pytest.approx(expected)
    assert not msecli.score(rows, rows[::-1], ci=0.9, bootstrap=100).warnings


def test_clusters_in_both_files_must_agree(run: Run, tmp_path: Path) -> None:
    pred, target = tmp_path / "p.csv", tmp_path / "t.csv"
    pred.write_text("patient,yhat\n1,1\n2,2\n3,3\n")
    target.write_text("patient,y\n1,1\n2,3\n3,5\n")
    report = report_of(run, pred, target, "--ci", "0.95", "--cluster", "patient")
    expected = tuple(stats.ttest_1samp([0.0, 1.0, 4.0], 0).confidence_interval(0.95))
    assert expected == bounds(report["interval"])
    target.write_text("patient,y\n1,1\n1,3\n3,5\n")
    assert run("compute", pred, target, "--ci", "0.95", "--cluster", "patient").code == 3


def test_linear_models_have_intervals(run: Run, tmp_path: Path) -> None:
    for name, values in {"x": np.arange(10.0), "y": np.arange(10.0) ** 2, "w": np.array([9.0])}.items():
        np.save(tmp_path / f"{name}.npy", values)
    files = (tmp_path / "x.npy", tmp_path / "y.npy", "--coef", tmp_path / "w.npy")
    report = json.loads(run("linear", *files, "--ci", "0.95", "--batch-size", 3, "--format", "json").out)
    losses = (9 * np.arange(10.0) - np.arange(10.0) ** 2) ** 2
    assert tuple(stats.ttest_1samp(losses, 0).confidence_interval(0.95)) == bounds(report["interval"])


@pytest.mark.parametrize("format", ["plain", "csv", "table", "markdown"])
def test_all_formats_hold_the_bounds(run: Run, table: Path, format: str) -> None:
    interval = report_of(run, table, "-p", "yhat", "-t", "y", "--ci", 0.95)["interval"]
    out = run("compute", table, "-p", "yhat", "-t", "y", "--ci", 0.95, "--format", format).out
    low = f"{interval['low']:.6g}" if format in ("table", "markdown") else repr(interval["low"])
    assert low in out
    assert ("95 % interval by t" in out) == (format == "table")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--ci", "95"), "the level 95 is not between 0 and 1; for 95 % it is 0.95"),
        (("--ci", "0"), "not between 0 and 1"),
        (("--ci", "nan"), "not between 0 and 1"),
        (("--ci", "0.95", "-r", "sum"), "it does not go with reduction 'sum'"),
        (("--ci", "0.95", "-r", "batchmean"), "it does not go with reduction 'batchmean'"),
        (("--ci", "0.95", "-r", "none"), "it does not go with reduction 'none'"),
        (("--ci", "0.95", "--axis", "0"), "does not go with --axis"),
        (("--cluster", "g"), "add its level, as with --ci 0.95"),
        (("--bootstrap", "100"), "add its level"),
        (("--seed", "1"), "add its level"),
        (("--ci", "0.95", "--seed", "1"), "--bootstrap 1000"),
        (("--ci", "0.95", "--bootstrap", "10"), "is not at least 100"),
    ],
)
def test_what_makes_no_sense_is_refused(run: Run, table: Path, options: tuple[str, ...], message: str) -> None:
    ran = run("compute", table, *options)
    assert (ran.code, message in ran.err) == (2, True), ran.err


def test_python_callers_get_the_same_errors() -> None:
    with pytest.raises(UsageError, match="not between 0 and 1"):
        msecli.score([1.0], [1.0], ci=2.0)


TRIALS = 2000


def interval_of(chunk: Chunk, clusters: Any = None) -> tuple[float, float]:
    state = LossState.of(chunk, Rules(("squared_error",) if chunk.weight is None else ("squared_error", "weight")))
    method = Method(0.95)
    if clusters is None:
        found, _ = Values.of(method, chunk, element_losses(chunk, Rules())).intervals(state.summary(), {})
    else:
        study = Clusters.of(method, chunk, state.rules, (clusters, range(int(clusters.max()) + 1)))
        found, _ = study.intervals(state.summary(), {})
    return found.low, found.high


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "weighted", "clustered"])
def test_95_percent_intervals_hold_in_93_to_97_percent_of_trials(kind: str) -> None:
    # Errors are normal with variance 1, so the true mean loss is 1. Weights are independent of the errors. Half of the
    # variance of clustered errors is that of their cluster; half is their own.
    rows, random, held = 400, np.random.default_rng(20240501), 0
    clusters = np.repeat(np.arange(100), 4)
    for _ in range(TRIALS):
        errors = random.normal(size=rows)
        if kind == "clustered":
            errors = (errors + random.normal(size=100)[clusters]) / np.sqrt(2)
        weight = random.uniform(0.5, 1.5, rows) if kind == "weighted" else None
        chunk = Chunk(errors, np.zeros(rows), weight=weight)
        low, high = interval_of(chunk, clusters if kind == "clustered" else None)
        held += low <= 1 <= high
    assert 0.93 <= held / TRIALS <= 0.97
