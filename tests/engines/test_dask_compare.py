"""Systems whose rows the workers of a Dask cluster pair by key are compared with the same bits, and fail alike.

The scheduler and two workers are processes of their own. What is expected is the result of the local engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.results.compare import Comparison
from tests.conftest import Ran
from tests.engines.cluster import Cluster
from tests.engines.test_agreement import ROWS, all_of, columns, stored
from tests.engines.test_dask_keys import _small, shuffled, written

distributed = pytest.importorskip("distributed")
_ = _small  # cuts small files

PAIRS = (("csv", "csv"), ("parquet", "csv"), ("npy", "npy"))
OMIT: dict[str, Any] = {"nan_target": "omit", "nan_pred": "omit"}
CASES: dict[str, dict[str, Any]] = {
    "t": {"metrics": "all", "by": "g"},
    "missing values": {"missing": True, **OMIT},
    "the bootstrap": {"test": "bootstrap", "seed": 3, "resamples": 50},
    "permutation": {"test": "permutation", "resamples": 50, "weight": "v"},
    "clusters": {"cluster": "g"},
    "clusters by the bootstrap": {"test": "bootstrap", "resamples": 50, "cluster": "g"},
    "series": {"test": "dm", "horizon": 3},
    "series with a metric of one": {"test": "none", "metrics": "mase", "season": 7},
    "sum": {"test": "none", "reduction": "sum", "sort": "loss"},
    "common rows": {"fewer": True, "unmatched": "skip", "by": "g"},
    "common rows by the bootstrap": {"fewer": True, "unmatched": "skip", "test": "bootstrap", "resamples": 50},
    "signs of common rows": {"fewer": True, "unmatched": "skip", "test": "permutation", "resamples": 50, **OMIT},
}


def in_order(data: dict[str, Any], seed: int, rows: int = ROWS) -> dict[str, Any]:
    """Return the first of some rows in an order of their own."""
    order = np.random.default_rng(seed).permutation(ROWS)[:rows]
    return {name: values[order] for name, values in data.items()}


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PAIRS, ids=".".join)
def test_systems_are_compared_with_the_same_bits(cluster: Cluster, tmp_path: Path, kinds: tuple[str, str]) -> None:
    numbers = {"pred": "0", "b": "1", "v": "2", "id": "3", "g": "4"} if "npy" in kinds else {}

    def file(name: str, kind: str, seed: int, rows: int = ROWS, *, holes: bool = False) -> Path:
        data = {"v" if key == "w" and name[0] == "t" else key: each for key, each in columns(seed).items()}
        data = data if holes else {key: np.nan_to_num(each) for key, each in data.items()}
        path: Path = stored(tmp_path, name, kind, in_order(data, seed, rows))
        return path

    target = file("t", kinds[1], 2)
    systems = {name: file(name, kinds[0], seed) for seed, name in enumerate("abc", 3)}
    with_holes = {name: file(f"{name}h", kinds[0], seed, holes=True) for seed, name in enumerate("abc", 3)}
    with_fewer = {name: file(f"{name}f", kinds[0], seed, ROWS - 20 * seed) for seed, name in enumerate("abc", 3)}
    holes = file("th", kinds[1], 2, holes=True)

    def named(value: Any) -> Any:
        return numbers.get(value, value) if isinstance(value, str) else value

    runs: dict[str, Callable[..., Comparison]] = {}
    for case, settings in CASES.items():
        if numbers and "weight" in settings:
            continue  # a column of both files
        names = {"by", "cluster", "weight"}
        options = {name: named(value) if name in names else value for name, value in settings.items()}
        missing, fewer = options.pop("missing", False), options.pop("fewer", False)
        given = with_holes if missing else with_fewer if fewer else systems
        columns_of: dict[str, Any] = {"pred": named("pred"), "target": named("b"), "on": named("id")}
        runs[case] = partial(msecli.compare, given, holes if missing else target, **columns_of, **options)
    runs["by column"] = partial(
        msecli.compare, systems["a"], target, pred=[named("pred"), "2" if numbers else "w"], target=named("b"),
        on=named("id"), test="permutation", resamples=50,
    )  # fmt: skip
    with distributed.Client(cluster.address):
        different = [case for case, run in runs.items() if all_of(run(engine="dask")) != all_of(run(engine="local"))]
    assert different == []
    assert runs["common rows"]().systems[0].result.rows.dropped  # type: ignore[union-attr]


NUMBER = 600
ROWS_OF: list[tuple[object, ...]] = [(f"k{row}", row % 11 + 0.25, row % 3) for row in range(NUMBER)]


def test_systems_that_do_not_match_fail_as_here(cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]) -> None:
    header = "id,y,g"
    target = written(tmp_path / "t.csv", header, ROWS_OF)
    bad = [(key, "two" if key == "k500" else value, group) for key, value, group in ROWS_OF]
    other = [(key, value, 9 if key in {"k77", "k400"} else group) for key, value, group in ROWS_OF]
    files = {
        "good": shuffled(ROWS_OF),
        "twice": [*shuffled(ROWS_OF), ROWS_OF[5], ROWS_OF[8]],
        "fewer": shuffled(ROWS_OF[:-3]),
        "cases": shuffled([(str(key).upper(), *rest) for key, *rest in ROWS_OF]),
        "bad": shuffled(bad),
        "groups": shuffled(other),
        "keyless": [*shuffled(ROWS_OF), ("", 1, 1)],
        "fair": shuffled([(key, 1, group) for key, _, group in ROWS_OF]),
    }
    paths = [written(tmp_path / f"{name}.csv", header, rows) for name, rows in files.items()]
    options = ("-p", "y", "-t", "y", "--on", "id", "--by", "g", "--format", "json")
    words = ("compare", *paths, target, *options)
    elsewhere = ("--engine", "dask", "--scheduler", cluster.address)
    for more in ((), ("--unmatched", "skip"), ("--test", "bootstrap", "--resamples", "20")):
        expected = run(*words, *more)
        assert run(*words, *more, *elsewhere) == expected
    fast = ("compare", *paths[:4], target, *options, "--fail-fast")
    assert run(*fast, *elsewhere) == run(*fast)
    assert [system.error is None for system in compared(paths, target).systems] == [
        name in {"good", "fair"} for name in files
    ]
    for broken in ([*ROWS_OF, ROWS_OF[3]], bad):
        written(target, header, broken)
        expected = run(*words)
        assert (expected.code, run(*words, *elsewhere)) == (3, expected)


def compared(paths: list[Path], target: Path) -> Comparison:
    return msecli.compare(paths, target, pred="y", target="y", on="id", by="g")


def test_systems_without_a_common_row_are_refused(cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]) -> None:
    target = written(tmp_path / "t.csv", "id,y,g", ROWS_OF)
    paths = [written(tmp_path / f"{at}.csv", "id,y,g", ROWS_OF[at : at + 300]) for at in (0, 300)]
    words = ("compare", *paths, target, "-p", "y", "-t", "y", "--on", "id", "--unmatched", "skip")
    expected = run(*words)
    assert (expected.code, "no row is in all files" in expected.err) == (3, True)
    assert run(*words, "--engine", "dask", "--scheduler", cluster.address) == expected


def test_keys_of_other_columns_of_the_targets_are_refused(cluster: Cluster, tmp_path: Path) -> None:
    """A name such as `x=y=z` is a pair of columns in two ways."""
    target = written(tmp_path / "t.csv", "z,y=z,target", [(row, row, 1) for row in range(9)])
    paths = [
        written(tmp_path / f"{name}.csv", f"{name},pred", [(row, row) for row in range(9)]) for name in ("x", "x=y")
    ]
    compare = partial(msecli.compare, paths, target, pred="pred", target="target", on="x=y=z")
    assert [system.error for system in compare().systems] == [None, None]
    with pytest.raises(msecli.UsageError, match=r"keys are not the same columns of .* for all systems"):
        compare(engine="dask", scheduler=cluster.address)
