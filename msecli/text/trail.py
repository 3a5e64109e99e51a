"""The lines of a text that is read in pieces, told even where a stream has forgotten what came before."""

from __future__ import annotations

from bisect import bisect_right
from operator import itemgetter
from threading import Lock

import numpy as np

from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES
from msecli.places.stream import StreamFile
from msecli.text.records import count_lines
from msecli.tuples import NamedTuple


class Passed(NamedTuple):
    """A piece of a stream that has been parsed, or the next one.

    Parameters
    ----------
    begin : int
        Where its first record begins.
    line : int
        The line, from 1, of that record.
    rows_are_lines : bool
        Whether each of its lines is a row.
    """

    begin: int
    line: int
    rows_are_lines: bool = False


class Parsed(NamedTuple):
    """What is kept of a piece that has been parsed.

    Parameters
    ----------
    size, lines : int
        Its bytes, from its first record up to that of the next piece, and the line ends in them.
    needed : int
        From which byte of the file on others are read.
    rows_are_lines : bool
        See `Passed`.
    """

    size: int
    lines: int
    needed: int
    rows_are_lines: bool


class Trail:
    """What is kept of the pieces of a text that have been parsed.

    Of a stream that is read once, what has been parsed is forgotten; only the line numbers of its pieces are kept.

    Parameters
    ----------
    file : InputFile
    start : int
        Where the first record of the text begins.
    """

    def __init__(self, file: InputFile, start: int) -> None:
        self._file, self._start = file, start
        self._stream = file if isinstance(file, StreamFile) else None
        # The pieces that have been parsed, those in order and those ahead of them.
        self._passed: list[Passed] = []
        self._ahead: dict[int, Parsed] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Trail], tuple[InputFile, int]]:
        return Trail, (self._file, self._start)

    @property
    def forgotten(self) -> StreamFile | None:
        """The file, if it is forgotten as it is read."""
        return self._stream if self._stream is not None and self._stream.forgets else None

    def once(self) -> None:
        """From now on every piece is read once, so that a stream need not be kept."""
        if self._stream is not None:
            self._stream.once()

    def parsed(self, number: int, piece: Parsed) -> None:
        """Say that a piece of a stream that is forgotten has been parsed.

        What is needed only for those up to the first that has not been parsed is then forgotten.
        """
        stream = self.forgotten
        if stream is None:
            return
        with self._lock:
            if not self._passed:
                self._passed.append(Passed(self._start, line_number(self._file, self._start)))
            self._ahead[number] = piece
            while (due := self._ahead.pop(len(self._passed) - 1, None)) is not None:
                last = self._passed[-1]
                self._passed[-1] = last._replace(rows_are_lines=due.rows_are_lines)
                self._passed.append(Passed(last.begin + due.size, last.line + due.lines))
                stream.forget(due.needed)

    def line(self, position: int) -> int:
        """Return the line number, from 1, of the byte at `position`, which has not been forgotten."""
        with self._lock:  # so that nothing is forgotten meanwhile
            passed = self._piece_at(position) or Passed(0, 1)
            return line_number(self._file, position, passed.begin, passed.line)

    def line_of_row(self, begin: int, row: int) -> int | None:
        """Return the line of a row, counted from the first one of a piece that is forgotten; None if it is unknown."""
        with self._lock:
            passed = self._piece_at(begin)
        if passed is None or passed.begin != begin or not passed.rows_are_lines:
            return None
        return passed.line + row

    def _piece_at(self, position: int) -> Passed | None:
        """Return the last piece that begins at or before a position, as far as pieces have been parsed."""
        found = bisect_right(self._passed, position, key=itemgetter(0))
        return self._passed[found - 1] if found else None


def line_number(file: InputFile, position: int, start: int = 0, line: int = 1) -> int:
    """Return the line number of the byte at `position`; that at `start` is the first of this line."""
    last = b""
    while start < position:
        chunk = file.read(min(CHUNK_BYTES, position - start), start)
        # A line end of two characters may straddle two chunks.
        line += count_lines(last + chunk) - count_lines(last)
        start += len(chunk)
        last = chunk[-1:]
    return line


def rows_are_lines(text: memoryview, lines: int, rows: int) -> bool:
    """Tell whether each line is a row, of a text with so many line ends; blank lines may follow the last row."""
    if not bytes(text[-1:]).endswith((b"\r", b"\n")):
        return rows == lines + bool(text)
    return rows == lines or rows == line_ends(memoryview(bytes(text).rstrip(b"\r\n"))) + 1


def line_ends(text: memoryview) -> int:
    """Count the line ends in a text; faster than `count_lines`."""
    read = np.frombuffer(text, dtype=np.uint8)
    returns = read == ord("\r")
    feeds = read == ord("\n")
    both = np.count_nonzero(returns[:-1] & feeds[1:]) if returns.any() else 0
    return int(np.count_nonzero(feeds) + np.count_nonzero(returns) - both)
