"""Arrow's own files (Feather version 2 among them), read by record batch, and streams of record batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import pyarrow as pa
from pyarrow import ipc

from msecli.arrow.ipc import Batch, batches_of
from msecli.errors import DataError, NoRowsError, Warned
from msecli.formats.base import Block, Column, Selection
from msecli.formats.batches import BatchesSource
from msecli.formats.columnar import Table, Wanted, explained
from msecli.places.base import InputFile
from msecli.places.stream import StreamFile
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

ROWS_PER_PART = 1 << 18
"""Smaller batches are read together, because whoever reads a part opens the file anew."""

LARGE_BYTES = 1 << 26
"""A larger batch, such as a whole table that was written at once, is mapped into memory rather than read."""

PIECE_BYTES = 1 << 24
"""A damaged length asks for any number of bytes; no more are allocated at once."""

END_MARK = b"\xff\xff\xff\xff\x00\x00\x00\x00"
"""What writers put at the end of a stream, so that a cut-off one can be told."""

FILE, STREAM = "Arrow file", "Arrow stream"


class ArrowSource:
    """A table in an Arrow file. See `msecli.formats.base.Source`."""

    format = "arrow"
    divisible = False

    def __init__(self, file: InputFile, reading: Reading) -> None:
        self.path = file.path
        self._file = file
        with explained(file.path, FILE):
            self._batches = batches_of(file.read, file.size)
            with _opened(file) as reader:
                self._schema = reader.schema
                _check_number(file.path, reader, len(self._batches))
            columns, self._steps = Table.of(self._schema)
        self.columns: tuple[Column, ...] | None = columns
        self.item: tuple[int, ...] | None = None
        self.work = sum(batch.rows for batch in self._batches)
        self.rows: int | None = self.work
        self.warnings: Sequence[Warned] = ()
        if not self.rows:
            raise NoRowsError(f"{file.path}: the table has no rows")

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[ArrowPart]:
        """Return one part for each large batch, or for several small ones."""
        wanted = Wanted.of(self.path, self.columns or (), self._steps, selection)
        fields = wanted.fields(self._schema)
        return [
            ArrowPart(self._file, wanted, fields, first, self._batches[first:last], row)
            for first, last, row in self._groups()
        ]

    def cuts(self) -> Sequence[int]:
        """Return the first row of each part, followed by the number of rows."""
        return [*(row for *_, row in self._groups()), self.work]

    def _groups(self) -> list[tuple[int, int, int]]:
        """Return the first batch of each part, the one after its last, and its first row."""
        rows = list(accumulate((batch.rows for batch in self._batches), initial=0))
        begins = [0]
        for number, row in enumerate(rows):
            if row - rows[begins[-1]] >= ROWS_PER_PART and row < self.work:
                begins.append(number)
        return [(first, last, rows[first]) for first, last in pairwise([*begins, len(self._batches)])]

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._file.verify()


def _opened(file: InputFile, fields: Sequence[int] = (), *, mapped: bool = False) -> Any:
    """Return a reader of these fields of a file, by default of all."""
    stored = file.for_arrow()
    if isinstance(stored, str):
        stored = pa.memory_map(stored) if mapped else pa.OSFile(stored)
    return ipc.open_file(stored, options=_options(fields))


def _options(fields: Sequence[int]) -> ipc.IpcReadOptions:
    # Threads are those of the engine.
    return ipc.IpcReadOptions(use_threads=False, included_fields=list(fields))


def _check_number(path: str, reader: Any, number: int) -> None:
    if reader.num_record_batches != number:
        raise DataError(f"{path}: the Arrow footer is damaged; write the file again")


class ArrowPart(NamedTuple):
    """Some record batches of a file. See `msecli.formats.base.Part`."""

    file: InputFile
    wanted: Wanted
    fields: Sequence[int]
    first: int
    batches: Sequence[Batch]
    first_row: int

    def read(self) -> Iterator[Block]:
        """Yield the rows of each batch, after checking its buffers."""
        row = self.first_row
        mapped = any(batch.block.body > LARGE_BYTES for batch in self.batches)
        with explained(self.file.path, FILE), _opened(self.file, self.fields, mapped=mapped) as reader:
            for number, expected in enumerate(self.batches, self.first):
                batch = reader.get_batch(number)
                batch.validate(full=True)
                if batch.num_rows != expected.rows:
                    raise DataError(
                        f"{self.file.path}: record batch {number} holds {batch.num_rows} rows, its header says "
                        f"{expected.rows}; is the file damaged?"
                    )
                yield from self.wanted.blocks(batch, row)
                row += batch.num_rows


class Sequential:
    """A file that is read from its beginning to its end, for pyarrow.

    Parameters
    ----------
    file : InputFile
    head : bytes
        How the file begins, as far as that has been read.
    recorded : list of bytes, optional
        Receives what is read.
    """

    closed = False

    def __init__(self, file: InputFile, head: bytes = b"", *, recorded: list[bytes] | None = None) -> None:
        self._file, self._head, self._recorded = file, head, recorded
        self._position = 0
        self._tail = b""

    def read(self, size: int) -> bytes:
        """Return the next bytes, fewer than `size` only at the end."""
        pieces = []
        while size > 0 and (piece := self._piece(min(size, PIECE_BYTES))):
            pieces.append(piece)
            size -= len(piece)
            self._position += len(piece)
        found = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        self._tail = (self._tail + found[-len(END_MARK) :])[-len(END_MARK) :]
        if self._recorded is not None:
            self._recorded.append(found)
        elif isinstance(self._file, StreamFile):
            self._file.forget(self._position)
        return found

    def _piece(self, size: int) -> bytes:
        if self._position < len(self._head):
            return self._head[self._position : self._position + size]
        return self._file.read(size, self._position)

    def close(self) -> None:
        """Do nothing: the file is its owner's."""

    def check_end(self) -> None:
        """Refuse a stream that has no end, or goes on behind it.

        Raises
        ------
        DataError
        """
        if self._tail != END_MARK:
            raise DataError(
                f"{self._file.path}: the Arrow stream breaks off: it has no mark of its end, which a writer puts there "
                "when it is closed; write it again"
            )
        if self._file.reaches(self._position):
            raise DataError(
                f"{self._file.path}: bytes follow the end of the Arrow stream; are these several streams in one file?"
            )


class StreamedBatches(NamedTuple):
    """The record batches of a stream, read anew each time."""

    file: InputFile
    head: bytes

    def read(self, fields: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield the batches with these fields."""
        stream = Sequential(self.file, self.head)
        with explained(self.file.path, STREAM), closing(_stream(stream, fields)) as reader:
            for batch in iter(partial(_next, reader), None):
                batch.validate(full=True)
                yield batch
            stream.check_end()

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self.file.verify()

    def once(self) -> None:
        """Keep no more of a stream than has to be: the next reading is the last one."""
        if isinstance(self.file, StreamFile):
            self.file.once()


def _stream(stream: Sequential, fields: Iterable[int] = ()) -> Any:
    return ipc.open_stream(pa.PythonFile(stream, mode="r"), options=_options(list(fields)))


def _next(reader: Any) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def open_stream(file: InputFile, reading: Reading) -> BatchesSource:
    """Return a stream of record batches as a source.

    What has been read is not asked for again, because it may have come through a pipe: the schema, and the first batch
    if lists in it may have any length.

    Raises
    ------
    DataError
        If it is damaged.
    """
    recorded: list[bytes] = []
    with explained(file.path, STREAM), closing(_stream(Sequential(file, recorded=recorded))) as reader:
        schema = reader.schema
        table = Table.of(schema)
        if any(column.shape is None for column in table.columns):
            _next(reader)
    return BatchesSource(file.path, "arrows", schema, table, StreamedBatches(file, b"".join(recorded)))
