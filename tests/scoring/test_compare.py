"""Many systems in one pass: each has the numbers of a score of its own, bit for bit, for any cut and any jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

import msecli
from msecli import Comparison, DataError, UsageError
from msecli.formats import csv
from msecli.scoring import compare_fold
from tests.files import parquet_bytes, text_bytes

ROWS, SYSTEMS = 600, 40
METRICS = ["rmse", "mae", "r2", "max_error", "medae", "bias"]
JOBS = pytest.mark.parametrize("jobs", [1, 3])


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small files as if they were large: their blocks begin at other rows than the windows."""
    monkeypatch.setattr(csv, "PART_BYTES", 2500)
    monkeypatch.setattr(compare_fold, "WINDOW", 170)


def table(rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(0)
    target = random.normal(size=rows)
    frame = pd.DataFrame({"y": target, "id": np.arange(rows), "g": random.choice(["u", "v", "w"], rows)})
    frame["w"] = random.uniform(0.5, 2, rows)
    frame["cl"] = np.arange(rows) // 9
    for number in range(SYSTEMS):
        noise = random.normal(size=rows) * (1 + number / 40)
        # Numbers of different lengths, so that the parts of text files hold different numbers of rows.
        frame[f"s{number}"] = np.round(target + noise, 1 + number % 16)
    return frame


def written(folder: Path, frame: pd.DataFrame, suffix: str) -> tuple[dict[str, str], str]:
    """Write every system to a file, and the targets with keys, groups and weights to another."""

    def write(name: str, columns: Mapping[str, Any]) -> str:
        path = folder / f"{name}.{suffix}"
        path.write_bytes(text_bytes(columns) if suffix == "csv" else parquet_bytes(columns, row_group_size=250))
        return str(path)

    systems = {
        f"s{number}": write(f"s{number}", {"id": frame["id"].to_numpy(), "yhat": frame[f"s{number}"].to_numpy()})
        for number in range(SYSTEMS)
    }
    return systems, write("target", {name: frame[name].to_numpy() for name in ("id", "y", "g", "w", "cl")})


def digits(result: Any) -> str:
    """Return all numbers of a score, groups included."""
    document = result.to_dict()
    return json.dumps({name: document.get(name) for name in ("loss", "metrics", "denominator", "elements", "groups")})


@JOBS
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
@pytest.mark.parametrize("options", [{}, {"on": "id"}, {"by": "g", "weight": "w", "metrics": "rmse,mae,r2"}])
def test_forty_systems_equal_forty_scores(tmp_path: Path, suffix: str, jobs: int, options: dict[str, Any]) -> None:
    systems, target = written(tmp_path, table(), suffix)
    columns: dict[str, Any] = {"pred": "yhat", "target": "y", "metrics": METRICS, "jobs": jobs, **options}
    found = msecli.compare(systems, target, **columns)
    for name, path in systems.items():
        result = found[name].result
        assert result is not None
        expected = msecli.score(path, target, **columns)
        assert digits(result) == digits(expected)
        assert result.rows == expected.rows
        assert result.signature == expected.signature


def test_columns_of_a_table_equal_scores_of_each() -> None:
    frame = table()
    names = [f"s{number}" for number in range(SYSTEMS)]
    found = msecli.compare(frame, pred=names, target="y", metrics=METRICS)
    for name in names:
        assert digits(found[name].result) == digits(msecli.score(frame, pred=name, target="y", metrics=METRICS))


def test_differences_agree_with_scipy() -> None:
    frame = table()
    found = msecli.compare(frame, pred=["s0", "s1", "s2"], target="y", reference="s1", adjust="none")
    squares = {name: (frame[name] - frame["y"]) ** 2 for name in ("s0", "s1", "s2")}
    for name in ("s0", "s2"):
        expected = stats.ttest_rel(squares[name], squares["s1"])
        interval = expected.confidence_interval(0.95)
        difference = found[name].difference
        assert difference is not None
        assert difference[:4] == pytest.approx(
            (float((squares[name] - squares["s1"]).mean()), interval.low, interval.high, expected.pvalue), rel=1e-9
        )


RESAMPLED = {"resamples": 60, "seed": 3}


@pytest.mark.parametrize(
    "options",
    [
        {"test": "t"},
        {"test": "bootstrap", **RESAMPLED},
        {"test": "permutation", **RESAMPLED},
        {"test": "bootstrap", "cluster": "cl", **RESAMPLED},
        {"test": "permutation", "cluster": "cl", "weight": "w", **RESAMPLED},
        {"test": "t", "cluster": "cl"},
        {"test": "t", "weight": "w"},
        {"test": "dm", "horizon": 5},
    ],
)
def test_tests_give_the_same_bits_for_any_jobs_and_any_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    systems, target = written(tmp_path, table(), "csv")
    chosen = {name: systems[name] for name in ("s0", "s7", "s20")}

    def differences(jobs: int) -> list[Any]:
        found = msecli.compare(chosen, target, pred="yhat", target="y", jobs=jobs, **options)
        return [system.difference for system in found.systems]

    expected = differences(1)
    assert differences(3) == expected
    monkeypatch.setattr(compare_fold, "WINDOW", 31)
    monkeypatch.setattr(csv, "PART_BYTES", 700)
    assert differences(2) == expected
    frame = table()
    frames = {name: frame[["id", name]].rename(columns={name: "yhat"}) for name in chosen}
    found = msecli.compare(frames, frame[["id", "y", "g", "w", "cl"]], pred="yhat", target="y", **options)
    assert [system.difference for system in found.systems] == expected


def test_several_columns_of_each_system_are_compared_element_by_element() -> None:
    random = np.random.default_rng(2)
    target = random.normal(size=(50, 3))
    ours, theirs = target + random.normal(size=(50, 3)), target + random.normal(size=(50, 3))
    found = msecli.compare({"ours": ours, "theirs": theirs}, target)
    expected = stats.ttest_rel(((theirs - target) ** 2).reshape(-1), ((ours - target) ** 2).reshape(-1))
    difference = found["theirs"].difference
    assert difference is not None
    assert difference.p == pytest.approx(expected.pvalue, rel=1e-9)


def test_arrays_of_another_width_fail_alone() -> None:
    target = np.zeros((5, 2))
    found = msecli.compare({"a": target + 1, "b": target[:, :1], "c": target + 2}, target)
    assert [system.status for system in found.systems] == ["ok", "error", "ok"]
    assert found.exit_code == 3


def test_columns_of_a_file_whose_keys_do_not_match_fail_together() -> None:
    predictions = pd.DataFrame({"id": [1, 2, 2], "a": [1.0, 2.0, 3.0], "b": [1.0, 1.0, 1.0]})
    target = pd.DataFrame({"id": [1, 2, 3], "y": [1.0, 2.0, 2.0]})
    with pytest.raises(msecli.DataError, match="1 duplicate key in 'id': 2 in rows 2 and 3"):
        msecli.compare(predictions, target, pred=["a", "b"], target="y", on="id")


def test_paths_are_named_by_their_stems(tmp_path: Path) -> None:
    paths = []
    for name in ("a", "b"):
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text("yhat\n1\n2\n")
    found = msecli.compare(paths, np.array([1.0, 3.0]))
    assert found.numbers() == {"a": 0.5, "b": 0.5}


def test_a_comparison_is_a_result_like_others() -> None:
    found = msecli.compare(table(200), pred=["s0", "s1"], target="y", by="g")
    assert isinstance(found, Comparison)
    assert float(found) == found["s0"].loss
    assert [case.name for case in found.cases()] == ["s0", "s1"]
    assert list(found.to_frame()["system"]) == ["s0"] * 4 + ["s1"] * 4
    assert repr(found).startswith("<Comparison: s0 ")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (({}, [1.0]), "no systems"),
        (({"a": [1.0], "b": [2.0]},), "need a file of targets"),
        ((["a.csv", "b.csv"],), "need a file of targets"),
    ],
)
def test_what_is_no_comparison_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        msecli.compare(*given)


def test_weights_of_one_system_are_refused() -> None:
    frame = table(50)
    with pytest.raises(DataError, match="is for all systems"):
        msecli.compare({"a": frame[["s0", "w"]], "b": frame[["s1", "w"]]}, frame["y"].to_numpy(), weight="w", pred="s0")


def test_a_changed_row_of_one_system_changes_nothing_else(tmp_path: Path) -> None:
    systems, target = written(tmp_path, table(500), "csv")
    chosen: dict[str, NDArray[Any] | str] = {name: systems[name] for name in ("s0", "s1", "s2")}
    options: dict[str, Any] = {"pred": "yhat", "target": "y"}
    before = msecli.compare(chosen, target, **options)
    Path(systems["s1"]).write_text(Path(systems["s1"]).read_text() + "500,1.0\n")
    after = msecli.compare(chosen, target, **options)
    assert (after["s2"].difference or ())[:4] == (before["s2"].difference or ())[:4] != ()
    assert "different numbers of rows" in (after["s1"].error or "")


@JOBS
def test_a_fault_in_the_middle_of_a_file_fails_its_system_alone(tmp_path: Path, jobs: int) -> None:
    systems, target = written(tmp_path, table(), "csv")
    chosen = {name: systems[name] for name in ("s0", "s1", "s2")}
    lines = Path(systems["s1"]).read_text().splitlines()
    lines[300] = "299,oops"
    Path(systems["s1"]).write_text("\n".join(lines) + "\n")
    found = msecli.compare(chosen, target, pred="yhat", target="y", jobs=jobs)
    assert [system.status for system in found.systems] == ["ok", "error", "ok"]
    assert "line 301" in (found["s1"].error or "")
    assert digits(found["s2"].result) == digits(msecli.score(systems["s2"], target, pred="yhat", target="y"))


def test_a_fault_in_the_targets_is_the_error_of_all(tmp_path: Path) -> None:
    systems, target = written(tmp_path, table(), "csv")
    lines = Path(target).read_text().splitlines()
    lines[300] = lines[300].replace(",", ",oops", 1)
    Path(target).write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match="line 301"):
        msecli.compare({"a": systems["s0"], "b": systems["s1"]}, target, pred="yhat", target="y")
