"""What becomes of a score when workers end, the scheduler is lost, or a worker does not see what this process sees."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

import msecli
from tests.engines.cluster import PATIENCE, Cluster, cluster_of

pytest.importorskip("distributed")

pytestmark = pytest.mark.slow

ROWS = 4000
COMMAND = """
import sys
import msecli.engines.dask as dask, msecli.formats.csv as csv, msecli.scoring.spans as spans
csv.PART_BYTES, spans.BYTES_PER_SECOND, dask.FEWEST_ITEMS, dask.ITEMS_PER_THREAD = 1000, 2000, 6, 3
from msecli.__main__ import main
main()
"""
"""The command line, with files cut into some thirty tasks."""

PRELOAD = """
import os, time
import msecli.scoring.fold as fold

def changed(plan, batches, rows, score=fold.score_rows):
    {body}
    return score(plan, batches, rows)

changed.__module__, changed.__qualname__ = fold.__name__, "score_rows"
fold.score_rows = changed
"""
"""What a worker loads as it starts, to do something before it scores rows."""
SLOWLY = "time.sleep(0.1)"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("table") / "x.csv"
    path.write_text("pred,target,g\n" + "".join(f"{row}.25,{row % 7},{row % 3}\n" for row in range(ROWS)))
    return path


def started(cluster: Cluster, path: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", COMMAND, "compute", str(path), "--by", "g", "--format", "json"]
    words += ["--engine", "dask", "--scheduler", cluster.address, *more]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def preload(folder: Path, body: str) -> Path:
    path = folder / "preload.py"
    path.write_text(PRELOAD.format(body=body))
    return path


@pytest.mark.parametrize("attempt", range(3))
def test_a_worker_that_is_killed_at_any_moment_loses_nothing(tmp_path: Path, table: Path, attempt: int) -> None:
    expected = msecli.score(table, by="g").to_dict()
    with cluster_of(tmp_path / "c", 2, preload(tmp_path, SLOWLY)) as cluster:
        process = started(cluster, table)
        time.sleep(1 + 3 * Random(attempt).random())  # noqa: S311 - of a test
        cluster.workers[attempt % 2].kill()
        code, out, err = ended(process)
    assert (code, err) == (0, "")
    import json

    found: dict[str, Any] = json.loads(out)
    assert found == expected


def test_workers_may_be_replaced_one_after_the_other(tmp_path: Path, table: Path) -> None:
    with cluster_of(tmp_path / "c", 2, preload(tmp_path, SLOWLY)) as cluster:
        process = started(cluster, table)
        for number in range(2):
            time.sleep(1)
            cluster.add()
            time.sleep(2)
            cluster.workers[number].terminate()
        code, _, err = ended(process)
    assert (code, err) == (0, "")


def test_work_that_ends_every_worker_is_given_up(tmp_path: Path, table: Path) -> None:
    body = "rows.first_row and os._exit(1)"  # all but the first rows
    with cluster_of(tmp_path / "c", 1, preload(tmp_path, body)) as cluster:
        process = started(cluster, table)
        until = time.monotonic() + PATIENCE
        while process.poll() is None and time.monotonic() < until:
            if cluster.workers[-1].poll() is not None:
                cluster.add()
            time.sleep(0.1)
        code, _, err = ended(process)
    assert code == 4, err
    assert "part of the work ended each of the workers that tried it" in err


def test_a_lost_scheduler_is_told(tmp_path: Path, table: Path) -> None:
    with cluster_of(tmp_path / "c", 1, preload(tmp_path, SLOWLY)) as cluster:
        process = started(cluster, table, "--worker-timeout", "2")
        time.sleep(3)
        cluster.scheduler.kill()
        code, _, err = ended(process)
    assert (code, err) == (4, f"Error: the scheduler {cluster.address} is lost; run again\n")


def test_no_worker_is_waited_for_just_so_long(tmp_path: Path, table: Path) -> None:
    with cluster_of(tmp_path / "c", 0) as cluster:
        code, _, err = ended(started(cluster, table, "--worker-timeout", "1"))
    assert code == 4, err
    assert f"the scheduler {cluster.address} has had no worker for 1 s; start some with dask worker" in err


def test_an_interrupted_run_leaves_no_work_behind(tmp_path: Path, table: Path) -> None:
    import distributed

    with cluster_of(tmp_path / "c", 1, preload(tmp_path, SLOWLY)) as cluster:
        process = started(cluster, table)
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        code, _, err = ended(process)
        assert (code, err) == (130, "Error: interrupted\n")
        connect: Any = distributed.Client
        with connect(cluster.address, set_as_default=False) as client:
            until = time.monotonic() + PATIENCE
            while any(client.processing().values()) and time.monotonic() < until:
                time.sleep(0.1)
            assert not any(client.processing().values())


@pytest.mark.skipif(os.geteuid() != 0, reason="a worker without the file has a file system of its own")
def test_a_worker_without_the_file_is_named(tmp_path: Path, table: Path) -> None:
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {table.parent} && exec "$@"', "sh")
    if subprocess.run([*hidden[:2], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here")
    with cluster_of(tmp_path / "c", 0) as cluster:
        cluster.add(before=hidden)
        code, _, err = ended(started(cluster, table))
    assert code == 4, err
    assert err.startswith("Error: worker tcp://127.0.0.1:")
    assert f"{table}: no such file" in err
    assert err.endswith("all workers must see the files under the same paths\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="a worker with another file has a file system of its own")
def test_a_worker_with_another_file_is_named(tmp_path: Path, table: Path) -> None:
    other = f'mount -t tmpfs none {table.parent} && echo pred,target >{table} && exec "$@"'
    hidden = ("unshare", "--mount", "sh", "-c", other, "sh")
    if subprocess.run([*hidden[:2], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here")
    with cluster_of(tmp_path / "c", 0) as cluster:
        cluster.add(before=hidden)
        code, _, err = ended(started(cluster, table))
    assert (code, "the file there has another size or time of change than here" in err) == (4, True)


def test_a_worker_with_other_versions_is_named(tmp_path: Path, table: Path) -> None:
    """Metadata of a release that there is not, which this worker finds first."""
    folder = tmp_path / "other" / "numpy-0.1.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
    with cluster_of(tmp_path / "c", 0) as cluster:
        cluster.add(before=("env", f"PYTHONPATH={folder.parent}"))
        code, _, err = ended(started(cluster, table))
    assert code == 4, err
    assert "has numpy 0.1, this process has" in err
    assert err.endswith("install the same versions everywhere\n")


def test_what_is_no_scheduler_file_is_refused(tmp_path: Path, table: Path) -> None:
    path = tmp_path / "s.json"
    for content, message in ((None, "cannot read"), ("{}", "this is no file of a scheduler")):
        if content is not None:
            path.write_text(content)
        with pytest.raises(msecli.ReadWriteError, match=message):
            msecli.score(table, engine="dask", scheduler_file=path)


def test_an_address_where_there_is_no_scheduler_is_told(table: Path) -> None:
    with pytest.raises(msecli.ReadWriteError, match=r"no scheduler answers at tcp://127.0.0.1:9 within 0.5 s; start"):
        msecli.score(table, engine="dask", scheduler="tcp://127.0.0.1:9", worker_timeout=0.5)
