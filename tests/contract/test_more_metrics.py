"""The metrics beside the MSE, from the command line and from Python: their options, undefined values, and groups."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli import Accumulator, DataError, UsageError
from msecli.core.metrics import METRICS

Run = Callable[..., Any]
TABLE = "id,pred,target,g\n1,1.5,1,a\n2,2,4,a\n3,3,0,b\n4,1,2,b\n5,6,8,a\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    return path


def metrics_of(run: Run, *arguments: object) -> dict[str, Any]:
    ran = run("compute", *arguments, "--format", "json")
    assert ran.code == 0, ran.err
    metrics: dict[str, Any] = json.loads(ran.out)["metrics"]
    return metrics


def test_names_are_taken_in_any_case_and_reported_in_one(run: Run, table: Path) -> None:
    ran = run("compute", table, "-m", "RMSE,rmse,MedAE,LP:3")
    assert [line.split("\t")[0] for line in ran.out.splitlines()] == ["loss", "rmse", "medae", "lp:3"]


def test_all_gives_every_metric_that_needs_nothing_more(run: Run, table: Path) -> None:
    assert list(metrics_of(run, table, "-m", "all")) == list(METRICS)


def test_all_also_scores_values_that_some_metrics_refuse(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "negative.csv"
    path.write_text("pred,target\n-3,1\n2,-5\n1,0\n")
    ran = run("compute", path, "-m", "all", "--format", "json")
    report = json.loads(ran.out)
    assert ran.code == 0
    undefined = {name for name, status in report["not_finite"].items() if status == "nan"}
    assert undefined == {"mape", "msle", "rmsle"}
    codes = {warning["code"]: warning["meaning"] for warning in report["warnings"]}
    assert codes.keys() == {"zero_target", "log_prediction", "log_target"}
    assert codes["log_target"].endswith("the first in row 2 (line 3)")


def test_logarithms_of_values_below_minus_one_are_an_error_that_names_the_row(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "negative.csv"
    path.write_text("pred,target\n0,1\n2,-5\n-1.5,0\n")
    for name in ("msle", "RMSLE", "all,msle"):
        ran = run("compute", path, "-m", name)
        assert (ran.code, ran.out) == (3, "")
        assert "column 'target': the value in row 2 (line 3) is below -1" in ran.err
        assert "column 'pred': the value in row 3 (line 4) is below -1" in ran.err


def test_rows_paired_by_key_are_named_by_their_files(tmp_path: Path, run: Run) -> None:
    ours, theirs = tmp_path / "p.csv", tmp_path / "t.csv"
    ours.write_text("id,pred\n1,0\n2,0\n3,0\n")
    theirs.write_text("id,target\n3,0\n2,0\n1,-2\n")
    ran = run("compute", ours, theirs, "--on", "id", "-m", "msle")
    assert ran.code == 3
    assert "column 'target': the value in row 3 (line 4) is below -1" in ran.err


def test_values_that_are_left_out_are_no_flaws(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ignored.csv"
    path.write_text("pred,target\n1,0\n2,-100\n3,4\n")
    ran = run("compute", path, "-m", "mape,msle", "--ignore-index", "-100", "--ignore-index", "0")
    # 1/4, and (log 4 - log 5)**2 by Python.
    assert ran.out.splitlines()[1:] == ["mape\t0.25", f"msle\t{(math.log1p(3) - math.log1p(4)) ** 2!r}"]
    assert ran.err == ""


def test_a_target_of_zero_makes_mape_nan_with_a_warning(run: Run, table: Path) -> None:
    ran = run("compute", table, "-m", "mape")
    assert ran.code == 0
    assert ran.out.splitlines()[1] == "mape\tnan"
    assert "column 'target': values are 0, where mape is undefined, the first in row 3 (line 4)" in ran.err


def test_groups_have_metrics_of_their_own(run: Run, table: Path) -> None:
    ran = run("compute", table, "--by", "g", "-m", "medae,mape,mase,nrmse:range,pearson", "--format", "json")
    report = json.loads(ran.out)
    frame = pd.read_csv(table)
    for entry in report["groups"]:
        own = frame[frame["g"] == entry["group"]["g"]]
        errors, target = (own["pred"] - own["target"]).abs(), own["target"]
        metrics = entry["metrics"]
        assert metrics["medae"] == errors.median()
        assert metrics["mase"] == pytest.approx(errors.mean() / target.diff().abs().mean(), rel=1e-15)
        rmse = math.sqrt((errors**2).mean())
        assert metrics["nrmse:range"] == pytest.approx(rmse / (target.max() - target.min()), rel=1e-15)
        assert metrics["pearson"] == pytest.approx(own["pred"].corr(target), rel=1e-14)
    a, b = (entry["metrics"] for entry in report["groups"])
    assert (a["mape"], b["mape"]) == (pytest.approx((0.5 + 0.5 + 0.25) / 3), None)
    assert report["macro"]["metrics"]["medae"] == (a["medae"] + b["medae"]) / 2
    # The differences stay in their groups: 3 and 4 in a, 2 in b; the errors are 0.5, 2, 2 and 3, 1.
    assert report["metrics"]["mase"] == pytest.approx((8.5 / 5) / (9 / 3))


def test_batches_do_not_cut_the_series_of_the_whole(run: Run, table: Path) -> None:
    whole = metrics_of(run, table, "-m", "mase,medae")
    assert metrics_of(run, table, "-m", "mase,medae", "--batch-size", "2") == whole
    frame = pd.read_csv(table)
    assert whole["mase"] == pytest.approx(
        (frame["pred"] - frame["target"]).abs().mean() / frame["target"].diff().abs().mean(), rel=1e-15
    )


@pytest.mark.parametrize("season", [1, 3, 50, 7000])
@pytest.mark.parametrize("kind", ["csv", "parquet", "npy"])
def test_parts_of_files_join_to_one_series(tmp_path: Path, run: Run, season: int, kind: str) -> None:
    rng = np.random.default_rng(5)
    target = rng.normal(size=60_000).cumsum()
    frame = pd.DataFrame({"pred": target + rng.normal(size=target.size), "target": target})
    path = tmp_path / f"series.{kind}"
    files: tuple[Path, ...] = (path,)
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path, row_group_size=977)
    else:
        files = (tmp_path / "p.npy", tmp_path / "t.npy")
        for file, name in zip(files, frame, strict=True):
            np.save(file, frame[name].to_numpy())
    metrics = metrics_of(run, *files, "-m", "mase,medae", "--season", season, "--jobs", "3")
    errors = (frame["pred"] - frame["target"]).abs()
    scale = np.abs(target[season:] - target[:-season]).mean()
    assert metrics["mase"] == pytest.approx(errors.mean() / scale, rel=1e-12)
    assert metrics["medae"] == errors.median()


def test_columns_have_metrics_of_their_own() -> None:
    rng = np.random.default_rng(6)
    prediction, target = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    names = ["medae", "mase", "nrmse:std", "explained_variance", "smape"]
    result = msecli.score(prediction, target, axis=0, metrics=names, season=2)
    assert len(result.columns) == 3
    for number, column in enumerate(result.columns):
        alone = msecli.score(prediction[:, number], target[:, number], metrics=names, season=2)
        assert column.score.metrics == alone.metrics


def test_losses_of_rows_go_with_metrics_of_the_whole() -> None:
    prediction, target = np.arange(12.0).reshape(4, 3), np.ones((4, 3))
    result = msecli.score(prediction, target, axis=1, metrics=["medae", "mape", "msle"])
    assert np.array_equal(getattr(result, "values"), ((prediction - target) ** 2).mean(axis=1))  # noqa: B009 - no DataFrame
    assert result.metrics["medae"] == np.median(np.abs(prediction - target))


def test_psnr_needs_its_peak(run: Run, table: Path) -> None:
    refused = run("compute", table, "-m", "psnr")
    assert refused.code == 2
    assert "--peak X" in refused.err
    frame = pd.read_csv(table)
    mse = ((frame["pred"] - frame["target"]) ** 2).mean()
    psnr = metrics_of(run, table, "-m", "PSNR", "--peak", "255")["psnr"]
    assert psnr == pytest.approx(10 * math.log10(255**2 / mse), rel=1e-15)
    same = run("compute", table, "-p", "target", "-t", "target", "-m", "psnr", "--peak", "1")
    assert same.out.splitlines()[1] == "psnr\tinf"


@pytest.mark.parametrize(
    ("option", "metric"), [(("--peak", "3"), "psnr"), (("--season", "2"), "mase")], ids=["peak", "season"]
)
def test_an_option_without_its_metric_is_refused(run: Run, table: Path, option: tuple[str, str], metric: str) -> None:
    ran = run("compute", table, "-m", "rmse", *option)
    assert ran.code == 2
    assert f"{option[0]} is for the metric '{metric}', which is not requested" in ran.err


@pytest.mark.parametrize("name", ["medae", "pearson", "mase", "psnr"])
def test_metrics_without_a_weighted_form_refuse_weights(run: Run, table: Path, name: str) -> None:
    peak = ("--peak", "1") if name == "psnr" else ()
    ran = run("compute", table, "-p", "pred", "-t", "target", "-w", "id", "-m", name, *peak)
    assert ran.code == 2
    assert f"metric '{name}' has no weighted form" in ran.err
    assert "medae" not in metrics_of(run, table, "-p", "pred", "-t", "target", "-w", "id", "-m", "all")


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"nan_target": "omit"}, "nan_target='omit'"),
        ({"nan_pred": "omit"}, "nan_pred='omit'"),
        ({"ignore_index": 1.0}, "ignore_index"),
        ({"batch_size": 2, "shuffle": 0}, "shuffle"),
        ({"on": "id", "unmatched": "skip"}, "unmatched='skip'"),
    ],
    ids=str,
)
def test_mase_refuses_what_breaks_the_order_of_rows(options: dict[str, Any], setting: str) -> None:
    frame = pd.DataFrame({"id": [1, 2], "target": [1.0, 2.0]})
    with pytest.raises(UsageError, match=f"metric 'mase' needs every row, in order; it does not go with {setting}"):
        msecli.score(frame.rename(columns={"target": "pred"}), frame, metrics="mase", **options)


def test_an_accumulator_has_the_new_metrics_but_none_that_needs_row_order() -> None:
    rng = np.random.default_rng(7)
    prediction, target = rng.random(100), rng.random(100)
    names = ["all", "psnr"]
    total, other = Accumulator(metrics=names, peak=1.0), Accumulator(metrics=names, peak=1.0)
    total.update(prediction[60:], target[60:])
    other.update(prediction[:60], target[:60])
    total.merge(other)
    assert total.result().metrics == msecli.score(prediction, target, metrics=names, peak=1.0).metrics
    with pytest.raises(UsageError, match="metric 'mase' depends on the order of the rows"):
        Accumulator(metrics="mase")


def test_an_accumulator_refuses_and_warns_as_files_do() -> None:
    total = Accumulator(metrics=["mape", "medae"])
    total.update([1.0, 2.0], [2.0, 0.0])
    assert math.isnan(total.result().metrics["mape"])
    assert [(warning.code, warning.count) for warning in total.result().warnings] == [("zero_target", 1)]
    with pytest.raises(UsageError, match="metric 'medae' has no weighted form"):
        total.update([1.0], [1.0], [2.0])
    strict = Accumulator(metrics="msle")
    strict.update([1.0], [1.0])
    strict.update([1.0], [-3.0])
    with pytest.raises(DataError, match="target: the value in row 2 is below -1"):
        strict.result()
