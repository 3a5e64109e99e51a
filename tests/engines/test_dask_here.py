"""Workers that are started on this machine for a run: they leave nothing behind, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

import msecli
from msecli.engines.dask.here import workers_here
from tests.engines.cluster import PATIENCE, wait_until

pytest.importorskip("distributed")

PROCESSES = Path("/proc")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PROCESSES.exists(), reason="processes are sought in /proc")]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text("pred,target\n" + "".join(f"{row}.25,{row % 7}\n" for row in range(4000)))
    return path


@pytest.fixture
def environment(tmp_path: Path) -> Mapping[str, str]:
    (tmp_path / "temporary").mkdir()
    return {**os.environ, "TMPDIR": str(tmp_path / "temporary")}


def left(environment: Mapping[str, str]) -> list[str]:
    """Return what is left in the folder for temporary files, and the processes that know of it."""
    mark = f"TMPDIR={environment['TMPDIR']}\0".encode()
    found = os.listdir(environment["TMPDIR"])
    for process in PROCESSES.iterdir():
        if process.name.isdigit():
            try:
                known = (process / "environ").read_bytes()
                words = (process / "cmdline").read_text()
            except OSError:
                continue  # it has ended, or is another user's
            if mark in known and words:
                found.append(words.replace("\0", " "))
    return found


def test_a_script_needs_no_guard(tmp_path: Path, table: Path, environment: Mapping[str, str]) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"import msecli\nprint(msecli.score({str(table)!r}, engine='dask', local=2).loss)\n")
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=environment)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert float(ran.stdout) == msecli.score(table).loss
    assert left(environment) == []


@pytest.mark.parametrize("moment", [0.7, 1.0, 1.5, 2.0, 2.5])
def test_ctrl_c_ends_it_without_a_trace(table: Path, environment: Mapping[str, str], moment: float) -> None:
    """Whatever it is doing: loading, starting the scheduler, waiting for workers, or scoring."""
    words = [sys.executable, "-m", "msecli", "compute", str(table), "--engine", "dask", "--local", "2"]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )
    time.sleep(moment)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to all that it has started
    out, err = process.communicate(timeout=PATIENCE)
    if process.returncode == 0:  # it was done before
        assert (float(out), err) == (msecli.score(table).loss, "")
    else:
        assert (process.returncode, err) == (130, "Error: interrupted\n")
    assert left(environment) == []


def test_workers_end_with_a_process_that_is_killed(table: Path, environment: Mapping[str, str]) -> None:
    words = [sys.executable, "-m", "msecli", "compute", str(table), "--engine", "dask", "--local", "2"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)
    wait_until(lambda: process.poll() is not None or any("dask worker" in each for each in left(environment)))
    process.kill()
    process.wait()
    wait_until(lambda: not any("python" in each for each in left(environment)))


def test_what_keeps_workers_from_starting_is_told(tmp_path: Path) -> None:
    with workers_here("nonsense://127.0.0.1:1", 1, str(tmp_path)) as check:

        def checked() -> None:
            until = time.monotonic() + PATIENCE
            while time.monotonic() < until:
                check()
                time.sleep(0.1)

        with pytest.raises(msecli.ReadWriteError, match=r"that local starts have ended \(code 1\): .*failed to start"):
            checked()
