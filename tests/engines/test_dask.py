"""Scores by the workers of a Dask cluster have the bits of those by threads of this process, and the same errors.

The scheduler and two workers are processes of their own. What is expected is the result of the local engine.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import msecli
from tests.conftest import Ran
from tests.engines.cluster import SMALL, Cluster
from tests.engines.test_agreement import OMIT, ROWS, all_of, columns, stored

distributed = pytest.importorskip("distributed")

PAIRS = (("csv", "csv"), ("parquet", "parquet"), ("npy", "npy"), ("parquet", "tsv"), ("npy", "parquet"))
METRICS = ["all", "lp:3"]
COMPUTE: dict[str, dict[str, Any]] = {
    "position": {"metrics": METRICS},
    "groups": {"metrics": METRICS, "by": "g"},
    "batches": {"batch_size": 64, "metrics": "mae"},
    "shuffled batches": {"batch_size": 100, "shuffle": 3, "drop_last": True},
    "weights": {"weight_file": "w.npy", "reduction": "sum", "metrics": METRICS},
    "intervals": {"ci": 0.9, "cluster": "g"},
    "intervals by the bootstrap": {"ci": 0.9, "bootstrap": 100, "by": "g"},
    "what else can be asked": {"explain": True, "worst": 7, "by": "g", "sort": "mae", "top": 2},
    "intervals of clusters by the bootstrap": {"ci": 0.9, "bootstrap": 100, "cluster": "g"},
    "axis 0": {"axis": 0},
}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small files into many parts, some tasks, and text into many stretches."""
    for constant, value in {
        **SMALL,
        "msecli.engines.dask.FEWEST_ITEMS": 3,
        "msecli.engines.dask.ITEMS_PER_THREAD": 2,
        "msecli.engines.dask.JOINED_AT_ONCE": 2,
        "msecli.engines.dask.JOINED_HERE": 1,
    }.items():
        monkeypatch.setattr(constant, value)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", PAIRS, ids=".".join)
def test_a_cluster_gives_the_same_bits(cluster: Cluster, tmp_path: Path, kinds: tuple[str, str]) -> None:
    sides = [stored(tmp_path, name, kind, columns(seed)) for name, kind, seed in zip("pt", kinds, (1, 2), strict=True)]
    arrays = "npy" in kinds
    numbers = {"pred": "0", "b": "1", "w": "2", "g": "4"} if arrays else {}
    if arrays:  # columns of a table are then named by their numbers, too
        sides = [str(side) for side in sides]
        if kinds[1] == "parquet":
            table = pq.read_table(sides[1])
            pq.write_table(table.rename_columns(list("01234")), sides[1], row_group_size=90)
    both = [numbers.get(name, name) for name in ("pred", "b")]
    runs = {}
    for case, settings in COMPUTE.items():
        named = {"by", "cluster"}
        options = {name: numbers.get(value, value) if name in named else value for name, value in settings.items()}
        if "weight_file" in options:
            np.save(tmp_path / "w.npy", np.random.default_rng(3).random(ROWS))
            options["weight_file"] = tmp_path / "w.npy"
        runs[case] = partial(msecli.score, *sides, pred=both, target=both, **OMIT, **options)
    b = both[1]
    chosen = partial(msecli.score, *sides, pred=both, target=both, **OMIT, where=f"`pred.{b}` > 0")
    runs["chosen rows"] = partial(chosen, by_bins=f"pred.{b}:5")
    runs["batches of chosen rows"] = partial(chosen, batch_size=50, worst=3)
    runs["shuffled batches of chosen rows"] = partial(chosen, batch_size=70, shuffle=4, drop_last=True)
    runs["the bootstrap of chosen rows"] = partial(chosen, ci=0.9, bootstrap=100, by=numbers.get("g", "g"))
    model: dict[str, Any] = {"inputs": both, "target": both[0], "coef": [0.5, -0.25], "intercept": [2.0], **OMIT}
    runs["linear"] = partial(msecli.linear, *sides, **model, l1=0.5, grad_norm=True, keep="grad_params")
    runs["linear batches"] = partial(msecli.linear, *sides, **model, batch_size=90, grad_norm=True, keep="grad_params")
    with distributed.Client(cluster.address):
        different = [case for case, run in runs.items() if all_of(run(engine="dask")) != all_of(run(engine="local"))]
    assert different == []


TEXT = ("pred", "target", "note")


def written(path: Path, rows: Sequence[tuple[object, ...]], header: tuple[str, ...] = TEXT) -> Path:
    path.write_text("\n".join([",".join(header), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


def test_one_file_whose_quotes_hold_line_ends_and_whose_lines_are_blank(cluster: Cluster, tmp_path: Path) -> None:
    notes = ('"a\n1,2,b\n"', "plain", '"""\n""\n"', '"' + "3,4,c\n" * 700 + '"', "5' pipe")
    rows = [(row % 7 + 0.25, row % 5, notes[row % 97 % 5 if row % 3 else 1]) for row in range(500)]
    path = written(tmp_path / "x.csv", rows)
    path.write_text(path.read_text().replace("\n2.25,2,plain\n", "\n\n2.25,2,plain\n\n"))
    expected = msecli.score(path, metrics="all", by="note")
    found = msecli.score(path, metrics="all", by="note", engine="dask", scheduler_file=cluster.file)
    assert all_of(found) == all_of(expected)
    assert "blank_lines" in [warning.code for warning in found.warnings]


@pytest.mark.parametrize(
    ("row", "bad"),
    [
        (1800, "1.5,two,x"),
        (1800, "1.5,2"),
        (1200, '1.5,2,"never closed'),
        (5, "nan,2,x"),
        (2500, "1,,x"),
        (0, "1,2,3,4"),
    ],
)
def test_a_bad_row_has_the_same_message_and_exit_code(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran], row: int, bad: str
) -> None:
    rows: list[tuple[object, ...]] = [(each + 0.5, each % 7, "x") for each in range(3000)]
    rows[row] = tuple(bad.split(","))
    path = written(tmp_path / "x.csv", rows)
    expected = run("compute", path)
    assert run("compute", path, "--engine", "dask", "--scheduler", cluster.address) == expected
    assert expected.code == 3


def test_rows_that_do_not_belong_together_have_the_same_message(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    ids = list(range(3000))
    written(tmp_path / "p.csv", [(each, each + 0.5) for each in ids], ("id", "pred"))
    ids[1700:1702] = [1701, 1700]
    written(tmp_path / "t.csv", [(each, each % 7) for each in ids], ("id", "target"))
    command = ("compute", tmp_path / "p.csv", tmp_path / "t.csv")
    expected = run(*command)
    found = run(*command, "--engine", "dask", "--scheduler", cluster.address)
    # The command that is advised is the one that was run.
    assert found.err.replace(f" --engine dask --scheduler {cluster.address}", "") == expected.err
    assert found.code == expected.code
    assert (expected.code, "(line 1702)" in expected.err, "to pair rows by 'id'" in expected.err) == (3, True, True)


def test_files_of_different_lengths_are_refused_as_here(cluster: Cluster, tmp_path: Path) -> None:
    paths = [written(tmp_path / f"{rows}.csv", [(0.5,)] * rows, ("pred",)) for rows in (900, 901)]
    messages = []
    for more in ({}, {"engine": "dask", "scheduler": cluster.address}):
        with pytest.raises(msecli.DataError) as raised:
            msecli.score(*paths, **more)  # type: ignore[arg-type]
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert "900" in messages[0]


def folder_of(path: Path, texts: Sequence[str]) -> Path:
    path.mkdir(exist_ok=True)
    for number, text in enumerate(texts):
        (path / f"{number}.csv").write_text(text)
    return path


def texts_of(rows: Sequence[tuple[object, ...]], sizes: Sequence[int]) -> list[str]:
    """Return rows as the texts of several files, of so many rows each."""
    found, begin = [], 0
    for size in sizes:
        lines = [",".join(map(str, row)) for row in rows[begin : begin + size]]
        found.append("\n".join([",".join(TEXT), *lines]) + "\n")
        begin += size
    return found


@pytest.mark.parametrize("held", [True, False], ids=["held", "opened again"])
def test_a_folder_of_text_is_scored_as_here(
    cluster: Cluster, tmp_path: Path, held: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not held:
        monkeypatch.setattr("msecli.formats.folder.MOST_COLUMNS", 0)
    notes = ("plain", '"a\n1,2,b\n"', '"' + "3,4,c\n" * 700 + '"')
    rows = [(row % 7 + 0.25, row % 5, notes[row % 97 % 3 if row % 3 else 0]) for row in range(900)]
    folder = folder_of(tmp_path / "f", texts_of(rows, (300, 1, 0, 599)))
    np.save(tmp_path / "w.npy", np.random.default_rng(3).random(900))
    cases: tuple[dict[str, Any], ...] = ({"metrics": "all", "by": "note"}, {"weight_file": tmp_path / "w.npy"})
    for more in cases:
        expected = msecli.score(folder, **more)
        found = msecli.score(folder, engine="dask", scheduler=cluster.address, **more)
        assert all_of(found) == all_of(expected)


@pytest.mark.parametrize(("row", "bad"), [(100, "1,two,x"), (450, "1,2"), (700, '1,2,"open'), (899, ",2,x")])
def test_a_bad_row_in_a_folder_has_the_same_message(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran], row: int, bad: str
) -> None:
    rows: list[tuple[object, ...]] = [(each + 0.5, each % 7, "x") for each in range(900)]
    rows[row] = tuple(bad.split(","))
    folder = folder_of(tmp_path / "f", texts_of(rows, (400, 200, 300)))
    expected = run("compute", folder)
    assert run("compute", folder, "--engine", "dask", "--scheduler", cluster.address) == expected
    assert (expected.code, ".csv" in expected.err) == (3, True)


def test_rows_of_a_folder_that_do_not_belong_together_have_the_same_message(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    ids = [(each + 0.5, each % 7, each) for each in range(900)]
    texts = [text.replace("note", "id", 1) for text in texts_of(ids, (400, 200, 300))]
    folder = folder_of(tmp_path / "f", texts)
    ids[700] = (1.5, 2, 701)
    written(tmp_path / "t.csv", [row[1:] for row in ids], ("target", "id"))
    command = ("compute", folder, tmp_path / "t.csv", "-p", "pred", "-t", "target")
    expected = run(*command)
    found = run(*command, "--engine", "dask", "--scheduler", cluster.address)
    assert (expected.code, found.code, "2.csv, line 102" in found.err) == (3, 3, True)
    assert expected.err.startswith(found.err.rstrip())


def test_a_folder_has_the_tasks_that_were_planned(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    from msecli.engines.dask import DaskEngine

    rows = [(each + 0.5, each % 7, "x") for each in range(3000)]
    folder_of(tmp_path / "f", texts_of(rows, (1500, 1500)))
    pd.read_csv(written(tmp_path / "x.csv", rows)).to_parquet(tmp_path / "x.parquet", row_group_size=100)
    counts = list[int]()
    original = DaskEngine.run

    def counting(engine: DaskEngine, work: Any, items: Any, *more: Any) -> Iterator[Any]:
        counts.append(len(items))
        yield from original(engine, work, items, *more)

    monkeypatch.setattr(DaskEngine, "run", counting)
    for path, exact in ((tmp_path / "f", False), (tmp_path / "x.parquet", True)):
        words = ("compute", path, "--engine", "dask", "--scheduler", cluster.address)
        ran = run(*words, "--explain-plan")
        told = {name: int(value) for name, value in (line.split("\t") for line in ran.out.splitlines())}
        counts.clear()
        assert run(*words).code == 0
        assert told["threads"] == 2
        if exact:
            assert counts == [told["tasks"]]
        else:
            assert counts[0] == told["surveys"]
            assert counts[-1] == pytest.approx(told["tasks"], abs=2)


def test_a_state_is_saved_as_by_this_process(cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]) -> None:
    path = written(tmp_path / "x.csv", [(each + 0.5, each % 7, each % 3) for each in range(2000)])
    for name, more in (("a", ()), ("b", ("--engine", "dask", "--scheduler", cluster.address))):
        ran = run(
            "compute",
            path,
            "--by",
            "note",
            "-o",
            f"json={tmp_path / name}",
            "--save-state",
            tmp_path / f"{name}s",
            *more,
        )
        assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / "as").read_bytes() == (tmp_path / "bs").read_bytes()
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_two_clients_at_once_have_their_own_results(cluster: Cluster, tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    paths = [written(tmp_path / f"{n}.csv", [(each + n, each % 7, 0) for each in range(2000)]) for n in range(2)]
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(lambda path: msecli.score(path, engine="dask", scheduler=cluster.address), paths))
    assert list(map(all_of, found)) == [all_of(msecli.score(path)) for path in paths]


def test_progress_is_told_part_by_part(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from msecli.scoring.request import Request
    from msecli.scoring.run import run

    monkeypatch.setattr("msecli.engines.dask.LOOK_SECONDS", 0.01)
    path, shares = written(tmp_path / "x.csv", [(each + 0.5, each % 7, 0) for each in range(3000)]), list[float]()
    run(Request.of(predictions=str(path), engine="dask", scheduler=cluster.address), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] > 0.99  # the header is not counted
    assert any(0 < share < 0.99 for share in shares)


REFUSED: dict[tuple[str, ...], str] = {
    ("-r", "none"): "writes losses in parts where its workers are: name a folder on the command line, as in -o FOLDER/",
    ("--grad", "g.npy"): "writes gradients in parts where its workers are",
    ("--axis", "1"): "writes losses in parts where its workers are",
    ("--jobs", "2"): "--jobs is for threads of this process; --engine dask has those of its workers",
    ("--local", "1"): "--scheduler and --local both say where the workers are; choose one",
    ("--encoding", "utf-16"): "reads text in UTF-8",
}


@pytest.mark.parametrize("options", REFUSED, ids=" ".join)
def test_what_a_cluster_does_not_do_is_refused(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran], options: tuple[str, ...]
) -> None:
    for name in "pt":
        pd.DataFrame(np.ones((4, 3)), columns=["id", "x", "y"]).to_csv(tmp_path / f"{name}.csv", index=False)
    files = (tmp_path / "p.csv", tmp_path / "t.csv", "-p", "x,y", "--no-row-check")
    ran = run("compute", *files, "--engine", "dask", "--scheduler", cluster.address, *options)
    assert ran.code == 2
    assert REFUSED[options] in ran.err


def test_standard_input_and_data_in_memory_are_refused(run: Callable[..., Ran]) -> None:
    ran = run("compute", "-", "--engine", "dask", "--local", "1", stdin=b"pred,target\n1,2\n")
    assert (ran.code, "- is a stream; write it to a file" in ran.err) == (2, True)
    with pytest.raises(msecli.UsageError, match="predictions is in memory"):
        msecli.score(np.ones(3), np.ones(3), engine="dask", local=1)


def test_other_commands_refuse_a_cluster(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", [(1, 2, 3)])
    for call in (
        partial(msecli.norm, path, columns="pred"),
        partial(msecli.gradcheck, path),
    ):
        with pytest.raises(msecli.UsageError, match=r"engine='dask' does not [^;]* yet; use engine='local'"):
            call(engine="dask")


TESTED: dict[str, dict[str, Any]] = {
    "t": {"metrics": "all", "by": "g"},
    "bootstrap": {"test": "bootstrap", "seed": 3, "resamples": 50},
    "permutation": {"test": "permutation", "resamples": 50, "weight_file": "w.npy"},
    "clusters": {"cluster": "g"},
    "clusters by the bootstrap": {"test": "bootstrap", "resamples": 50, "cluster": "g"},
    "series": {"test": "dm", "horizon": 3},
    "sum": {"test": "none", "reduction": "sum"},
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_systems_are_compared_with_the_same_bits(
    cluster: Cluster, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {name: {key: np.nan_to_num(each) for key, each in columns(seed).items()} for seed, name in enumerate("tab")}
    paths = {name: stored(tmp_path, name, kind, each) for name, each in data.items()}
    monkeypatch.chdir(tmp_path)
    np.save("w.npy", data["t"]["w"])
    systems: Any = {"a": paths["a"], "b": paths["b"]}
    given: dict[str, Any] = {"pred": "pred", "target": "b"}
    runs = {name: partial(msecli.compare, systems, paths["t"], **given, **more) for name, more in TESTED.items()}
    runs["by column"] = partial(msecli.compare, paths["a"], pred=["pred", "w"], target="b", test="dm")
    with distributed.Client(cluster.address):
        different = [name for name, run in runs.items() if all_of(run(engine="dask")) != all_of(run(engine="local"))]
    assert different == []


def test_systems_that_cannot_be_compared_fail_as_here(cluster: Cluster, tmp_path: Path) -> None:
    rows = [(each + 0.5, each % 7, "x") for each in range(900)]
    target, good = (written(tmp_path / f"{name}.csv", rows) for name in "tg")
    short, bad = written(tmp_path / "short.csv", rows[:-1]), written(tmp_path / "bad.csv", rows)
    bad.write_text(bad.read_text().replace("\n700.5,", "\nseven,"))
    systems = {"good": good, "bad": bad, "short": short, "other": good}
    places: tuple[dict[str, Any], ...] = ({}, {"engine": "dask", "scheduler": cluster.address})
    found = [msecli.compare(systems, target, pred="pred", target="target", **more) for more in places]
    errors = [{each.name: each.error for each in one.systems} for one in found]
    assert errors[0]["short"] is not None
    assert errors[1] == errors[0]
    assert [each.result.loss for each in found[1].systems if each.result] == [
        each.result.loss for each in found[0].systems if each.result
    ]
    np.savez_compressed(tmp_path / "g.npz", pred=np.ones(900))
    (tmp_path / "g.npz.gz").write_bytes(gzip.compress((tmp_path / "g.npz").read_bytes()))
    systems = {"a": good, "b": tmp_path / "g.npz.gz"}
    with pytest.raises(msecli.UsageError, match="is compressed"):
        msecli.compare(systems, target, target="target", engine="dask", scheduler=cluster.address)


def test_the_runs_of_a_batch_share_a_connection(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from msecli.engines.dask import DaskEngine

    started = list[int]()
    original = DaskEngine.__enter__

    def counting(engine: DaskEngine) -> DaskEngine:
        started.append(1)
        return original(engine)

    monkeypatch.setattr(DaskEngine, "__enter__", counting)
    runs: list[dict[str, Any]] = []
    for number in range(6):
        path = written(tmp_path / f"{number}.csv", [(each + number, each % 7, each % 3) for each in range(2000)])
        runs.append({"name": f"r{number}", "predictions": path, "by": "note", "metrics": "rmse"})
    runs[3]["predictions"] = tmp_path / "none.csv"
    runs[4]["reduction"] = "sum"
    expected = msecli.batch(runs)
    journal = tmp_path / "j"
    found = msecli.batch(runs, engine="dask", scheduler_file=cluster.file, resume=journal)
    assert found.to_dict() == expected.to_dict()
    assert len(started) == 1
    again = msecli.batch(runs, engine="dask", scheduler_file=cluster.file, resume=journal)
    assert (again.taken, len(started)) == (5, 2)


def test_a_batch_says_which_run_a_cluster_does_not_do(
    cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    written(tmp_path / "x.csv", [(1, 2, 3), (3, 5, 4)])
    (tmp_path / "runs.csv").write_text("name,predictions,axis\na,x.csv,\nb,x.csv,1\n")
    words = ("batch", tmp_path / "runs.csv", "--engine", "dask", "--scheduler", cluster.address, "-p", "pred,note")
    ran = run(*words, "-t", "target,note")
    assert ran.code == 2
    assert "run 'b': engine = 'dask' writes losses in parts where its workers are" in ran.err
    assert run(*words, "--jobs", "2").err.startswith("Error: --jobs is for threads of this process")


def test_a_cluster_that_nobody_names_is_not_started(tmp_path: Path, run: Callable[..., Ran]) -> None:
    path = written(tmp_path / "x.csv", [(1, 2, 3)])
    ran = run("compute", path, "--engine", "dask")
    assert ran.code == 2
    assert "start a cluster with the commands dask scheduler and dask worker tcp://HOST:8786" in ran.err
    ran = run("compute", path, "--scheduler", "tcp://h:1")
    assert (ran.code, ran.err.rstrip().endswith("--scheduler tcp://h:1 --engine dask")) == (2, True)


def test_a_cluster_is_started_here_on_purpose(tmp_path: Path) -> None:
    import subprocess
    import sys

    path = written(tmp_path / "x.csv", [(each + 0.5, each % 7, 0) for each in range(2000)])
    command = [sys.executable, "-m", "msecli", "compute", str(path), "--engine", "dask", "--local", "1"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert float(ran.stdout) == msecli.score(path).loss
