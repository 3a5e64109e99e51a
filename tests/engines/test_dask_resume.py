"""A score on a cluster that has ended early goes on from its journal: the rest is read, and the bits are the same."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.scoring import resume
from tests.conftest import Ran
from tests.engines.cluster import PATIENCE, Cluster, cluster_of, wait_until
from tests.engines.test_agreement import OMIT, all_of, columns, stored
from tests.engines.test_dask import COMPUTE

pytest.importorskip("distributed")

ROWS = 4000
COMMAND = """
import sys
import msecli.engines.dask as dask, msecli.formats.csv as csv, msecli.scoring.spans as spans
csv.PART_BYTES, spans.BYTES_PER_SECOND, dask.FEWEST_ITEMS, dask.ITEMS_PER_THREAD = 1000, 500, 4, 2
from msecli.__main__ import main
main()
"""
"""The command line, with files cut into some thirty tasks."""

PRELOAD = """
import os, time
import msecli.scoring.fold as fold, msecli.text.survey as surveys

def scored(plan, batches, rows, score=fold.score_rows):
    time.sleep({seconds})
    noted("rows", rows.rows)
    return score(plan, batches, rows)

def surveyed(stretch, survey=surveys.survey):
    noted("survey", 1)
    yield from survey(stretch)

def noted(what, number):
    with open({log!r}, "a") as file:
        file.write(f"{{what}} {{number}}\\n")

# It may be loaded more than once.
for made, module, name in ((scored, fold, "score_rows"), (surveyed, surveys, "survey")):
    if getattr(module, name).__code__.co_name == made.__name__:
        continue
    made.__module__, made.__qualname__ = module.__name__, name
    setattr(module, name, made)
"""
"""What a worker loads as it starts, to note what it reads."""


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut small files into many parts, and waves of a few of them."""
    for constant, value in {
        "msecli.formats.csv.PART_BYTES": 2_000,
        "msecli.formats.csv.RANGES_SURVEYED": 3,
        "msecli.formats.stored.PART_ELEMENTS": 200,
        "msecli.scoring.spans.BYTES_PER_SECOND": 1_000,
        "msecli.scoring.spans.VALUES_PER_SECOND": 50,
        "msecli.engines.dask.FEWEST_ITEMS": 2,
        "msecli.engines.dask.ITEMS_PER_THREAD": 1,
        "msecli.engines.dask.JOINED_AT_ONCE": 2,
    }.items():
        monkeypatch.setattr(constant, value)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "x.csv"
    path.write_text("pred,target,g\n" + "".join(f"{row}.25,{row % 7},{row % 3}\n" for row in range(ROWS)))
    return path


class Noting:
    """What the workers of clusters have read: they note it in a file."""

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        self.log, self.preload = folder / "log", folder / "preload.py"
        self.preload.write_text(PRELOAD.format(seconds=seconds, log=str(self.log)))

    def taken(self) -> dict[str, int]:
        """Return the number of rows scored and of stretches surveyed since the last time."""
        found = {"rows": 0, "survey": 0}
        for line in self.log.read_text().splitlines() if self.log.exists() else ():
            name, number = line.split()
            found[name] += int(number)
        self.log.unlink(missing_ok=True)
        return found


def started(cluster: Cluster, path: Path, journal: Path, *more: object) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", COMMAND, "compute", path, "--by", "g", "-m", "rmse,mae", "--format", "json"]
    words += ["--engine", "dask", "--scheduler", cluster.address, "--resume", journal, *more]
    return subprocess.Popen(list(map(str, words)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def records(journal: Path) -> list[dict[str, Any]]:
    """Return what the lines of a journal say, the header first."""
    found, content = [], journal.read_bytes()
    while content:
        line, _, content = content.partition(b"\n")
        found.append(json.loads(line.split(b" ", 2)[2]))
        content = content[found[-1].get("bytes", 0) :]
    return found


def last_pass(journal: Path) -> list[dict[str, Any]]:
    """Return the records of the pass that scores rows; the one before, which counts them, is of fewer items."""
    return [each for each in records(journal) if each.get("of", 0) > 20]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_a_run_whose_scheduler_was_killed_reads_only_the_rest(tmp_path: Path, table: Path, threads: int) -> None:
    journal, noting = tmp_path / "j", Noting(tmp_path, 0.1)
    with cluster_of(tmp_path / "a", 2, noting.preload) as cluster:
        process = started(cluster, table, journal)
        wait_until(lambda: journal.exists() and len(last_pass(journal)) > 1)
        cluster.scheduler.kill()
        code, out, err = ended(process)
    assert (code, out) == (4, "")
    assert err == f"Error: the scheduler {cluster.address} is lost; run again\n"
    kept = last_pass(journal)
    first = noting.taken()
    assert 0 < first["rows"] < ROWS
    with cluster_of(tmp_path / "b", threads, noting.preload) as cluster:
        code, out, err = ended(started(cluster, table, journal))
    assert (code, err) == (0, "")
    assert json.loads(out) == msecli.score(table, by="g", metrics="rmse,mae").to_dict()
    second, done = noting.taken(), sum(each["items"] for each in kept)
    assert second["survey"] == 0
    # Parts have nearly as many rows as one another.
    assert abs(second["rows"] / ROWS - (1 - done / kept[0]["of"])) < 0.05
    assert not journal.exists()


@pytest.mark.slow
@pytest.mark.parametrize("attempt", range(3))
def test_a_client_that_is_killed_at_any_moment_leaves_a_journal_to_go_on_from(
    tmp_path: Path, table: Path, attempt: int
) -> None:
    journal, noting = tmp_path / "j", Noting(tmp_path, 0.1)
    expected = msecli.score(table, by="g", metrics="rmse,mae").to_dict()
    with cluster_of(tmp_path / "c", 2, noting.preload) as cluster:
        process = started(cluster, table, journal)
        wait_until(journal.exists)
        time.sleep(attempt * 0.4)
        process.kill()
        process.communicate()
        code, out, err = ended(started(cluster, table, journal))
    assert (code, err) == (0, "")
    assert json.loads(out) == expected
    assert not journal.exists()


class EndedError(Exception):
    """Stands for whatever ends a run."""


def until_kept(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any], after: int) -> None:
    """Make a call whose journal takes so many records, and raises instead of taking another."""
    keep, left = resume.Journal.keep, iter(range(after))

    def until(self: resume.Journal, *arguments: Any) -> None:
        if next(left, None) is None:
            raise EndedError
        keep(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(resume.Journal, "keep", until)
        call()


def interrupted(monkeypatch: pytest.MonkeyPatch, call: Callable[[], Any], after: int) -> None:
    """Make a call that ends early, when its journal has so many records."""
    with pytest.raises(EndedError):
        until_kept(monkeypatch, call, after)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "parquet", "npy"])
def test_whatever_is_asked_for_resumes_with_the_same_bits(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sides = [str(stored(tmp_path, name, kind, columns(seed))) for name, seed in (("p", 1), ("t", 2))]
    numbers = {"pred": "0", "b": "1", "w": "2", "g": "4"} if kind == "npy" else {}
    both = [numbers.get(name, name) for name in ("pred", "b")]
    cases = dict(COMPUTE)
    cases["chosen rows"] = {"where": f"`pred.{both[1]}` > 0", "by_bins": f"pred.{both[1]}:5"}
    cases["batches of chosen rows"] = {"where": f"`pred.{both[1]}` > 0", "batch_size": 60, "shuffle": 1}
    different = []
    for case, settings in cases.items():
        options = {name: numbers.get(str(value), value) for name, value in settings.items()}
        if "weight_file" in options:
            np.save(tmp_path / "w.npy", np.random.default_rng(3).random(700))
            options["weight_file"] = tmp_path / "w.npy"
        run = partial(msecli.score, *sides, pred=both, target=both, **OMIT, **options)
        elsewhere = partial(run, engine="dask", scheduler=cluster.address, resume=tmp_path / "j")
        interrupted(monkeypatch, elsewhere, 1)
        if all_of(elsewhere()) != all_of(run()):
            different.append(case)
    assert different == []


@pytest.fixture
def journal(cluster: Cluster, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of an interrupted run."""
    path = tmp_path / "j"
    call = partial(msecli.score, table, by="g", engine="dask", scheduler=cluster.address, resume=path)
    interrupted(monkeypatch, call, 4)
    return path


def test_every_byte_of_a_journal_matters(
    cluster: Cluster, table: Path, journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = partial(msecli.score, table, by="g", engine="dask", scheduler=cluster.address, resume=journal)
    content = journal.read_bytes()
    step, refused = len(content) // 25, 0
    for place in range(20, len(content), step):
        journal.write_bytes(content[:place] + bytes([content[place] ^ 4]) + content[place + 1 :])
        # A size that has become larger looks as if the process was killed while it wrote; the rest is right.
        with pytest.raises((msecli.DataError, EndedError)) as raised:
            until_kept(monkeypatch, call, 0)
        refused = refused + isinstance(raised.value, msecli.DataError)
        assert isinstance(raised.value, EndedError) or f"{journal}: this journal is damaged" in str(raised.value)
    assert refused > 20
    header = content.index(b"\n") + 1
    journal.write_bytes(
        content[:header] + content[header:].split(b"msecli-resume/1", 2)[2].join([b"msecli-resume/1", b""])
    )
    with pytest.raises(msecli.DataError, match="a record is missing"):
        call()


def test_what_a_killed_process_has_cut_off_is_dropped(cluster: Cluster, table: Path, journal: Path) -> None:
    expected = msecli.score(table, by="g")
    content = journal.read_bytes()
    for size in (0, 9, 700, len(content) - 5):
        journal.write_bytes(content[:size])
        found = msecli.score(table, by="g", engine="dask", scheduler=cluster.address, resume=journal)
        assert all_of(found) == all_of(expected)
        assert not journal.exists()


def test_another_request_is_refused(cluster: Cluster, table: Path, journal: Path, run: Callable[..., Ran]) -> None:
    command = ("compute", table, "--engine", "dask", "--scheduler", cluster.address, "--resume", journal)
    before = journal.read_bytes()
    for options, named in (((), "--by differ"), (("--by", "g", "-m", "mae"), "--metrics differ")):
        ran = run(*command, *options)
        assert ran.code == 2
        assert f"{journal}: this journal is of another request: {named}; name another file" in ran.err
    other = table.with_name("y.csv")
    other.write_bytes(table.read_bytes())
    ran = run("compute", other, *command[2:], "--by", "g")
    assert (ran.code, "of another request: the files differ" in ran.err) == (2, True)
    assert journal.read_bytes() == before


def test_a_changed_file_is_refused(cluster: Cluster, table: Path, journal: Path, run: Callable[..., Ran]) -> None:
    status = table.stat()
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    command = ("compute", table, "--by", "g", "--engine", "dask", "--scheduler", cluster.address, "--resume", journal)
    ran = run(*command)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err == (
        f"Error: {table}: the file has changed since the journal {journal} was begun; remove the journal to start "
        "again\n"
    )
    os.utime(table, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run(*command).code == 0


def test_other_parameters_of_a_model_are_refused(
    cluster: Cluster, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"engine": "dask", "scheduler": cluster.address, "resume": tmp_path / "j"}
    call = partial(msecli.linear, table, inputs=["pred"], target="target", intercept=[1.0], **settings)
    interrupted(monkeypatch, partial(call, coef=[0.5]), 2)
    with pytest.raises(msecli.UsageError, match="the numbers of parameters differ"):
        call(coef=[0.25])
    assert (
        call(coef=[0.5]).loss
        == msecli.linear(table, inputs=["pred"], target="target", intercept=[1.0], coef=[0.5]).loss
    )


def test_a_file_that_is_no_journal_is_left_alone(
    cluster: Cluster, table: Path, tmp_path: Path, run: Callable[..., Ran]
) -> None:
    path = tmp_path / "notes"
    path.write_text("these are notes\n")
    command = ("compute", table, "--engine", "dask", "--scheduler", cluster.address, "--resume")
    ran = run(*command, path)
    assert (ran.code, path.read_text()) == (3, "these are notes\n")
    assert f"{path}: this is no journal of a score; name another file to resume from" in ran.err
    ran = run(*command, table)
    assert (ran.code, "this is also the input" in ran.err) == (2, True)
    ran = run(*command, tmp_path / "none" / "j")
    assert (ran.code, "there is no folder" in ran.err) == (4, True)


def test_a_journal_that_a_run_adds_to_is_refused(cluster: Cluster, table: Path, journal: Path) -> None:
    import fcntl

    with journal.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(msecli.UsageError, match="another run adds to this journal"):
            msecli.score(table, by="g", engine="dask", scheduler=cluster.address, resume=journal)


def test_a_journal_runs_no_code(cluster: Cluster, table: Path, journal: Path, tmp_path: Path) -> None:
    """A record with the right checksum, which anyone can compute, whose pickle would create a file."""

    class Touch:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "touched",)

    header, content = journal.read_bytes().split(b"\n", 1)[0], pickle.dumps((Touch(),))
    about = {**records(journal)[1], "bytes": len(content)}
    line = json.dumps(about, separators=(",", ":")).encode()
    digest = resume._digest(line, content)
    journal.write_bytes(header + b"\nmsecli-resume/1 " + digest + b" " + line + b"\n" + content)
    with pytest.raises(msecli.DataError, match="holds pathlib"):
        msecli.score(table, by="g", engine="dask", scheduler=cluster.address, resume=journal)
    assert not (tmp_path / "touched").exists()


def test_an_error_in_the_data_is_found_again(cluster: Cluster, tmp_path: Path, run: Callable[..., Ran]) -> None:
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n" + "".join(f"{row}.5,{'two' if row == 1800 else 2}\n" for row in range(3000)))
    expected = run("compute", path)
    command = ("compute", path, "--engine", "dask", "--scheduler", cluster.address, "--resume", tmp_path / "j")
    assert [run(*command), run(*command)] == [expected, expected]
    assert expected.code == 3


def test_an_interrupted_run_keeps_its_journal(tmp_path: Path, table: Path) -> None:
    journal, noting = tmp_path / "j", Noting(tmp_path, 0.1)
    with cluster_of(tmp_path / "c", 1, noting.preload) as cluster:
        process = started(cluster, table, journal)
        wait_until(lambda: journal.exists() and len(records(journal)) > 2)
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] == 130
    assert len(records(journal)) > 2


def test_only_a_cluster_resumes(table: Path, tmp_path: Path, run: Callable[..., Ran]) -> None:
    ran = run("compute", table, "--resume", tmp_path / "j")
    assert ran.code == 2
    assert "--resume is for an engine with workers" in ran.err
    ran = run("compute", table, "--engine", "dask", "--local", "1", "--resume", "s3://bucket/j")
    assert (ran.code, "is not on this machine, as the journal must be" in ran.err) == (2, True)
