"""Rows that the workers of a Dask cluster pair by key: the same bits, counts, warnings and errors as in this process.

The scheduler and two workers are processes of their own. What is expected is the result of the local engine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import msecli
from tests.conftest import Ran
from tests.engines.cluster import ENVIRONMENT, SMALL, Cluster, cluster_of, wait_until
from tests.engines.test_agreement import OMIT, ROWS, all_of, columns, stored
from tests.engines.test_dask_faults import ended, started

distributed = pytest.importorskip("distributed")

METRICS = ["all", "lp:3"]
PAIRS = (("csv", "csv"), ("parquet", "parquet"), ("npy", "npy"), ("parquet", "tsv"), ("npy", "parquet"))
CASES: dict[str, dict[str, Any]] = {
    "key": {"on": "id", "metrics": METRICS},
    "groups": {"on": "id", "by": "g", "reduction": "sum", "metrics": METRICS},
    "two keys": {"on": ["id", "g"], "metrics": METRICS},
    "weights": {"on": "id", "weight": "w", "metrics": METRICS},
    "skipped": {"on": "id", "unmatched": "skip", "by": "g"},
    "intervals": {"on": "id", "ci": 0.9, "cluster": "g"},
    "what else can be asked": {"on": "id", "explain": True, "worst": 7, "by": "g", "sort": "mae", "top": 2},
    "axis 0": {"on": "id", "axis": 0},
    "batches": {"on": "id", "batch_size": 64, "metrics": "mae"},
    "shuffled batches": {"on": "id", "batch_size": 100, "shuffle": 3, "drop_last": True},
    "shuffled batches of matched rows": {"on": "id", "batch_size": 90, "shuffle": 1, "unmatched": "skip"},
    "the bootstrap": {"on": "id", "ci": 0.9, "bootstrap": 100, "by": "g"},
    "the bootstrap of matched rows": {"on": "id", "ci": 0.9, "bootstrap": 100, "seed": 1, "unmatched": "skip"},
    "the bootstrap of clusters": {"on": "id", "ci": 0.9, "bootstrap": 100, "cluster": "g"},
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small files into many parts, and deal their rows into more buckets than workers."""
    for constant, value in {
        **SMALL,
        "msecli.scoring.buckets.BUCKETS_PER_JOB": 3,
        "msecli.scoring.buckets.HANDED_BYTES": 1,
        "msecli.engines.dask.JOINED_AT_ONCE": 2,
        "msecli.engines.dask.SENT_BYTES": 0,  # so that workers ask each other for work
    }.items():
        monkeypatch.setattr(constant, value)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PAIRS, ids=".".join)
def test_a_cluster_gives_the_same_bits(cluster: Cluster, tmp_path: Path, kinds: tuple[str, str]) -> None:
    order = np.random.default_rng(5).permutation(ROWS)
    shuffled = {name if name != "w" else "v": values[order] for name, values in columns(2).items()}
    sides: list[Any] = [
        stored(tmp_path, name, kind, data) for name, kind, data in zip("pt", kinds, (columns(1), shuffled), strict=True)
    ]
    fewer = stored(tmp_path, "u", kinds[1], {name: values[60:] for name, values in shuffled.items()})
    numbers = {"pred": "0", "b": "1", "w": "2", "id": "3", "g": "4"} if "npy" in kinds else {}
    if kinds == ("npy", "parquet"):  # columns of a table are then named by their numbers, too
        for path in (sides[1], fewer):
            pq.write_table(pq.read_table(path).rename_columns(list("01234")), path, row_group_size=90)

    def named(value: Any) -> Any:
        return [named(each) for each in value] if isinstance(value, list) else numbers.get(value, value)

    both = [named("pred"), named("b")]
    runs: dict[str, Callable[..., Any]] = {
        case: partial(
            msecli.score,
            sides[0],
            fewer if "unmatched" in settings else sides[1],
            pred=both,
            target=both,
            **OMIT,
            **{name: named(value) if name != "sort" else value for name, value in settings.items()},
        )
        for case, settings in CASES.items()
        if case != "weights" or not numbers  # of which there would be a column in both files
    }
    chosen: dict[str, Any] = {"on": named("id"), "where": f"`pred.{both[1]}` > 0"}
    score = partial(msecli.score, *sides, pred=both, target=both, **OMIT, **chosen)
    runs["chosen rows"] = partial(score, by_bins=f"pred.{both[1]}:5", metrics="mae", worst=4)
    runs["batches of chosen rows"] = partial(score, batch_size=50, drop_last=True)
    runs["the bootstrap of chosen rows"] = partial(score, ci=0.9, bootstrap=100, by=named("g"))
    matched = partial(msecli.score, sides[0], fewer, pred=both, target=both, **OMIT, **chosen, unmatched="skip")
    runs["batches of chosen matched rows"] = partial(matched, batch_size=40, shuffle=2)
    model: dict[str, Any] = {"inputs": both, "target": both[0], "coef": [0.5, -0.25], "intercept": [2.0], **OMIT}
    runs["linear"] = partial(
        msecli.linear, *sides, **model, on=named("id"), by=named("g"), grad_norm=True, keep="grad_params"
    )
    with distributed.Client(cluster.address):
        different = [case for case, run in runs.items() if all_of(run(engine="dask")) != all_of(run(engine="local"))]
    assert different == []


Rows = Sequence[tuple[object, ...]]


def written(path: Path, header: str, rows: Rows) -> Path:
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def table(path: Path, **columns: Any) -> Path:
    arrays = {name: np.array(values) if isinstance(values, list) else values for name, values in columns.items()}
    pq.write_table(pa.table(arrays), path, row_group_size=70)
    return path


def shuffled(rows: Rows) -> list[tuple[object, ...]]:
    return [rows[row] for row in np.random.default_rng(8).permutation(len(rows))]


class Both:
    """Runs a command here and on the cluster, and sees that nothing differs."""

    def __init__(self, run: Callable[..., Ran], cluster: Cluster) -> None:
        self._run, self._cluster = run, cluster

    def __call__(self, *words: object) -> Ran:
        """Return what the command prints, as JSON."""
        expected = self._run("compute", *words, "--format", "json")
        found = self._run(
            "compute", *words, "--format", "json", "--engine", "dask", "--scheduler", self._cluster.address
        )
        assert found == expected
        return expected


@pytest.fixture
def both(run: Callable[..., Ran], cluster: Cluster) -> Both:
    return Both(run, cluster)


NUMBER = 900
PRED: Rows = [(f"k{row}", row + 0.25) for row in range(NUMBER)]
TARGET: Rows = [(f"k{row}", row % 7) for row in range(NUMBER)]


def test_duplicate_keys_of_both_files_are_told(both: Both, tmp_path: Path) -> None:
    again = [PRED[row] for row in (5, 700, 31, 5, 400)]
    pred = written(tmp_path / "p.csv", "id,pred", [*PRED, *again])
    target = written(tmp_path / "t.csv", "id,target", [*shuffled(TARGET), TARGET[8]])
    for more in ((), ("--unmatched", "skip")):
        ran = both(pred, target, "--on", "id", *more)
        assert ran.code == 3
        # Rows are counted from the first below the header: 5 was added as the first and the fourth after 900 rows.
        assert "4 duplicate keys in 'id': 'k5' in rows 6 and 904 (lines 7 and 905), 'k31'" in ran.err
        assert "1 duplicate key in 'id': 'k8'" in ran.err


def test_keys_of_which_most_are_duplicates_are_told_without_holding_all_rows(both: Both, tmp_path: Path) -> None:
    pred = written(tmp_path / "p.csv", "day,shop,pred", [(row % 9, row % 2, row) for row in range(NUMBER)])
    target = written(tmp_path / "t.csv", "day,shop,target", [(row, 0, row) for row in range(9)])
    assert "18 duplicate keys in 'day' and 'shop'" in both(pred, target, "--on", "day,shop").err


@pytest.mark.parametrize("unmatched", ["error", "skip"])
def test_keys_without_a_match_are_told_or_skipped(both: Both, tmp_path: Path, unmatched: str) -> None:
    pred = written(tmp_path / "p.csv", "id,pred", PRED[:-40])
    target = written(tmp_path / "t.csv", "id,target", shuffled(TARGET[3:]))
    ran = both(pred, target, "--on", "id", "--unmatched", unmatched)
    if unmatched == "error":
        assert "3 of 860 keys ('id') have no match in" in ran.err
        assert "40 of 897 keys" in ran.err
    else:
        rows = json.loads(ran.out)["rows"]
        assert (rows["matched"], rows["unmatched_prediction"], rows["unmatched_target"]) == (857, 3, 40)


def test_keys_that_differ_in_their_spelling_are_told(both: Both, tmp_path: Path) -> None:
    pred = written(tmp_path / "p.csv", "id,pred", PRED)
    target = written(tmp_path / "t.csv", "id,target", shuffled([(str(key).upper(), value) for key, value in TARGET]))
    assert "keys differ in upper and lower case" in both(pred, target, "--on", "id").err


@pytest.mark.parametrize("unmatched", ["error", "skip"])
def test_rows_without_a_key_are_told_or_skipped(both: Both, tmp_path: Path, unmatched: str) -> None:
    pred = written(tmp_path / "p.csv", "id,day,pred", [(key, row % 3, row) for row, (key, _) in enumerate(PRED)])
    rows = [("" if row in {300, 650} else key, row % 3, row) for row, (key, _) in enumerate(TARGET)]
    target = written(tmp_path / "t.csv", "id,day,target", rows)
    ran = both(pred, target, "--on", "id,day", "--unmatched", unmatched)
    assert ("2 rows without a key in 'id' and 'day', the first in row 301" in ran.err) == (unmatched == "error")


def _day(row: int) -> str:
    return str(np.datetime64("2020-01-01") + row)


KEYS: dict[str, tuple[Callable[[int], object], Callable[[int], object]]] = {
    "integers": (int, int),
    "integers and texts of them": (int, str),
    "integers and floats": (int, float),
    "digits behind zeros": (lambda row: f"{row:05}", lambda row: f"{row:05}"),
    "decimals of other lengths": (lambda row: f"{row / 4}", lambda row: f"{row / 4:.2f}"),
    "a text among integers": (lambda row: "x" if row == 800 else row, lambda row: "x" if row == 800 else row),
    "days and times": (_day, lambda row: f"{_day(row)} 00:00:00"),
    "times with offsets": (lambda row: f"{_day(row)}T01:00:00+01:00", lambda row: f"{_day(row)} 00:00Z"),
    "integers beyond int64": (lambda row: np.uint64(2**63 + row), lambda row: 2**63 + row),
}


@pytest.mark.parametrize("kinds", ["csv.csv", "csv.parquet", "parquet.csv"])
@pytest.mark.parametrize("case", KEYS)
def test_keys_are_compared_by_value(both: Both, tmp_path: Path, case: str, kinds: str) -> None:
    order = np.random.default_rng(4).permutation(NUMBER).tolist()
    keys = [[KEYS[case][0](row) for row in range(NUMBER)], [KEYS[case][1](row) for row in order]]
    values = [[row + 0.5 for row in range(NUMBER)], [row % 7 for row in order]]
    paths = []
    for name, kind, own, numbers in zip(("pred", "target"), kinds.split("."), keys, values, strict=True):
        path = tmp_path / f"{name}.{kind}"
        if kind == "csv":
            paths.append(written(path, f"id,{name}", list(zip(own, numbers, strict=True))))
        else:
            texts = len({type(key) for key in own}) > 1
            paths.append(table(path, id=[str(key) for key in own] if texts else own, **{name: numbers}))
    ran = both(*paths, "--on", "id", "--by", "id", "--top", "3")
    assert json.loads(ran.out)["rows"]["matched"] == NUMBER


def test_texts_are_compared_by_value_only_where_they_are_not_the_same_in_both_files(both: Both, tmp_path: Path) -> None:
    keys = [key for row in range(300) for key in (f"{row}.5", f"{row}.50")]
    pred = written(tmp_path / "p.csv", "id,pred", [(key, 1.5) for key in keys])
    target = written(tmp_path / "t.csv", "id,target", shuffled([(key, 2) for key in keys]))
    assert both(pred, target, "--on", "id").code == 0
    fewer = written(tmp_path / "u.csv", "id,target", shuffled([(key, 2) for key in keys[:-1]]))
    assert "300 duplicate keys" in both(pred, fewer, "--on", "id").err


def test_the_same_digits_as_text_and_as_numbers_are_told(both: Both, tmp_path: Path) -> None:
    pred = table(tmp_path / "p.parquet", id=list(range(NUMBER)), pred=[0.5] * NUMBER)
    texts = [str(row) for row in reversed(range(NUMBER))]
    target = table(tmp_path / "t.parquet", id=texts, target=[1.0] * NUMBER)
    assert "mixed_key_types" in both(pred, target, "--on", "id").out
    fewer = table(tmp_path / "u.parquet", id=texts[1:], target=[1.0] * (NUMBER - 1))
    assert "mixed_key_types" not in both(pred, fewer, "--on", "id", "--unmatched", "skip").out


def test_groups_that_differ_between_the_files_are_told(both: Both, tmp_path: Path) -> None:
    rows = [(row, row % 5, row % 4, row + 0.5) for row in range(NUMBER)]
    pred = written(tmp_path / "p.csv", "id,g,h,pred", rows)
    others = [(row, 9 if row == 700 else g, 9 if row in {650, 720} else h, 1) for row, g, h, _ in rows]
    target = written(tmp_path / "t.csv", "id,g,h,target", shuffled(others))
    assert "column 'g' differs between row 701" in both(pred, target, "--on", "id", "--by", "g,h").err


def test_other_columns_that_are_text_in_one_part_are_text_in_all(both: Both, tmp_path: Path) -> None:
    rows = [(row, "x" if row == 500 else row % 3, row + 0.5) for row in range(NUMBER)]
    pred = written(tmp_path / "p.csv", "id,g,pred", rows)
    target = written(tmp_path / "t.csv", "key,target", shuffled([(row, row % 7) for row in range(NUMBER)]))
    ran = both(pred, target, "--on", "id=key", "--by", "g", "--worst", "5")
    assert [entry["group"] for entry in json.loads(ran.out)["groups"]] == [
        {"g": label} for label in ("0", "1", "2", "x")
    ]


def test_a_bad_row_and_an_empty_file_have_the_same_messages(both: Both, tmp_path: Path) -> None:
    target = written(tmp_path / "t.csv", "id,target", TARGET)
    bad = written(tmp_path / "p.csv", "id,pred", [*PRED[:500], ("k500", "two"), *PRED[501:]])
    assert "line 502" in both(bad, target, "--on", "id").err
    empty = table(tmp_path / "e.parquet", id=pa.array([], pa.string()), pred=pa.array([], pa.float64()))
    assert both(empty, target, "--on", "id").code == 3


def test_missing_values_are_told_with_their_rows(both: Both, tmp_path: Path) -> None:
    pred = written(tmp_path / "p.csv", "id,pred", [(key, "" if key in {"k90", "k800"} else 1) for key, _ in PRED])
    target = written(tmp_path / "t.csv", "id,target", shuffled(TARGET))
    assert "(line 92)" in both(pred, target, "--on", "id").err


def test_files_in_folders_have_keys_in_their_names(both: Both, tmp_path: Path) -> None:
    for day in range(4):
        folder = tmp_path / "p" / f"day={day}"
        folder.mkdir(parents=True)
        table(folder / "x.parquet", id=list(range(200)), pred=[row + day / 8 for row in range(200)])
    rows = [(day, row, row % 5) for day in range(4) for row in range(200)]
    target = written(tmp_path / "t.csv", "day,id,target", shuffled(rows))
    assert json.loads(both(tmp_path / "p", target, "--on", "day,id").out)["rows"]["matched"] == 800


@pytest.mark.parametrize("more", [(), ("--batch-size", "100"), ("--by", "g")], ids=" ".join)
def test_metrics_of_a_series_follow_the_predictions(both: Both, tmp_path: Path, more: tuple[str, ...]) -> None:
    pred = written(tmp_path / "p.csv", "id,pred,g", [(key, value, row % 3) for row, (key, value) in enumerate(PRED)])
    target = written(tmp_path / "t.csv", "id,target", shuffled(TARGET))
    assert json.loads(both(pred, target, "--on", "id", "-m", "mase", "--season", "5", *more).out)["metrics"]["mase"]
    ran = both(pred, written(tmp_path / "u.csv", "id,target", shuffled(TARGET[1:])), "--on", "id", "-m", "mase")
    assert (ran.code, "unmatched" in ran.err) == (3, False)


PRELOAD = """
import time
from pathlib import Path
import msecli.scoring.by_key as by_key
import msecli.scoring.buckets as buckets
import msecli.scoring.matching as matching

def slowed(name, function):
    def slow(*arguments):
        Path({folder!r}, name).touch()
        time.sleep(0.2)
        return function(*arguments)
    return slow

buckets.Deal.deal = slowed("dealing", buckets.Deal.deal)
matching.Pairing.each = slowed("pairing", matching.Pairing.each)
by_key.Ranges.deal = slowed("ordering", by_key.Ranges.deal)
by_key.Ranges.work = slowed("working", by_key.Ranges.work)
"""
"""What workers load as they start, to tell what they do, and to take long for it."""


@pytest.mark.slow
@pytest.mark.faults
@pytest.mark.parametrize(
    ("stage", "after"),
    [("dealing", 0.0), ("dealing", 0.7), ("pairing", 0.0), ("pairing", 0.3), ("ordering", 0.5), ("working", 0.0)],
)
def test_a_worker_that_is_killed_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, after: float
) -> None:
    monkeypatch.setitem(ENVIRONMENT, "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "3s")  # to the one that is killed
    pred = written(tmp_path / "p.csv", "id,pred,g", [(row, row + 0.25, row % 3) for row in range(4000)])
    target = written(tmp_path / "t.csv", "id,target", shuffled([(row, row % 7) for row in range(4000)]))
    ordered = stage in {"ordering", "working"}
    expected = msecli.score(pred, target, on="id", by="g", batch_size=300 if ordered else None).to_dict()
    preload = tmp_path / "preload.py"
    preload.write_text(PRELOAD.format(folder=str(tmp_path)))
    with cluster_of(tmp_path / "c", 2, preload) as cluster:
        more = ("--batch-size", "300") if ordered else ()
        process = started(cluster, pred, str(target), "--on", "id", *more)
        wait_until((tmp_path / stage).exists)
        time.sleep(after)
        cluster.workers[0].kill()
        assert process.poll() is None
        code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert json.loads(out) == expected
