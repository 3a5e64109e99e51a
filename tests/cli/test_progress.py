"""The progress that a terminal shows, and that nothing else does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from msecli.cli import progress
from msecli.cli.progress import ProgressBar
from msecli.places import open_input
from msecli.places.file import copied
from tests.children import child
from tests.files import write

COMMAND = (sys.executable, "-m", "msecli")
PATIENCE = 60


class Bar:
    """Stands for the bar of Rich: keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str, float | None]] = []
        self._doing = ""

    def add_task(  # noqa: D102 - as in Rich
        self, doing: str, *, total: float | None, told: str
    ) -> int:
        self._doing = doing
        return 0

    def remove_task(self, task: int) -> None:  # noqa: D102
        self._doing = ""

    def update(self, task: int, *, completed: float | None, told: str) -> None:  # noqa: D102
        self.told.append((self._doing, told, completed))

    def stop(self) -> None:  # noqa: D102
        self.told.append(("", "stopped", None))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return a list whose only number is the time in seconds."""
    now = [100.0]
    monkeypatch.setattr("msecli.cli.progress.time.monotonic", lambda: now[0])
    monkeypatch.setattr("msecli.cli.progress.is_terminal", bool)
    return now


def shown(bar: ProgressBar) -> Bar:
    stands = Bar()
    bar._bar = stands  # type: ignore[assignment]
    return stands


def test_the_time_left_is_that_of_the_rest_at_the_speed_so_far(clock: list[float]) -> None:
    with ProgressBar(wanted=True) as bar:
        stands = shown(bar)
        clock[0] += 10
        bar(0.25)
        clock[0] += 0.01  # too soon to be shown
        bar(0.26)
        clock[0] += 50
        bar(0.5)
    # 10 s for a quarter leave 30 s; 60 s for a half leave 60 s, of which 0.01 s is rounded up.
    assert stands.told == [
        ("reading", "25%  0:30 left", 0.25),
        ("reading", "50%  1:01 left", 0.5),
        ("", "stopped", None),
    ]


def test_nothing_is_shown_in_the_first_second(clock: list[float]) -> None:
    with ProgressBar(wanted=True) as bar:
        stands = shown(bar)
        clock[0] += progress.PATIENCE_SECONDS - 0.01
        bar(0.5)
    assert stands.told == [("", "stopped", None)]


def test_a_stream_shows_its_bytes_and_their_rate_while_it_is_copied(clock: list[float]) -> None:
    with ProgressBar(wanted=True) as bar:
        stands = shown(bar)
        clock[0] += 2
        copied.get()("-", 3_000_000)
        clock[0] += 2
        copied.get()("pipe", 100)  # from here on another stream
        clock[0] += 4
        copied.get()("pipe", 8000)
        clock[0] += 1
        bar(0.1)
        clock[0] += 1
        bar(0.5)
    assert stands.told == [
        ("copying -", "3.0 MB  1.5 MB/s", None),
        ("copying pipe", "100 B", None),
        ("copying pipe", "8.0 kB  2.0 kB/s", None),
        ("reading", "10%", 0.1),
        ("reading", "50%  0:01 left", 0.5),
        ("", "stopped", None),
    ]


def test_nobody_is_told_after_the_run(clock: list[float], tmp_path: Path) -> None:
    before = copied.get()
    with ProgressBar(wanted=True):
        assert copied.get() is not before
    assert copied.get() is before
    with ProgressBar(wanted=False):
        assert copied.get() is before


def test_every_byte_of_a_pipe_that_is_copied_is_told(tmp_path: Path) -> None:
    sizes: list[tuple[str, int, str]] = []
    reader, writer = os.pipe()
    os.write(writer, b"yhat,y\n1,2\n")
    os.close(writer)
    token = copied.set(lambda path, size, doing="copying": sizes.append((path, size, doing)))
    try:
        open_input(f"/dev/fd/{reader}").for_arrow()
    finally:
        copied.reset(token)
        os.close(reader)
    assert sizes[-1] == (f"/dev/fd/{reader}", 11, "copying")


@contextlib.contextmanager
def terminal() -> Iterator[tuple[int, int]]:
    """Yield both ends of a terminal: what it shows, and what a process writes to."""
    shows, writes = pty.openpty()
    fcntl.ioctl(writes, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    try:
        yield shows, writes
    finally:
        os.close(shows)
        os.close(writes)


def feed(process: subprocess.Popen[bytes], *, until: Callable[[], bool], seconds: float) -> None:
    """Write rows to standard input, slowly, as long as there is time and nothing has happened."""
    assert process.stdin is not None
    process.stdin.write(b"yhat,y\n")
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        process.stdin.write(b"1,2\n" * 1000)
        process.stdin.flush()
        time.sleep(0.05)
    process.stdin.close()


def standard_input_shows(*options: str, seconds: float) -> str:
    """Return what a run on slow standard input shows on a terminal; it may end once it shows a rate."""
    shown = ""

    def rate_is_shown() -> bool:
        nonlocal shown
        if select.select([shows], [], [], 0)[0]:
            shown += os.read(shows, 1 << 16).decode()
        return "B/s" in shown

    with terminal() as (shows, writes):
        command = [*COMMAND, "compute", "-", *options]
        environment = {**os.environ, "TERM": "xterm"}
        with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=writes, env=environment) as process:
            feed(process, until=rate_is_shown, seconds=seconds)
            assert process.stdout is not None
            assert (process.stdout.read(), process.wait(PATIENCE)) == (b"1.0\n", 0)
        rate_is_shown()
    return shown


@pytest.mark.slow
def test_standard_input_is_shown_on_a_terminal_while_it_comes() -> None:
    shown = standard_input_shows(seconds=PATIENCE)
    assert "reading -" in shown
    assert "kB/s" in shown


@pytest.mark.slow
def test_without_progress_a_terminal_shows_nothing() -> None:
    assert standard_input_shows("--no-progress", seconds=2.5) == ""


@pytest.mark.slow
def test_a_pipe_shows_nothing() -> None:
    command = [*COMMAND, "compute", "-"]
    with child(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        feed(process, until=lambda: False, seconds=2.5)
        assert process.stdout is not None
        assert process.stderr is not None
        assert (process.stdout.read(), process.stderr.read()) == (b"1.0\n", b"")


@pytest.mark.parametrize(
    "command",
    [
        ("compute", "a.npy", "b.npy"),
        ("gradcheck", "a.npy", "b.npy"),
        ("gradcheck", "x.npy", "b.npy", "--coef", "w.npy"),
        ("norm", "a.npy"),
        ("norm", "a.npy", "b.npy"),
        ("compute", "k.parquet", "k.parquet", "--on", "id", "-p", "v", "-t", "v"),
    ],
    ids=" ".join,
)
def test_every_command_says_how_much_of_its_files_it_has_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...], run: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.save("a.npy", random.normal(size=600_000))
    np.save("b.npy", random.normal(size=600_000))
    np.save("x.npy", random.normal(size=(600_000, 1)))
    np.save("w.npy", np.ones((1, 1)))
    write(Path("k.parquet"), {"id": np.arange(300_000), "v": random.normal(size=300_000)})
    shares: list[float] = []
    monkeypatch.setattr(ProgressBar, "__call__", lambda _, share: shares.append(share))
    assert run(*command).code == 0
    assert len(shares) >= 2
    assert shares == sorted(shares)
    assert shares[0] < 1
    assert shares[-1] == 1
