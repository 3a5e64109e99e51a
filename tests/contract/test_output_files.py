"""Files of results: created and never replaced without --overwrite, all or none, whatever stops a run.

All runs are processes of their own. Signals are sent by themselves or at a moment that the test can see.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.children import child

COMMAND = [sys.executable, "-m", "msecli", "compute"]
PATIENCE = 60

PATCHED = """
import os, signal
{patch}
from msecli.__main__ import main
main()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("pred,target\n1,2\n3,4\n")
    return tmp_path


def compute(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE)


def patched(patch: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in an interpreter in which something else was changed first."""
    command = [sys.executable, "-c", PATCHED.format(patch=patch), "compute", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)


def others(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {"x.csv", "large.npy", "pipe"}


def test_a_file_that_appears_while_a_run_reads_is_not_replaced(folder: Path) -> None:
    os.mkfifo("pipe")
    command = [*COMMAND, "x.csv", "pipe", "-o", "o.json", "--grad", "g.npy"]
    with child(command, stderr=subprocess.PIPE, text=True) as process:
        with Path("pipe").open("w") as pipe:
            (folder / "o.json").write_text("somebody else's")
            pipe.write("pred,target\n1,2\n3,4\n")
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert "o.json: the file exists; use --overwrite" in err
    assert (folder / "o.json").read_text() == "somebody else's"
    assert others(folder) == {"o.json"}


@pytest.mark.slow
def test_of_many_runs_at_once_one_makes_the_file(folder: Path) -> None:
    runs = [subprocess.Popen([*COMMAND, "x.csv", "-o", "o.txt"], stderr=subprocess.PIPE) for _ in range(6)]
    for process in runs:
        process.communicate(timeout=PATIENCE)
    assert sorted(process.returncode for process in runs) == [0, 2, 2, 2, 2, 2]
    assert (folder / "o.txt").read_text() == "1.0\n"
    assert others(folder) == {"o.txt"}


@pytest.mark.slow
def test_with_overwrite_the_last_one_wins(folder: Path) -> None:
    arguments = [*COMMAND, "x.csv", "-o", "o.txt", "--overwrite"]
    runs = [subprocess.Popen(arguments, stderr=subprocess.PIPE) for _ in range(4)]
    for process in runs:
        process.communicate(timeout=PATIENCE)
    assert {process.returncode for process in runs} == {0}
    assert (folder / "o.txt").read_text() == "1.0\n"
    assert others(folder) == {"o.txt"}


NO_LINKS = """
def refuse(*_, **__):
    raise PermissionError(1, "Operation not permitted")
os.link = refuse
"""


def test_file_systems_without_hard_links_are_written_to(folder: Path) -> None:
    assert patched(NO_LINKS, "x.csv", "-o", "o.txt", "--grad", "g.npy").returncode == 0
    assert (folder / "o.txt").read_text() == "1.0\n"
    assert others(folder) == {"o.txt", "g.npy"}
    again = patched(NO_LINKS, "x.csv", "-o", "o.txt", "--grad", "g.npy", "--overwrite")
    assert (again.returncode, others(folder)) == (0, {"o.txt", "g.npy"})


def test_without_hard_links_neither_is_a_file_replaced_that_appears(folder: Path) -> None:
    patch = NO_LINKS.replace("raise", "open('o.txt', 'w').write('old')\n    raise")
    assert patched(patch, "x.csv", "-o", "o.txt").returncode == 2
    assert (folder / "o.txt").read_text() == "old"
    assert others(folder) == {"o.txt"}


FAILING = """
real, count = os.{call}, 0
def fail(*arguments, **options):
    global count
    count += 1
    if count == {number}:
        raise OSError(28, "No space left on device")
    return real(*arguments, **options)
os.{call} = fail
"""


def test_where_one_file_cannot_be_named_none_is(folder: Path) -> None:
    # The second file can neither be linked nor be made.
    patch = (
        FAILING.format(call="link", number=2)
        + """
make = os.open
def refuse(path, *arguments, **options):
    if str(path).endswith("/g.npy"):
        raise OSError(28, "No space left on device")
    return make(path, *arguments, **options)
os.open = refuse
"""
    )
    ran = patched(patch, "x.csv", "-o", "o.txt", "--grad", "g.npy")
    assert (ran.returncode, "g.npy: cannot write: No space left" in ran.stderr) == (4, True)
    assert others(folder) == set()


@pytest.mark.parametrize("there", [True, False])
def test_where_one_file_cannot_be_replaced_all_are_as_they_were(folder: Path, there: bool) -> None:
    (folder / "g.npy").write_text("old")
    if there:
        (folder / "o.txt").write_text("old")
    before = others(folder)
    patch = FAILING.format(call="replace", number=2)
    ran = patched(patch, "x.csv", "-o", "o.txt", "--grad", "g.npy", "--overwrite")
    assert (ran.returncode, "g.npy: cannot write: No space left" in ran.stderr) == (4, True)
    assert {(folder / name).read_text() for name in before} == {"old"}
    assert others(folder) == before


def while_writing(folder: Path, then: Callable[[subprocess.Popen[bytes]], None]) -> int:
    """Start a run that writes a large file, and do something once its temporary file has content; return its code."""
    np.save(folder / "large.npy", np.arange(4e6) / 7)
    command = [*COMMAND, "large.npy", "large.npy", "-r", "none", "-o", "o.csv"]
    with child(command, stderr=subprocess.DEVNULL) as process:
        end = time.monotonic() + PATIENCE
        # Not before it has content: while it is new, another run may take it for what a killed one left.
        while not any(path.stat().st_size for path in folder.glob(".o.csv.msecli-*.tmp")):
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.001)
        then(process)
        return process.wait(PATIENCE)


def test_the_next_run_removes_what_a_killed_one_left(folder: Path) -> None:
    assert while_writing(folder, lambda process: process.kill()) == -signal.SIGKILL
    (left,) = folder.glob(".*.tmp")
    assert left.name.startswith(".o.csv.msecli-")
    assert compute("x.csv", "-o", "other.csv").returncode == 0
    assert left.exists()
    assert compute("x.csv", "-o", "o.csv").returncode == 0
    assert others(folder) == {"o.csv", "other.csv"}


def test_a_living_run_keeps_its_temporary_file(folder: Path) -> None:
    def race(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGSTOP)
        (temporary,) = folder.glob(".o.csv.msecli-*.tmp")
        assert compute("x.csv", "-o", "o.csv").returncode == 0
        assert temporary.exists()
        process.send_signal(signal.SIGCONT)

    assert while_writing(folder, race) == 2
    assert (folder / "o.csv").read_text().startswith("loss,status")
    assert others(folder) == {"o.csv"}


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("call", ["link", "replace"])
def test_a_run_whose_files_have_their_names_is_done(folder: Path, call: str, number: str) -> None:
    patch = f"""
real = os.{call}
def then_stop(*arguments):
    real(*arguments)
    os.kill(os.getpid(), signal.{number})
os.{call} = then_stop
"""
    extra = ["--overwrite"] if call == "replace" else []
    ran = patched(patch, "x.csv", "-o", "o.txt", "--grad", "g.npy", *extra)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert others(folder) == {"o.txt", "g.npy"}


def test_a_result_that_cannot_be_printed_leaves_no_files(folder: Path) -> None:
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "x.csv", "--grad", "g.npy"]
        ran = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False, timeout=PATIENCE)
    assert (ran.returncode, others(folder)) == (4, set())
