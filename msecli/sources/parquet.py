"""Parquet files, read by row groups in batches that keep memory bounded."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from msecli.errors import DataError
from msecli.sources.arrow import floats, is_numeric, labels
from msecli.sources.base import ROWS_PER_BLOCK, Block, Column, Note, Part, Reading, Selection
from msecli.sources.file import InputFile
from msecli.sources.npy import ROUNDED

MAGIC = b"PAR1"
SEAM = MAGIC + MAGIC
"""The end of one Parquet file and the start of the next."""

BUFFER_BYTES = 1 << 16
"""Smaller than the pages of most files, which are then read at once, and copied once less."""

TRAILER_BYTES = 8
"""The footer's length in 4 bytes, and the magic number again."""

INDEX_BYTES = 1 << 20
"""As much as the indexes of a file may take for a seam before them to be found."""

DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError, ValueError, EOFError, MemoryError, OverflowError)
"""What pyarrow raises on damaged files."""


class ParquetSource:
    """A table in a Parquet file. See `msecli.sources.base.Source`."""

    format = "parquet"

    def __init__(self, file: InputFile, reading: Reading) -> None:
        self.path = file.path
        self._file = file
        with _explained(file.path):
            opened = _open(file)
            self._metadata = opened.metadata
            schema = opened.schema_arrow
        self.columns: tuple[Column, ...] | None = tuple(
            Column(field.name, str(field.type), numeric=is_numeric(field.type)) for field in schema
        )
        self.item: tuple[int, ...] | None = None
        self.rows: int | None = self._metadata.num_rows
        self.work = self._metadata.num_rows
        self.notes: Sequence[Note] = ()
        if not self.rows:
            raise DataError(f"{file.path}: the table has no rows")
        _check_groups(file.path, self._metadata)

    def parts(self, selection: Selection) -> Iterator[Part]:
        """Yield one part per row group."""
        leaves = _leaves(self._metadata.schema, frozenset({*selection.numbers, *selection.labels}))
        for group in range(self._metadata.num_row_groups):
            yield partial(_read_group, self._file, self._metadata, selection, leaves, group)

    def verify(self) -> None:
        """Raise `DataError` if the file was changed meanwhile."""
        self._file.verify()


def _open(file: InputFile, metadata: Any = None) -> pq.ParquetFile:
    # Not pre-buffered: that holds a whole row group. Checksums are verified where the writer left any.
    return pq.ParquetFile(
        file.named(), metadata=metadata, pre_buffer=False, buffer_size=BUFFER_BYTES, page_checksum_verification=True
    )


def _check_groups(path: str, metadata: Any) -> None:
    # The footer has no checksum, but it counts rows in the file, in its row groups and in their columns.
    # The reader stops at the smallest count, so a damaged one would lose rows in silence.
    rows = sum(metadata.row_group(group).num_rows for group in range(metadata.num_row_groups))
    if rows != metadata.num_rows:
        raise DataError(
            f"{path}: the Parquet footer counts {metadata.num_rows} rows, but {rows} in its row groups; "
            "is it damaged? Write the file again"
        )


def _leaves(schema: Any, names: frozenset[str]) -> tuple[int, ...]:
    """Return the numbers of the file's columns of these names that hold one value per row."""
    leaves = ((number, schema.column(number)) for number in range(len(schema)))
    return tuple(number for number, leaf in leaves if leaf.path in names and leaf.max_repetition_level == 0)


def _read_group(
    file: InputFile, metadata: Any, selection: Selection, leaves: Sequence[int], group: int
) -> Iterator[Block]:
    names = list(dict.fromkeys([*selection.numbers, *selection.labels]))
    rows = 0
    last = metadata.num_columns - 1
    with _explained(file.path), _open(file, metadata) as opened:
        batches = opened.iter_batches(ROWS_PER_BLOCK, row_groups=[group], columns=names, use_threads=False)
        for batch in batches:
            rows += batch.num_rows
            yield _block(file.path, batch, selection)
        row_group = metadata.row_group(group)
        _check_rows(file.path, row_group, leaves, group, rows)
        if group == metadata.num_row_groups - 1:
            readable = last in leaves or _is_readable(opened, group, last)
            _check_end(file, row_group, {*leaves, last} if readable else leaves)


def _is_readable(opened: pq.ParquetFile, group: int, leaf: int) -> bool:
    """Tell whether a column's first page can be read, and so its metadata be asked for; see `_check_rows`."""
    path = opened.metadata.schema.column(leaf).path
    try:
        next(opened.iter_batches(1, row_groups=[group], columns=[path], use_threads=False), None)
    except DAMAGED:
        return False
    return True


def _check_rows(path: str, row_group: Any, leaves: Sequence[int], group: int, rows: int) -> None:
    """Compare the rows that were read with all counts of them.

    Only once they are read: where a column's metadata are damaged, the reader raises, but pyarrow's accessor of them
    aborts the process.
    """
    for said in (row_group.num_rows, *(row_group.column(leaf).num_values for leaf in leaves)):
        if said != rows:
            raise DataError(
                f"{path}: row group {group} holds {rows} rows, its metadata say {said}; is it an incomplete upload?"
            )


def _check_end(file: InputFile, row_group: Any, leaves: Collection[int]) -> None:
    """Refuse Parquet files joined by `cat`: the last one's footer would describe the first one's pages.

    Behind the last column's pages only indexes may follow, and the footer. In joined files there are also as many
    bytes as lie before the last file, so that this number says where to look for the seam. Where that column is not
    among the `leaves`, which are those that can be read, its pages may be behind them, too: the seam may be anywhere.
    """
    footer = file.size - TRAILER_BYTES - int.from_bytes(file.read(4, file.size - TRAILER_BYTES), "little")
    behind = footer - max((_end_of(row_group.column(leaf)) for leaf in leaves), default=0)
    end = min(behind, footer) + len(MAGIC)
    start = max(0, end - INDEX_BYTES) if row_group.num_columns - 1 in leaves else 0
    for position in range(start, end, INDEX_BYTES):
        if SEAM in file.read(min(end - position, INDEX_BYTES + len(SEAM) - 1), position):
            raise DataError(
                f"{file.path}: several Parquet files were joined into one, which is no Parquet file; "
                "read them one by one and write one table"
            )


def _end_of(column: Any) -> int:
    """Return where the pages of a column end."""
    start = min(offset for offset in (column.dictionary_page_offset, column.data_page_offset) if offset)
    return int(start + column.total_compressed_size)


def _block(path: str, batch: pa.RecordBatch, selection: Selection) -> Block:
    numbers, notes = {}, []
    for name in selection.numbers:
        where = f"{path}, column {name!r}"
        numbers[name], rounded = floats(batch.column(name), where)
        if rounded:
            notes.append(Note("rounded_integers", where, ROUNDED, rounded))
    found = {name: labels(batch.column(name), f"{path}, column {name!r}") for name in selection.labels}
    return Block(batch.num_rows, numbers, found, tuple(notes), work=batch.num_rows)


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: the Parquet file cannot be read ({reason}); is it an incomplete upload?") from error
