"""Parquet files, read by row groups in batches that keep memory bounded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
BUFFER_BYTES = 1 << 20

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

    def parts(self, selection: Selection) -> Iterator[Part]:
        """Yield one part per row group."""
        for group in range(self._metadata.num_row_groups):
            yield partial(_read_group, self._file, self._metadata, selection, group)

    def verify(self) -> None:
        """Raise `DataError` if the file was changed meanwhile."""
        self._file.verify()


def _open(file: InputFile, metadata: Any = None) -> pq.ParquetFile:
    # Not pre-buffered: that holds a whole row group. Checksums are verified where the writer left any.
    return pq.ParquetFile(
        file.named(), metadata=metadata, pre_buffer=False, buffer_size=BUFFER_BYTES, page_checksum_verification=True
    )


def _read_group(file: InputFile, metadata: Any, selection: Selection, group: int) -> Iterator[Block]:
    names = list(dict.fromkeys([*selection.numbers, *selection.labels]))
    rows = 0
    with _explained(file.path), _open(file, metadata) as opened:
        batches = opened.iter_batches(ROWS_PER_BLOCK, row_groups=[group], columns=names, use_threads=False)
        for batch in batches:
            rows += batch.num_rows
            yield _block(file.path, batch, selection)
    expected = metadata.row_group(group).num_rows
    if rows != expected:
        raise DataError(
            f"{file.path}: row group {group} holds {rows} rows, its metadata say {expected}; "
            "is it an incomplete upload?"
        )


def _block(path: str, batch: pa.RecordBatch, selection: Selection) -> Block:
    numbers, notes = {}, []
    for name in selection.numbers:
        where = f"{path}, column {name!r}"
        numbers[name], rounded = floats(batch.column(name), where)
        if rounded:
            notes.append(Note("rounded_integers", where, ROUNDED, rounded))
    found = {name: labels(batch.column(name)) for name in selection.labels}
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
