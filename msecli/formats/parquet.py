"""Parquet files, read by row group, in batches of bounded memory."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import accumulate
from threading import Lock
from typing import Any

import pyarrow as pa

from msecli.errors import DataError, NoRowsError, Warned
from msecli.formats.base import Block, Column, Facts, Selection
from msecli.formats.columnar import DAMAGED, VALUES_PER_BLOCK, Steps, Table, Wanted, explained
from msecli.places.base import AHEAD_BYTES, InputFile
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

try:
    # The public module also imports every kind of file system, which takes a tenth of a short run.
    from pyarrow._parquet import ParquetReader
except ImportError:
    from pyarrow.parquet.core import ParquetReader

MAGIC = b"PAR1"
SEAM = MAGIC + MAGIC
"""The end of one Parquet file and the start of the next."""

ROWS_PER_BLOCK = 1 << 20
"""A row group of the usual size: Arrow is a quarter faster where a block is a whole row group."""

BLOCKS_OF_LARGE = 4
"""A larger row group is read in blocks of this fraction: Arrow holds each one while it reads the next."""

BUFFER_BYTES = 1 << 16
"""Smaller than most pages: a larger page is read in one go and copied once less."""

TRAILER_BYTES = 8
"""The footer's length in 4 bytes, and the magic number again."""

INDEX_BYTES = 1 << 20
"""The read size when looking for a seam; with a known last page, only this much before the footer is searched."""

EXTENSIONS = {"arrow_extensions_enabled": True} if int(pa.__version__.partition(".")[0]) > 20 else {}
"""Columns of UUIDs and JSON are told from bytes and text, by the versions of pyarrow that can."""

_explained = partial(explained, kind="Parquet file")


class ParquetSource:
    """A table in a Parquet file. See `msecli.formats.base.Source`."""

    format = "parquet"
    divisible = False

    def __init__(self, file: InputFile, reading: Reading) -> None:
        self.path = file.path
        self._file = file
        with _explained(file.path), closing(_open(file)) as opened:
            self._metadata = opened.metadata
            columns, self._steps = Table.of(opened.schema_arrow)
            self._paths = tuple(map(tuple, opened.column_paths))
        _check_groups(file.path, self._metadata)
        self.columns: tuple[Column, ...] | None = columns
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = self._metadata.num_rows
        self.work = self._metadata.num_rows
        self.warnings: Sequence[Warned] = ()
        if not self.rows:
            raise NoRowsError(f"{file.path}: the table has no rows")

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[ParquetPart]:
        """Return one part per row group."""
        leaves = _leaves(self._paths, frozenset({*selection.numbers, *selection.labels}))
        wanted = Wanted.of(self.path, self.columns or (), self._steps, selection)
        chunks = Chunks(self._metadata, leaves)
        return [ParquetPart(self._file, chunks, wanted, *each) for each in enumerate(self.cuts()[:-1])]

    def cuts(self) -> Sequence[int]:
        """Return the first row of each part, followed by the number of rows."""
        groups = range(self._metadata.num_row_groups)
        return list(accumulate((self._metadata.row_group(group).num_rows for group in groups), initial=0))

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._file.verify()

    def facts(self) -> Mapping[str | None, Facts]:
        """Return what the footer knows of the columns."""
        from msecli.formats.parquet_facts import LARGEST_FOOTER, facts_in  # only a look at the file needs it

        end = self._file.size - TRAILER_BYTES
        size = int.from_bytes(self._file.read(4, end), "little")
        if size > min(LARGEST_FOOTER, end):
            return {}
        found = facts_in(self._file.read(size, end - size))
        paths = {column.name: self._steps.get(column.name, (column.name,)) for column in self.columns or ()}
        return {name: found[path] for name, path in paths.items() if path in found}


def _open(file: InputFile, metadata: Any = None) -> Any:
    return _opened(file.for_arrow(), metadata)


def _opened(file: Any, metadata: Any, *, whole: bool = False) -> Any:
    """Return a reader, which asks for the whole of a column's chunk at once, or for a page at a time."""
    reader = ParquetReader()
    # Pre-buffering would hold a whole row group in memory. Checksums are verified if the writer left any.
    reader.open(
        file,
        metadata=metadata,
        pre_buffer=whole,
        buffer_size=BUFFER_BYTES,
        page_checksum_verification=True,
        **EXTENSIONS,
    )
    return reader


def _check_groups(path: str, metadata: Any) -> None:
    # The footer has no checksum, but it counts rows three times: for the file, its row groups, and their columns.
    # The reader stops at the smallest count, so a damaged count would silently lose rows.
    rows = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        raise DataError(
            f"{path}: the Parquet footer counts {metadata.num_rows} rows, but {rows} in its row groups; "
            "is it damaged? Write the file again"
        )


def _leaves(paths: Iterable[Steps], names: frozenset[str]) -> tuple[int, ...]:
    """Return the numbers of the leaf columns of the columns, or fields of structs, with these names."""
    return tuple(number for number, path in enumerate(paths) if not names.isdisjoint(accumulate(path, "{}.{}".format)))


class Chunks:
    """The columns that are read, and where they lie in each row group.

    Parameters
    ----------
    metadata : pyarrow.parquet.FileMetaData
    leaves : sequence of int
        The numbers of the leaf columns.
    """

    def __init__(self, metadata: Any, leaves: Sequence[int]) -> None:
        self.metadata, self.leaves = metadata, leaves
        self._first: int | None = None
        self._told = self._bytes = 0
        self._ends: dict[int, int] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type[Chunks], tuple[Any, Sequence[int]]]:
        return Chunks, (self.metadata, self.leaves)

    def tell(self, file: InputFile, first: int) -> None:
        """Have the file fetch the columns of a row group, and of those behind it.

        Who reads a second row group reads all of them; a look at the first one is enough for some.
        """
        with self._lock:
            self._first = first if self._first is None else self._first
            file.expect(self._ranges(first, self.metadata.num_row_groups if first != self._first else first + 1))

    def _ranges(self, first: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield the first bytes, and the ends, of the columns of row groups, as far as they are not yet told."""
        # Threads may begin with a later row group before an earlier one.
        for group in (first, *range(max(first + 1, self._told), stop)):
            if group in self._ends:
                continue
            if group != first and self._bytes - self._ends.get(first - 1, 0) >= AHEAD_BYTES:
                return
            found = [each for leaf in self.leaves for each in self._asked_for(group, leaf)]
            self._bytes += sum(end - begin for begin, end in found)
            self._ends[group] = self._bytes
            self._told = max(self._told, group + 1)
            yield from found

    def _asked_for(self, group: int, leaf: int) -> list[tuple[int, int]]:
        """Return what the reader asks for; metadata that are damaged would let pyarrow's accessor abort the process."""
        probe = _Probe()
        with suppress(*DAMAGED), closing(_opened(pa.PythonFile(probe, mode="r"), self.metadata, whole=True)) as opened:
            next(opened.iter_batches(1, [group], [leaf], use_threads=False), None)
        return probe.asked


class _Probe(io.RawIOBase):
    """A file that has nothing to read, and keeps in mind what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[int, int]] = []
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset if whence == os.SEEK_SET else sys.maxsize
        return self._position

    def read(self, size: int = -1) -> bytes:
        self.asked.append((self._position, self._position + size))
        raise EOFError


class ParquetPart(NamedTuple):
    """A row group of a file. See `msecli.formats.base.Part`."""

    file: InputFile
    chunks: Chunks
    wanted: Wanted
    group: int
    first_row: int

    @property
    def metadata(self) -> Any:
        """What pyarrow knows of the file."""
        return self.chunks.metadata

    def read(self) -> Iterator[Block]:
        """Yield the rows in batches, then check their number against the metadata."""
        most = self._rows_per_block()
        rows, schema, last = 0, self.metadata.schema, self.metadata.num_columns - 1
        self.chunks.tell(self.file, self.group)
        with _explained(self.file.path), closing(_open(self.file, self.metadata)) as opened:
            for batch in opened.iter_batches(most, [self.group], self.chunks.leaves, use_threads=False):
                yield self.wanted.block(batch, self.first_row + rows)
                rows += batch.num_rows
            row_group = self.metadata.row_group(self.group)
            leaves = [leaf for leaf in self.chunks.leaves if schema.column(leaf).max_repetition_level == 0]
            _check_rows(self.file.path, row_group, leaves, self.group, rows)
            if self.group == self.metadata.num_row_groups - 1:
                readable = last in leaves or _is_readable(opened, self.group, last)
                _check_end(self.file, row_group, {*leaves, last} if readable else leaves)

    def _rows_per_block(self) -> int:
        """Return the number of rows of the whole row group, or fewer if these would take too much memory."""
        rows = self.metadata.row_group(self.group).num_rows
        most = min(ROWS_PER_BLOCK, self.wanted.rows_within(VALUES_PER_BLOCK))
        return rows if rows <= most else max(1, most // BLOCKS_OF_LARGE)


def _is_readable(opened: Any, group: int, leaf: int) -> bool:
    """Tell whether a column's first page, and so its metadata, can be read; see `_check_rows`."""
    try:
        next(opened.iter_batches(1, [group], [leaf], use_threads=False), None)
    except DAMAGED:
        return False
    return True


def _check_rows(path: str, row_group: Any, leaves: Sequence[int], group: int, rows: int) -> None:
    """Compare the number of rows read with every count in the metadata.

    This must come after reading: on damaged column metadata the reader raises, but pyarrow's accessor aborts the
    process.
    """
    for expected in (row_group.num_rows, *(row_group.column(leaf).num_values for leaf in leaves)):
        if expected != rows:
            raise DataError(
                f"{path}: row group {group} holds {rows} rows, its metadata say {expected}; is it an incomplete copy?"
            )


def _check_end(file: InputFile, row_group: Any, leaves: Collection[int]) -> None:
    """Refuse Parquet files joined by `cat`: the last footer would be applied to the pages of the first file.

    Only indexes and the footer follow the last column's pages. In joined files, as many extra bytes follow as precede
    the last file, so their number bounds where the seam is. If the last column is not among the readable `leaves`,
    its pages are among these bytes, and the seam may be anywhere.
    """
    footer = file.size - TRAILER_BYTES - int.from_bytes(file.read(4, file.size - TRAILER_BYTES), "little")
    behind = footer - max((_end_of(row_group.column(leaf)) for leaf in leaves), default=0)
    end = min(behind, footer) + len(MAGIC)
    start = max(0, end - INDEX_BYTES) if row_group.num_columns - 1 in leaves else 0
    for position in range(start, end, INDEX_BYTES):
        if SEAM in file.read(min(end - position, INDEX_BYTES + len(SEAM) - 1), position):
            raise DataError(
                f"{file.path}: several Parquet files were joined into one, which is not a valid Parquet file; "
                "read them one by one and write one table"
            )


def _end_of(column: Any) -> int:
    """Return the position of the end of a column's pages."""
    start = min(offset for offset in (column.dictionary_page_offset, column.data_page_offset) if offset)
    return int(start + column.total_compressed_size)
