"""Files on other machines: bytes fetched a stretch at a time, and ahead of the reader, so that few reads wait."""

from __future__ import annotations

import os
import random
import re
import time
import weakref
from bisect import bisect_right, insort
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache, partial
from threading import RLock
from typing import Any, Protocol, TypeVar

from msecli.errors import DataError, ReadWriteError, redacted
from msecli.places import TIMEOUT_VARIABLE
from msecli.places.base import AHEAD_BYTES
from msecli.places.file import changed
from msecli.places.fileobject import FileObject

T = TypeVar("T")

START_BYTES = 1 << 16
"""The least that is fetched, because a request costs more than this; the start of a file tells its format."""

REQUEST_BYTES = 4 << 20
"""The most that one request asks for: a tenth of a second or more on most lines."""

FIRST_WINDOW = 2 * REQUEST_BYTES
"""Bytes fetched ahead of a reader when it begins to read on; they become as many as `AHEAD_BYTES`."""

KEPT_BYTES = 4 * AHEAD_BYTES
"""Bytes of all files that are kept in memory, read or not yet read."""

GAP_BYTES = 1 << 15
"""Expected stretches with fewer bytes between them are fetched by one request."""

CONNECTIONS = 16
"""Requests under way at once."""

TRIES = 5
BACKOFF_SECONDS = 0.25
"""The wait before the second attempt; it doubles before each further one."""

LONGEST_WAIT_SECONDS = 30.0
"""A server that asks to wait for longer is taken at its word: the run ends."""

SHOWN_CHARACTERS = 200
"""The length to which messages shorten those of libraries."""

TIMEOUT_SECONDS = 60.0
"""How long a server may send nothing, unless the environment says otherwise."""


class PassingError(Exception):
    """A failure that may not occur again.

    Parameters
    ----------
    reason : str
    wait : float, optional
        The seconds that the server asks to wait.
    """

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class RemoteObject(Protocol):
    """What a place knows of one of its files. Picklable, without a connection, and equal to itself unpickled."""

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    @property
    def version(self) -> str:
        """What tells one content from another."""
        ...

    def fetch(self, start: int, stop: int) -> bytes:
        """Return the bytes from `start` up to, not including, `stop`.

        Raises
        ------
        PassingError
        ReadWriteError
        DataError
            If the file has changed.
        """
        ...

    def verify(self) -> None:
        """Raise `DataError` if the file has changed."""
        ...


def timeout() -> float:
    """Return how many seconds a server may send nothing.

    Raises
    ------
    ReadWriteError
        If the environment says something else than a number.
    """
    text = os.environ.get(TIMEOUT_VARIABLE)
    try:
        seconds = float(text) if text else TIMEOUT_SECONDS
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ReadWriteError(f"{TIMEOUT_VARIABLE}: {text!r} is not a number of seconds")
    return seconds


def shortened(error: Exception) -> str:
    """Return the message of a library's error on one line, without secrets and the numbers of requests."""
    text = re.sub(r" *\([^()]*(Request|request) ?ID[^()]*\)", "", " ".join(str(error).split())) or type(error).__name__
    return redacted(text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…")


def retried(path: str, call: Callable[[], T]) -> T:
    """Return what the call returns, which is repeated a few times while its failures are passing ones.

    Raises
    ------
    ReadWriteError
    """
    for attempt in range(TRIES):
        try:
            return call()
        except PassingError as error:
            failure = error
        if attempt == TRIES - 1 or failure.wait > LONGEST_WAIT_SECONDS:
            break
        # Readers that failed together do not come back together.
        time.sleep(max(failure.wait, BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1)))  # noqa: S311 - no secret
    if failure.wait > LONGEST_WAIT_SECONDS:
        raise ReadWriteError(f"{path}: cannot read: {failure}; the server asks to wait {failure.wait:.0f} s")
    raise ReadWriteError(f"{path}: cannot read: {failure} (tried {TRIES} times)")


class Stretch:
    """Consecutive bytes of a file, fetched or on their way.

    Parameters
    ----------
    start, stop : int
    result : Future
        The bytes.
    window : int
        How far ahead of its end the file is fetched when it is read; 0 if it is not part of a stream.
    """

    __slots__ = ("file", "read", "result", "start", "stop", "window")

    def __init__(self, file: RemoteFile, start: int, stop: int, result: Future[bytes], window: int = 0) -> None:
        self.file = weakref.ref(file)
        self.start, self.stop, self.result, self.window = start, stop, result, window
        self.read = False

    def __lt__(self, other: Stretch) -> bool:
        return self.start < other.start


_lock = RLock()
_kept: tuple[OrderedDict[Stretch, int], OrderedDict[Stretch, int]] = OrderedDict(), OrderedDict()
"""The stretches of all files with their sizes: those not yet read, and those read, the longest ago first."""

_kept_bytes = 0

_given_up: deque[list[Stretch]] = deque()
"""The stretches of files that are no longer in use, as long as they could not be forgotten."""


class RemoteFile:
    """A file on another machine. See `msecli.places.base.InputFile`.

    Bytes that a reader goes on to read are fetched before it asks for them, several requests at a time; so are those
    that it says it will read. Unpickling costs no request.

    Parameters
    ----------
    path, word : str
    remote : RemoteObject
    start : bytes
        The first bytes, as far as they are known.

    Raises
    ------
    DataError
        If it is empty.
    """

    def __init__(self, path: str, word: str, remote: RemoteObject, start: bytes = b"") -> None:
        self.path, self.word = path, word
        self._remote = remote
        self.size = remote.size
        if not self.size:
            raise DataError(f"{path}: the file is empty (0 bytes)")
        self._stretches: list[Stretch] = []
        weakref.finalize(self, _forget, self._stretches)
        if start:
            known: Future[bytes] = Future()
            known.set_result(start)
            self._add(Stretch(self, 0, len(start), known))

    @property
    def version(self) -> str:
        """What tells one content from another."""
        return self._remote.version

    def __reduce__(self) -> tuple[Callable[..., RemoteFile], tuple[str, str, RemoteObject]]:
        return _reopened, (self.path, self.word, self._remote)

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the file."""
        pieces = list(self._pieces(offset, min(offset + size, self.size)))
        return bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        if offset + len(buffer) > self.size:
            raise changed(self.path)
        done = 0
        for piece in self._pieces(offset, offset + len(buffer)):
            buffer[done : done + len(piece)] = piece
            done += len(piece)

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`."""
        return offset < self.size

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        retried(self.path, self._remote.verify)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Begin to fetch what will be read next, some of it if it is much."""
        left = 2 * AHEAD_BYTES
        for start, stop in joined(ranges):
            with _lock:
                self._cover(start, min(stop, start + left, self.size))
            left -= stop - start
            if left <= 0:
                return

    def for_arrow(self) -> Any:
        """Return an open file of pyarrow."""
        import pyarrow as pa

        return pa.PythonFile(FileObject(self), mode="r")

    def _pieces(self, start: int, stop: int) -> Iterator[memoryview]:
        """Yield the bytes from `start` up to, not including, `stop`, a piece at a time."""
        with _lock:
            stretches = self._cover(start, stop, wanted=True)
        for stretch in stretches:
            try:
                content = stretch.result.result()
            except BaseException:
                # Who asks again may have more luck.
                _drop(stretch)
                raise
            first, last = max(start, stretch.start), min(stop, stretch.stop)
            yield memoryview(content)[first - stretch.start : last - stretch.start]

    def _cover(self, start: int, stop: int, *, wanted: bool = False) -> list[Stretch]:
        """Return the stretches with these bytes, and fetch those that are missing; if they are wanted, read ahead."""
        found: list[Stretch] = []
        while start < stop:
            stretch = self._at(start) or self._fetch(start, stop, wanted=wanted)
            found.append(stretch)
            start = stretch.stop
        for stretch in found if wanted else ():
            size = _kept[stretch.read].pop(stretch, None)
            stretch.read = True
            if size is not None:
                _kept[True][stretch] = size
        if wanted and found and (window := found[-1].window):
            end = min(start + window, self.size)
            while start < end:
                ahead = self._at(start) or self._fetch(start, end, window=min(2 * window, AHEAD_BYTES))
                start = ahead.stop
        return found

    def _at(self, offset: int) -> Stretch | None:
        """Return the stretch with a byte."""
        place = bisect_right(self._stretches, offset, key=_start) - 1
        found = self._stretches[place] if place >= 0 else None
        return found if found is not None and found.stop > offset else None

    def _fetch(self, start: int, stop: int, window: int = 0, *, wanted: bool = False) -> Stretch:
        """Begin to fetch bytes from `start` on, as many as a request may; they belong to no stretch yet."""
        if wanted and start and (before := self._at(start - 1)) is not None and before.read:
            # Who has read up to here goes on.
            window = before.window or FIRST_WINDOW
        least = REQUEST_BYTES if window else START_BYTES
        place = bisect_right(self._stretches, start, key=_start)
        limit = self._stretches[place].start if place < len(self._stretches) else self.size
        stop = min(max(stop, start + least) if wanted or window else stop, start + REQUEST_BYTES, limit)
        call = partial(_fetched, self.path, self._remote, start, stop)
        stretch = Stretch(self, start, stop, _threads(os.getpid()).submit(call), window)
        self._add(stretch)
        return stretch

    def _add(self, stretch: Stretch) -> None:
        with _lock:
            _forget_given_up()
            insort(self._stretches, stretch)
            _kept[False][stretch] = stretch.stop - stretch.start
            _count(stretch.stop - stretch.start)
            while _kept_bytes > KEPT_BYTES and len(_kept[False]) + len(_kept[True]) > 1:
                # What has been read goes first.
                _drop(next(iter(_kept[True] or _kept[False])))


def joined(ranges: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield ranges, those together that follow each other closely.

    Examples
    --------
    >>> list(joined([(0, 10), (20, 30), (1_000_000, 1_000_010), (5, 6)]))
    [(0, 30), (1000000, 1000010), (5, 6)]
    """
    last: tuple[int, int] | None = None
    for start, stop in ranges:
        if last is None:
            last = start, stop
        elif 0 <= start - last[1] <= GAP_BYTES:
            last = last[0], stop
        else:
            yield last
            last = start, stop
    if last is not None:
        yield last


def _fetched(path: str, remote: RemoteObject, start: int, stop: int) -> bytes:
    def fetch() -> bytes:
        content = remote.fetch(start, stop)
        if len(content) != stop - start:
            raise PassingError(f"the connection ended after {len(content)} of {stop - start} bytes")
        return content

    return retried(path, fetch)


@cache
def _threads(process: int) -> ThreadPoolExecutor:
    """Return the threads of a process that fetch."""
    return ThreadPoolExecutor(CONNECTIONS, "msecli-fetch")


def _count(size: int) -> None:
    global _kept_bytes  # noqa: PLW0603 - there is one process
    _kept_bytes += size


def _start(stretch: Stretch) -> int:
    return stretch.start


def _drop(stretch: Stretch) -> None:
    """Keep a stretch no longer; who reads it has it still."""
    with _lock:
        _count(-_kept[stretch.read].pop(stretch, 0))
        file = stretch.file()
        if file is not None and stretch in file._stretches:  # noqa: SLF001 - of this very module
            file._stretches.remove(stretch)  # noqa: SLF001


def _forget(stretches: list[Stretch]) -> None:
    """Give up what a file that is no longer in use has fetched or wanted to.

    The garbage collector calls it, in whatever a thread is just doing. So it must not wait: who holds the lock may wait
    for what this thread holds.
    """
    _given_up.append(stretches)
    if _lock.acquire(blocking=False):
        try:
            _forget_given_up()
        finally:
            _lock.release()


def _forget_given_up() -> None:
    while _given_up:
        for stretch in _given_up.popleft():
            _count(-_kept[stretch.read].pop(stretch, 0))
            stretch.result.cancel()


_files: weakref.WeakValueDictionary[tuple[str, RemoteObject], RemoteFile] = weakref.WeakValueDictionary()
"""The unpickled files in use, so that the parts of a file share what has been fetched."""


def _reopened(path: str, word: str, remote: RemoteObject) -> RemoteFile:
    file = _files.get((path, remote))
    if file is None:
        file = _files[path, remote] = RemoteFile(path, word, remote)
    return file
