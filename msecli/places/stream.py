"""Streams: bytes that come once and in order, from a pipe, or as a file is decompressed or decoded.

Whoever needs bytes that have not come yet waits for them, so a thread decompresses while others parse. What has come is
kept, and what is too much to keep is copied to a temporary file; unless it is known that all is read only once more.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from threading import Lock, RLock
from typing import Any

from msecli.errors import DataError
from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES, READING, copied, explained, spooled

KEPT_BYTES = 8 << 20
"""What is kept of any stream, so that a small one can be read again like a file, and never needs a copy."""


class ForgottenError(DataError):
    """Bytes of a stream are read that have been read and forgotten."""


class StreamFile:
    """A file whose bytes come once and in order. See `msecli.places.base.InputFile`.

    Parameters
    ----------
    path : str
    chunks : iterable of bytes
        The bytes as they come.
    word : str
    origin : Chunks, optional
        What the chunks are made of, if that is a file.
    kind : str
        What messages call it.
    stored : InputFile, optional
        A compressed file that the same bytes can be had of again; then another process does so.

    Raises
    ------
    MsecliError
        If nothing comes.
    """

    streamed = True
    """Who needs some bytes has to read all those before them."""

    def __init__(
        self,
        path: str,
        chunks: Iterable[bytes],
        word: str = "",
        origin: Chunks | None = None,
        kind: str = "file",
        *,
        stored: InputFile | None = None,
    ) -> None:
        self.path, self.word, self.stored = path, word, stored
        self._chunks, self._origin = iter(chunks), origin
        self._held: list[bytes] = []
        # Where the chunks that are held begin, and where the last one ends.
        self._borders = [0]
        self._ended = self._once = False
        self._error: BaseException | None = None
        self._copy: InputFile | None = None
        # Another thread would not know who is to be told.
        self._tell = copied.get()
        # Who waits for the stream must not keep others from what has come.
        self._waiting, self._lock = RLock(), Lock()
        if not self.reaches(0):
            raise DataError(f"{path}: the {kind} is empty (0 bytes)")

    def __reduce__(self) -> Any:
        if self.stored is not None:
            from msecli.places.compressed import decompressed

            return decompressed, (self.stored,)
        # Another process can read only a file.
        return self._copied().__reduce__()

    @property
    def unnamed(self) -> bool:
        """Whether no name leads to the same bytes again."""
        return self.stored is None

    @property
    def size(self) -> int:
        """The number of bytes; all of them are waited for."""
        self._wait(sys.maxsize)
        return self._borders[-1]

    @property
    def expected(self) -> int | None:
        """How many bytes there are, as far as is known or can be told from what they are made of."""
        return int(self._borders[-1] / self.share) if self.share else None

    @property
    def share(self) -> float | None:
        """The share of the bytes that has come, as far as can be told."""
        if self._ended:
            return 1.0
        return None if self._origin is None else self._origin.share

    @property
    def ended(self) -> bool:
        """Whether the last byte has come."""
        return self._ended

    @property
    def forgets(self) -> bool:
        """Whether bytes are forgotten as they are read."""
        return self._once and self._copy is None

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the stream.

        Raises
        ------
        ForgottenError
            If they are not kept.
        """
        self._wait(offset + size)
        with self._lock:
            copy = self._copy
            if copy is None:
                return self._of_held(offset, offset + size)
        return copy.read(size, offset)

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        if self._copy is not None:
            self._copy.fill(buffer, offset)
        else:
            buffer[:] = self.read(len(buffer), offset)

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`, if need be by waiting for it."""
        self._wait(offset + 1)
        return offset < self._borders[-1]

    def verify(self) -> None:
        """Raise `DataError` if the file that the stream is made of has changed since it was opened."""
        if self._origin is not None:
            self._origin.file.verify()

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Do nothing: the bytes come in their order."""

    def for_arrow(self) -> Any:
        """Return what pyarrow opens to read this very file."""
        return self._copied().for_arrow()

    def once(self) -> None:
        """From now on everything is read once, in order: what `forget` names need not be kept."""
        self._once = True

    def forget(self, offset: int) -> None:
        """Forget the bytes before `offset`, if more is held than is kept of any stream."""
        with self._lock:
            if self.forgets and self._borders[-1] - self._borders[0] > KEPT_BYTES:
                chunks = bisect_right(self._borders, offset) - 1
                del self._held[:chunks], self._borders[:chunks]

    def rest(self) -> Iterator[bytes]:
        """Yield everything and keep nothing: from now on only the caller reads."""
        held, self._held = self._held, []
        yield from held
        yield from self._chunks

    def _of_held(self, start: int, stop: int) -> bytes:
        borders = self._borders
        if start < borders[0]:
            raise ForgottenError(f"{self.path}: a stream cannot be read again; write it to a file first")
        stop = min(stop, borders[-1])
        if start >= stop:
            return b""
        first, last = bisect_right(borders, start) - 1, bisect_right(borders, stop - 1) - 1
        if first == last:
            return self._held[first][start - borders[first] : stop - borders[first]]
        begun, *whole = self._held[first:last]
        return b"".join((begun[start - borders[first] :], *whole, self._held[last][: stop - borders[last]]))

    def _wait(self, until: int) -> None:
        """Take in chunks until so many bytes have come, or the stream ends."""
        while self._borders[-1] < until and not self._ended:
            with self._waiting:
                if self._borders[-1] < until and not self._ended:
                    self._take()

    def _take(self) -> None:
        chunk = self._next()
        with self._lock:
            self._ended = not chunk
            if chunk:
                self._held.append(chunk)
                self._borders.append(self._borders[-1] + len(chunk))
        if self.share is None:
            self._tell(self.path, self._borders[-1], READING)
        if not self._once and self._borders[-1] > KEPT_BYTES:
            self._copied()

    def _next(self) -> bytes:
        """Return the next chunk, empty at the end; an error is raised again each time, as nobody knows what follows."""
        if self._error is not None:
            raise self._error
        try:
            return next(filter(None, self._chunks), b"")
        except BaseException as error:
            self._error = error
            raise

    def _copied(self) -> InputFile:
        """Return a copy of the whole stream in a temporary file."""
        with self._waiting:
            if self._copy is None:
                if self._borders[0]:
                    self._of_held(0, 1)  # refuses
                with explained(self.path):
                    copy = spooled(self.path, chain(self._held, iter(self._next, b"")))
                with self._lock:
                    self._copy, self._held, self._borders, self._ended = copy, [], [copy.size], True
        return self._copy


def expected_size(file: InputFile) -> int | None:
    """Return the number of bytes; of a stream as many as are expected, None if that cannot be told."""
    return file.expected if isinstance(file, StreamFile) else file.size


def stored_of(file: InputFile) -> InputFile | None:
    """Return the compressed file whose bytes these are, decompressed; None if they are others."""
    return file.stored if isinstance(file, StreamFile) else None


class Chunks:
    """The bytes of a file from the first to the last, a chunk at a time; a stream does not keep them.

    Attributes
    ----------
    position : int
        How many bytes have been read.
    """

    def __init__(self, file: InputFile) -> None:
        self.file, self.position = file, 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self.file.rest() if isinstance(self.file, StreamFile) else self._read():
            self.position += len(chunk)
            yield chunk

    @property
    def share(self) -> float | None:
        """The share of the file that has been read, as far as can be told."""
        return self.file.share if isinstance(self.file, StreamFile) else self.position / self.file.size

    def _read(self) -> Iterator[bytes]:
        while self.file.reaches(self.position):
            yield self.file.read(CHUNK_BYTES, self.position)
