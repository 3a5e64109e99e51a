"""Tables of Arrow: the columns of a schema, and the blocks of its batches, wherever these come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Self

import pyarrow as pa

from msecli.arrays import FloatArray
from msecli.arrow.columns import is_numeric, labels
from msecli.arrow.lists import Shape, item_shape, numbers
from msecli.errors import DataError, MsecliError, Warned
from msecli.formats.base import ROUNDED, STRUCT_FIELD, Block, Column, Selection
from msecli.tuples import NamedTuple

ROWS_PER_BLOCK = 131072
"""1 MiB per float64 column, so the cost of handing a block over is negligible."""

VALUES_PER_BLOCK = 1 << 21
"""Values of all columns in a block: 16 MiB."""

ROWS_OF_UNKNOWN_SHAPE = 16
"""Lists are read so many at a time until their length is known: each may hold millions of values."""

Steps = tuple[str, ...]
"""The name of a column, and those of the fields of structs on the way to a value."""

DAMAGED = (pa.ArrowException, OSError, UnicodeDecodeError, ValueError, EOFError, MemoryError, OverflowError)
"""What pyarrow raises on damaged files."""


class Table(NamedTuple):
    """The columns of a schema, and how to reach those that are fields of structs."""

    columns: tuple[Column, ...]
    steps: Mapping[str, Steps]

    @classmethod
    def of(cls, schema: pa.Schema) -> Self:
        """Return the columns of a schema."""
        own = frozenset(schema.names)
        columns = [
            Column(field.name, str(field.type), numeric=is_numeric(field.type), shape=item_shape(field.type))
            for field in schema
        ]
        # Fields of structs are read only if named: they are neither numbers to choose nor labels to compare.
        fields = {steps: kind for steps, kind in _fields(schema) if ".".join(steps) not in own}
        columns += [
            Column(".".join(steps), STRUCT_FIELD, numeric=is_numeric(kind), shape=item_shape(kind), aside=True)
            for steps, kind in fields.items()
        ]
        return cls(tuple(columns), {".".join(steps): steps for steps in fields})


def _fields(fields: Iterable[pa.Field], above: Steps = ()) -> Iterator[tuple[Steps, pa.DataType]]:
    """Yield the way to each field that is in a struct, and its type."""
    for field in fields:
        steps = (*above, field.name)
        if pa.types.is_struct(field.type):
            yield from _fields(field.type, steps)
        elif above:
            yield steps, field.type


class Wanted(NamedTuple):
    """What to deliver of batches: the selected columns, how to reach them, and the shapes of their rows.

    Parameters
    ----------
    path : str
        For messages.
    selection : Selection
    steps : mapping of str to Steps
        The ways to fields of structs.
    shapes : mapping of str to Shape or None
        The shapes of rows of the columns of numbers; None where it is that of the first list.
    """

    path: str
    selection: Selection
    steps: Mapping[str, Steps]
    shapes: Mapping[str, Shape | None]

    @classmethod
    def of(cls, path: str, columns: Iterable[Column], steps: Mapping[str, Steps], selection: Selection) -> Self:
        """Return what to deliver of a table with these columns."""
        shapes = {column.name: column.shape for column in columns if column.name in selection.numbers}
        return cls(path, selection, steps, shapes)

    @property
    def names(self) -> list[str]:
        """The columns, each once."""
        return list(dict.fromkeys([*self.selection.numbers, *self.selection.labels]))

    def fields(self, schema: pa.Schema) -> list[int]:
        """Return the numbers of the fields of a schema that the columns are, or are in."""
        return sorted({schema.get_field_index(self.steps.get(name, (name,))[0]) for name in self.names})

    def rows_within(self, values: int) -> int:
        """Return the number of rows that hold so many values."""
        if None in self.shapes.values():
            return ROWS_OF_UNKNOWN_SHAPE
        # Labels are compared or encoded, which takes as much memory again.
        width = sum(prod(shape or ()) for shape in self.shapes.values()) + 2 * len(self.selection.labels)
        return max(1, values // max(1, width))

    def block(self, batch: pa.RecordBatch, first_row: int) -> Block:
        """Return a batch as a block; `first_row` is the number of its first row."""
        columns = {name: _column(batch, self.steps.get(name, (name,))) for name in self.names}
        found: dict[str | None, FloatArray] = {}
        warnings: list[Warned] = []
        for name in self.selection.numbers:
            where = f"{self.path}, column {name!r}"
            found[name], rounded = numbers(columns[name], where, self.shapes[name], first_row)
            if rounded:
                warnings.append(Warned("rounded_integers", where, ROUNDED, rounded))
        texts = {name: labels(columns[name], f"{self.path}, column {name!r}") for name in self.selection.labels}
        return Block(batch.num_rows, found, texts, tuple(warnings), work=batch.num_rows)

    def blocks(self, batch: pa.RecordBatch, first_row: int) -> Iterator[Block]:
        """Yield a batch of any size as blocks of bounded memory."""
        step = min(ROWS_PER_BLOCK, self.rows_within(VALUES_PER_BLOCK))
        for start in range(0, batch.num_rows, step):
            yield self.block(batch.slice(start, step), first_row + start)


def _column(batch: pa.RecordBatch, steps: Steps) -> pa.Array:
    """Return a column, or a field of a struct, which is missing where the struct is."""
    first, *others = steps
    array = batch.column(first)
    for name in others:
        array = array.flatten()[array.type.get_field_index(name)]
    return array


@contextmanager
def explained(path: str, kind: str) -> Iterator[None]:
    """Explain what pyarrow raises on a damaged file of this kind.

    Raises
    ------
    DataError
    """
    try:
        yield
    except MsecliError:
        raise  # such as those of a file on another machine
    except DAMAGED as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: the {kind} cannot be read ({reason}); is it an incomplete copy?") from error
