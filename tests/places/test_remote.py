"""Files on other machines: what is read, what is fetched for it, and what is kept."""

from __future__ import annotations

import pickle
import threading
import time
from typing import NamedTuple

import numpy as np
import pytest

from msecli.errors import DataError, ReadWriteError
from msecli.places import remote
from msecli.places.base import AHEAD_BYTES
from msecli.places.remote import (
    FIRST_WINDOW,
    KEPT_BYTES,
    REQUEST_BYTES,
    START_BYTES,
    TRIES,
    PassingError,
    RemoteFile,
    retried,
)

CONTENT = np.random.default_rng(1).bytes(3 << 20) * 20  # 60 MiB
FETCHED: list[tuple[int, int]] = []


class Held(NamedTuple):
    """A file that keeps a record of what was fetched."""

    size: int = len(CONTENT)
    version: str = "1"
    wait: float = 0.0

    def fetch(self, start: int, stop: int) -> bytes:
        """Return bytes."""
        FETCHED.append((start, stop))
        time.sleep(self.wait)
        return CONTENT[start : min(stop, self.size)]

    def verify(self) -> None:
        """Find nothing."""


@pytest.fixture(autouse=True)
def _nothing_fetched() -> None:
    FETCHED.clear()


def settled() -> list[tuple[int, int]]:
    """Return the ranges that have been fetched, once no thread fetches."""
    before = -1
    while before != len(FETCHED):
        before = len(FETCHED)
        time.sleep(0.05)
    return sorted(FETCHED)


def test_any_read_gives_the_bytes_of_the_file() -> None:
    file, chosen = RemoteFile("x", "", Held()), np.random.default_rng(2)
    for _ in range(300):
        offset, size = int(chosen.integers(file.size + 10)), int(chosen.choice([1, 10, 5000, 3 << 20, 9 << 20]))
        if chosen.random() < 0.2:
            file.expect([(offset, min(offset + size, file.size)), (0, 10)])
        assert file.read(size, offset) == CONTENT[offset : offset + size]


def test_threads_share_what_is_fetched() -> None:
    file = RemoteFile("x", "", Held(wait=0.01))
    found: list[bool] = []

    def read(first: int) -> None:
        starts = range(first << 20, file.size, 4 << 20)
        found.extend(file.read(1 << 20, start) == CONTENT[start : start + (1 << 20)] for start in starts)

    threads = [threading.Thread(target=read, args=(first,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(found)
    assert len(found) == 60
    # 60 MiB in requests of at most 4 MiB, some smaller where threads begin.
    assert sum(stop - start for start, stop in settled()) == len(CONTENT)


def test_fill_fills_the_whole_buffer_and_refuses_more_than_there_is() -> None:
    file, buffer = RemoteFile("x", "", Held()), bytearray(10 << 20)
    file.fill(memoryview(buffer), 12345)
    assert buffer == CONTENT[12345 : 12345 + len(buffer)]
    with pytest.raises(DataError, match="x: the file was changed while it was read"):
        file.fill(memoryview(buffer), file.size - 5)


def test_a_look_at_a_file_fetches_its_start_alone() -> None:
    file = RemoteFile("x", "", Held())
    file.read(512, 0)
    file.read(512, 1000)
    assert settled() == [(0, START_BYTES)]


def test_who_reads_on_finds_the_rest_fetched() -> None:
    file = RemoteFile("x", "", Held())
    file.read(512, 0)
    file.read(1000, START_BYTES)
    end = START_BYTES + REQUEST_BYTES + FIRST_WINDOW
    assert settled()[-1][1] == end
    # The further, the more is fetched ahead, up to a limit.
    position = START_BYTES
    for _ in range(3):
        position += REQUEST_BYTES
        file.read(1000, position)
        settled()
    assert max(stop for _, stop in FETCHED) == min(position + REQUEST_BYTES + AHEAD_BYTES, file.size)
    assert len(FETCHED) == len(set(FETCHED))


def test_reads_here_and_there_fetch_no_more_than_they_need() -> None:
    file = RemoteFile("x", "", Held())
    for start in (50 << 20, 10 << 20, 30 << 20):
        file.read(1 << 20, start)
    assert settled() == [(start, start + (1 << 20)) for start in (10 << 20, 30 << 20, 50 << 20)]


def test_what_is_expected_is_fetched_before_it_is_asked_for_and_once() -> None:
    file = RemoteFile("x", "", Held())
    file.expect([(100, 200), (1 << 20, 2 << 20), ((2 << 20) + 5, 3 << 20)])
    # Ranges close to each other make one request.
    assert settled() == [(100, 200), (1 << 20, 3 << 20)]
    file.read(100, 100)
    file.read(1 << 20, 1 << 20)
    assert len(settled()) == 2


def test_no_more_is_expected_than_fits_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "AHEAD_BYTES", AHEAD_BYTES // 4)
    file = RemoteFile("x", "", Held())
    file.expect([(0, file.size)])
    assert sum(stop - start for start, stop in settled()) == AHEAD_BYTES // 2


def test_little_is_kept_whatever_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "KEPT_BYTES", KEPT_BYTES // 8)
    files = [RemoteFile("x", "", Held()) for _ in range(3)]
    for start in range(0, len(CONTENT), 1 << 20):
        for file in files:
            assert file.read(1 << 20, start) == CONTENT[start : start + (1 << 20)]
            kept = sum(map(sum, (each.values() for each in remote._kept)))
            assert kept == remote._kept_bytes <= KEPT_BYTES // 8 + REQUEST_BYTES
    del file, files
    assert (*map(len, remote._kept), remote._kept_bytes) == (0, 0, 0)


def test_what_comes_short_is_asked_for_again_and_then_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Short(Held):
        def fetch(self, start: int, stop: int) -> bytes:
            return super().fetch(start, stop)[:-1]

    with pytest.raises(ReadWriteError, match=rf"ended after 65535 of 65536 bytes \(tried {TRIES} times\)"):
        RemoteFile("x", "", Short()).read(10, 0)
    assert len(FETCHED) == TRIES


def test_a_failure_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [ReadWriteError("x: no")]

    class Failing(Held):
        def fetch(self, start: int, stop: int) -> bytes:
            if failures:
                raise failures.pop()
            return super().fetch(start, stop)

    file = RemoteFile("x", "", Failing())
    with pytest.raises(ReadWriteError, match="x: no"):
        file.read(10, 0)
    assert file.read(10, 0) == CONTENT[:10]


def test_passing_failures_are_retried_with_the_wait_that_the_server_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    answers = [PassingError("no", 2.0), PassingError("no"), None]

    def call() -> str:
        if (answer := answers.pop(0)) is not None:
            raise answer
        return "yes"

    assert retried("x", call) == "yes"
    assert waits[0] == 2.0
    assert 0 < waits[1] <= 0.02


def test_a_server_that_asks_for_too_long_a_wait_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", pytest.fail)

    def call() -> str:
        raise PassingError("busy", 3600.0)

    with pytest.raises(ReadWriteError, match=r"x: cannot read: busy; the server asks to wait 3600 s"):
        retried("x", call)


def test_a_pickled_file_costs_no_request_and_shares_what_is_fetched() -> None:
    file = RemoteFile("x", "pred", Held())
    first, second = pickle.loads(pickle.dumps(file)), pickle.loads(pickle.dumps(file))
    assert not FETCHED
    assert (first.path, first.word, first.size) == ("x", "pred", file.size)
    assert first is second
    assert first.read(10, 5) == CONTENT[5:15]


def test_arrow_reads_it() -> None:
    file = RemoteFile("x", "", Held()).for_arrow()
    assert file.size() == len(CONTENT)
    assert file.read_at(10, 100) == CONTENT[100:110]
    file.seek(5)
    assert file.read(3) == CONTENT[5:8]


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"x: the file is empty \(0 bytes\)"):
        RemoteFile("x", "", Held(size=0))


def test_a_file_ends_while_another_thread_holds_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_kept_bytes", 0)
    file, other = RemoteFile("x", "", Held()), RemoteFile("y", "", Held())
    file.read(10, 0)
    held, ended = threading.Event(), threading.Event()

    def hold() -> None:
        with remote._lock:
            held.set()
            ended.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    # The garbage collector may end a file in a thread that holds what the other one waits for.
    del file
    assert remote._kept_bytes == START_BYTES
    ended.set()
    holder.join()
    other.read(10, 0)
    assert remote._kept_bytes == START_BYTES
