"""Record batches that come one after the other, as a source of rows."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any, Protocol

import pyarrow as pa

from msecli.errors import DataError, NoRowsError, Warned
from msecli.formats.base import Block, Column, Selection
from msecli.formats.columnar import Table, Wanted
from msecli.tuples import NamedTuple


class Batches(Protocol):
    """Record batches in their order. Picklable."""

    def read(self, fields: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield all batches, with at least these fields of the schema."""
        ...

    def verify(self) -> None:
        """Raise `DataError` if the batches have changed."""
        ...

    def once(self) -> None:
        """Keep no more of what is read: the next reading is the last one."""
        ...


class BatchesSource:
    """A table whose batches come one after the other. See `msecli.formats.base.Source`.

    Parameters
    ----------
    path, format : str
    schema : pyarrow.Schema
    table : Table
        The columns of the schema.
    batches : Batches
    """

    divisible = False
    # The size is unknown until the last batch has come.
    rows: int | None = None
    item: tuple[int, ...] | None = None
    work: int | None = None

    def __init__(self, path: str, format: str, schema: pa.Schema, table: Table, batches: Batches) -> None:
        self.path, self.format = path, format
        self._schema, self._batches = schema, batches
        columns, self._steps = table
        self.columns: tuple[Column, ...] | None = columns
        self.warnings: Sequence[Warned] = ()

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[BatchesPart]:
        """Return the only part."""
        wanted = Wanted.of(self.path, self.columns or (), self._steps, selection)
        return [BatchesPart(self._batches, wanted, wanted.fields(self._schema))]

    def cuts(self) -> None:
        """Return None: the number of rows is unknown."""

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the batches have changed since they were opened."""
        self._batches.verify()

    def once(self) -> None:
        """Keep no more of what is read: the next reading is the last one."""
        self._batches.once()


class BatchesPart(NamedTuple):
    """All rows of a source whose batches come one after the other. See `msecli.formats.base.Part`."""

    batches: Batches
    wanted: Wanted
    fields: Sequence[int]

    def read(self) -> Iterator[Block]:
        """Yield the blocks of each batch."""
        rows = 0
        for batch in self.batches.read(self.fields):
            # A share of a whole of unknown size is none.
            yield from (block._replace(work=0) for block in self.wanted.blocks(batch, rows))
            rows += batch.num_rows
        if not rows:
            raise NoRowsError(f"{self.wanted.path}: the table has no rows")


class Kept:
    """The batches of a reader, which gives each of them once; what may be read again is kept in memory.

    Parameters
    ----------
    what : str
        The name of the data in messages.
    reader : pyarrow.RecordBatchReader
    """

    def __init__(self, what: str, reader: Any) -> None:
        self._what, self._reader = what, reader
        self._lock = Lock()
        self._kept: deque[pa.RecordBatch] = deque()
        self._released = self._given_away = False

    def read(self, fields: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """Yield all batches; once they are no longer kept, for the last time."""
        if self._given_away:
            raise DataError(f"{self._what}: the batches of a reader can be read only once; collect them in a table")
        self._given_away = self._released
        number = 0
        while (batch := self._batch(number)) is not None:
            yield batch
            number += 1

    def _batch(self, number: int) -> pa.RecordBatch | None:
        with self._lock:
            if self._given_away:
                return self._kept.popleft() if self._kept else self._pulled()
            if number == len(self._kept) and (pulled := self._pulled()) is not None:
                self._kept.append(pulled)
            return self._kept[number] if number < len(self._kept) else None

    def _pulled(self) -> pa.RecordBatch | None:
        """Return the next batch of the reader, or None after the last one."""
        if self._reader is None:
            return None
        try:
            return self._reader.read_next_batch()
        except StopIteration:
            self._reader = None
            return None
        except Exception as error:  # whoever makes the batches may raise anything
            reason = " ".join(str(error).split())
            raise DataError(f"{self._what}: the batches cannot be read ({reason})") from error

    def once(self) -> None:
        """Keep no more of what is read: the next reading is the last one."""
        self._released = True

    def verify(self) -> None:
        """Do nothing: what is in memory is the caller's."""

    def __getstate__(self) -> dict[str, Any]:
        """Return all batches: other processes cannot read from this reader."""
        for _ in self.read(()):
            pass
        return self.__dict__ | {"_lock": None, "_reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())
