"""What becomes of a score when workers end, the scheduler is lost, or a worker does not see what this process sees."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest

import msecli
from tests.bench.cluster import measured
from tests.engines.cluster import PATIENCE, TLS, Cluster, cluster_of, wait_until

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
    (path.parent / "y.csv").write_text("pred,target,g\n1,2,3\n")
    return path


def started(cluster: Cluster, path: Path, *more: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", COMMAND, "compute", str(path), "--by", "g", "--format", "json"]
    words += ["--engine", "dask", "--scheduler", cluster.address, *more]
    environment = {**os.environ, **cluster.more}
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def connected(cluster: Cluster) -> int:
    """Return how many clients the scheduler has seen, as it logs them."""
    return (cluster.folder / "log").read_text().count("Receive client connection: Client-msecli")


def preload(folder: Path, body: str) -> Path:
    path = folder / "preload.py"
    path.write_text(PRELOAD.format(body=body))
    return path


@pytest.fixture(scope="module")
def expected(table: Path) -> dict[str, Any]:
    return msecli.score(table, by="g").to_dict()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("slow")
    with cluster_of(folder / "c", 2, preload(folder, SLOWLY)) as cluster:
        yield cluster


@pytest.mark.parametrize("attempt", [0, *(pytest.param(each, marks=pytest.mark.faults) for each in range(1, 20))])
def test_a_worker_that_is_killed_at_any_moment_loses_nothing(
    slow: Cluster, table: Path, expected: dict[str, Any], attempt: int
) -> None:
    process, moment = started(slow, table), 4 * Random(attempt).random()  # noqa: S311 - of a test
    time.sleep(moment)
    slow.workers[attempt % 2].kill()
    slow.workers[attempt % 2].wait()
    # In its place, so that there are two again in the next attempt.
    slow.workers[attempt % 2] = slow.add()
    slow.workers.pop()
    code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert json.loads(out) == expected


def test_workers_may_be_replaced_one_after_the_other(tmp_path: Path, table: Path, expected: dict[str, Any]) -> None:
    with cluster_of(tmp_path / "c", 2, preload(tmp_path, SLOWLY)) as cluster:
        process = started(cluster, table)
        for number in range(2):
            time.sleep(1)
            cluster.add()
            time.sleep(2)
            cluster.workers[number].terminate()
        code, out, err = ended(process)
    assert (code, err) == (0, "")
    assert json.loads(out) == expected


@pytest.mark.faults
def test_a_slow_worker_holds_up_only_its_own_tasks(tmp_path: Path, table: Path, expected: dict[str, Any]) -> None:
    """One of two takes two seconds for each of its tasks; all thirty or so would take it a minute."""
    body = "time.sleep(float(os.environ.get('TAKES', '0')))"
    with cluster_of(tmp_path / "c", 1, preload(tmp_path, body)) as cluster:
        cluster.add(before=("env", "TAKES=2"))
        time.sleep(3)
        begun = time.monotonic()
        code, out, err = ended(started(cluster, table))
        assert time.monotonic() - begun < PATIENCE
    assert (code, err) == (0, "")
    assert json.loads(out) == expected


def test_two_clients_at_once_do_not_disturb_each_other(slow: Cluster, table: Path, expected: dict[str, Any]) -> None:
    """The second one is interrupted while both wait for the same workers; a third begins when it is gone."""
    before = connected(slow)
    first, second = started(slow, table), started(slow, table)
    wait_until(lambda: connected(slow) == before + 2)
    time.sleep(1)
    second.send_signal(signal.SIGINT)
    assert ended(second)[0] == 130
    third = started(slow, table)
    for process in (first, third):
        code, out, err = ended(process)
        assert (code, err) == (0, "")
        assert json.loads(out) == expected


def certificates(folder: Path) -> dict[str, str]:
    """Write the certificates of an authority, and one that it has signed; return the settings of Dask."""
    x509 = pytest.importorskip("cryptography.x509", reason="certificates are made with the library cryptography")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("authority", "localhost")]
    now = datetime.now(UTC)
    paths = [folder / name for name in ("ca.pem", "cert.pem", "key.pem")]
    for number, path in enumerate(paths[:2]):
        made = x509.CertificateBuilder(
            names[0], names[number], keys[number].public_key(), number + 1, now - timedelta(1), now + timedelta(1)
        )
        made = made.add_extension(x509.BasicConstraints(ca=number == 0, path_length=None), critical=True)
        path.write_bytes(made.sign(keys[0], hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    encoding = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    paths[2].write_bytes(keys[1].private_bytes(*encoding))
    base = TLS.removesuffix("CA_FILE")
    whose = {
        f"{base}{who}__{what}": path
        for who in ("SCHEDULER", "WORKER", "CLIENT")
        for what, path in (("CERT", paths[1]), ("KEY", paths[2]))
    }
    return {name: str(path) for name, path in {TLS: paths[0], **whose}.items()}


def test_a_cluster_may_be_reached_by_tls(tmp_path: Path, table: Path, expected: dict[str, Any]) -> None:
    secret = certificates(tmp_path)
    with cluster_of(tmp_path / "c", 0, more=secret) as cluster:
        assert cluster.address.startswith("tls://")
        cluster.add()
        code, out, err = ended(started(cluster, table))
        assert (code, err) == (0, "")
        assert json.loads(out) == expected
        cluster.more = {}
        code, _, err = ended(started(cluster, table))
    told = f"Error: {cluster.address} is reached with certificates; name their files in the environment: "
    assert (code, err.startswith(told), TLS in err) == (4, True, True), err


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
        wait_until(lambda: connected(cluster))
        time.sleep(1)
        cluster.scheduler.kill()
        code, _, err = ended(process)
    assert (code, err) == (4, f"Error: the scheduler {cluster.address} is lost; run again\n")


def test_no_worker_is_waited_for_just_so_long(tmp_path: Path, table: Path) -> None:
    with cluster_of(tmp_path / "c", 0) as cluster:
        code, _, err = ended(started(cluster, table, "--worker-timeout", "1"))
    assert code == 4, err
    assert f"the scheduler {cluster.address} has had no worker for 1 s; start some with dask worker" in err


def test_a_run_whose_last_worker_ends_waits_for_another_just_so_long(tmp_path: Path, table: Path) -> None:
    with cluster_of(tmp_path / "c", 1, preload(tmp_path, SLOWLY)) as cluster:
        process = started(cluster, table, "--worker-timeout", "2")
        wait_until(lambda: connected(cluster))
        time.sleep(1)
        cluster.workers[0].kill()
        code, _, err = ended(process)
    told = f"Error: the scheduler {cluster.address} has had no worker for 2 s; start some with dask worker "
    assert (code, err.startswith(told), err.count("\n")) == (4, True, 1), err


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
@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_a_worker_without_the_file_is_named(tmp_path: Path, table: Path, folder: bool) -> None:
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {table.parent} && exec "$@"', "sh")
    if subprocess.run([*hidden[:2], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here")
    with cluster_of(tmp_path / "c", 0) as cluster:
        cluster.add(before=hidden)
        code, _, err = ended(started(cluster, table.parent if folder else table))
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


LACKING = """
import importlib.metadata as metadata, sys
sys.modules["msecli"] = None

def version(name, version=metadata.version):
    if name == "msecli":
        raise metadata.PackageNotFoundError(name)
    return version(name)

metadata.version = version
"""


def test_a_worker_without_the_library_is_named(tmp_path: Path, table: Path) -> None:
    path = tmp_path / "preload.py"
    path.write_text(LACKING)
    with cluster_of(tmp_path / "c", 1, path) as cluster:
        code, _, err = ended(started(cluster, table))
    assert code == 4, err
    assert err.startswith("Error: worker tcp://127.0.0.1:")
    assert err.endswith("has msecli not at all\ninstall the same versions everywhere\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="a worker without the file has a file system of its own")
def test_a_worker_that_comes_later_is_checked_before_it_reads(tmp_path: Path, table: Path) -> None:
    other = f'mount -t tmpfs none {table.parent} && echo pred,target >{table} && exec "$@"'
    hidden = ("unshare", "--mount", "sh", "-c", other, "sh")
    if subprocess.run([*hidden[:2], "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces here")
    with cluster_of(tmp_path / "c", 1, preload(tmp_path, "time.sleep(0.5)")) as cluster:
        process = started(cluster, table)
        wait_until(lambda: connected(cluster))
        cluster.add(before=hidden)
        code, _, err = ended(process)
    assert (code, "the file there has another size or time of change than here" in err) == (4, True), err


@pytest.mark.faults
def test_the_memory_of_the_client_does_not_grow_with_the_parts(tmp_path: Path) -> None:
    """In MB, of parts without work; `tests.bench.cluster` measures it with 100,000 of them, which takes minutes."""
    with cluster_of(tmp_path / "c", 2) as cluster:
        few, many = (measured(cluster, number) for number in (1000, 20_000))
    assert (few.results, many.results) == (1000, 20_000)
    assert many.after - few.after < 20


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
