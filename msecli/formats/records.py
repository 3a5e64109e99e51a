"""JSON records: which columns they have, and their values as blocks of rows.

Arrow parses the records of a part at once; it is given the types that the columns had in the first records. Whatever
does not fit these, or cannot be told from what Arrow returns, is read once more by Python's exact parser, which also
finds what is wrong where.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from json import JSONDecodeError, JSONDecoder
from typing import Any

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.check import LAST_EXACT_INTEGER
from msecli.errors import DataError, Warned, shown
from msecli.formats.base import OVERFLOWED, ROUNDED, STRUCT_FIELD, Block, Column, LabelArray, Selection
from msecli.formats.values import (
    Fault,
    Overflowed,
    Rules,
    UnreadableValueError,
    column_of,
    is_truth,
    labels,
    numbers,
    rules_of,
)
from msecli.places.base import InputFile
from msecli.text.encoding import check_text
from msecli.text.foreign import HOW_TO_WRITE
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

HEAD_BYTES = 65536
SAMPLE_RECORDS = 100
"""The columns are those of the records that begin in so many bytes, and of at least so many records."""
LONGEST_HEAD = 64 << 20

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
BLANKS = b" \t\r\n"

MOST_DIGITS = 310
"""Integers with more digits are too large for float64."""

REPEATED = Fault("the name occurs more than once in this record; keep one")
NO_OBJECT = Fault("what it is in, an object in other records, is none here")

Steps = tuple[str, ...]
"""The names on the way to a value: that of a column, and those in the objects in it."""


def _integer(digits: str) -> int | float:
    if digits == "-0":
        return -0.0
    return int(digits) if len(digits) <= MOST_DIGITS else Overflowed(digits)


def _decimal(digits: str) -> float:
    value = float(digits)
    return Overflowed(value) if math.isinf(value) else value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        found.update((name, REPEATED) for name in found if names.count(name) > 1)
    return found


DECODER = JSONDecoder(object_pairs_hook=_object, parse_int=_integer, parse_float=_decimal)
"""Reads numbers with every digit, and tells names that occur twice. NaN and Infinity, as Python writes them, too."""


class BadRecordError(Exception):
    """A text that holds no record where one is expected.

    Parameters
    ----------
    at : int
        Where it was noticed, in characters of the text.
    reason : str
    """

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at, self.reason = at, reason


def record_at(text: str, start: int = 0) -> tuple[dict[str, Any], int]:
    """Return the record that begins at a character of a text, and where it ends.

    Raises
    ------
    BadRecordError
    """
    try:
        record, end = DECODER.raw_decode(text, start)
    except JSONDecodeError as error:
        raise BadRecordError(error.pos, _syntax(text, error)) from error
    except RecursionError as error:
        raise BadRecordError(start, "the record is nested too deeply") from error
    if not isinstance(record, dict):
        raise BadRecordError(start, f"a record {{…}} is expected, {shown(text[start:end])} found")
    return record, end


def _syntax(text: str, error: JSONDecodeError) -> str:
    """Return what is wrong with a text that is not JSON."""
    found = text[error.pos :].strip()
    if not found or error.msg.startswith("Unterminated string"):
        return "the record is cut off"
    expected = error.msg.removeprefix("Expecting ").partition(" starting at")[0].partition(" enclosed")[0]
    what = f"{expected} is expected" if error.msg.startswith("Expecting") else error.msg.lower().removesuffix(" at")
    return f"this is not JSON: {what} before {shown(found)}"


class Field(NamedTuple):
    """How a column is found in the records, and what it holds in the first of them.

    Parameters
    ----------
    steps : tuple of str
    rules : Rules
    kinds : frozenset of type
        The types of its values, without that of None.
    """

    steps: Steps
    rules: Rules
    kinds: frozenset[type]


class Fields(NamedTuple):
    """The columns of records."""

    columns: tuple[Column, ...]
    fields: Mapping[str, Field]

    @classmethod
    def of(cls, records: Sequence[dict[str, Any]], reading: Reading) -> Fields:
        """Return the columns of the first records: their names, and the paths of the values in objects."""
        rules = rules_of(reading)
        own = dict.fromkeys(name for record in records for name in record)
        nested = {".".join(steps): steps for steps in _paths(records) if ".".join(steps) not in own}
        columns: list[Column] = []
        fields: dict[str, Field] = {}
        for name, steps in {**{name: (name,) for name in own}, **nested}.items():
            values = [_value(record, steps) for record in records]
            truth = is_truth(values)
            fields[name] = Field(steps, rules._replace(truth=truth), frozenset(map(type, values)) - {type(None)})
            # What is in objects is read only if named: it is neither a number to choose nor a label to compare.
            whole = column_of(name, values, rules)
            columns.append(whole if name in own else whole._replace(kind=STRUCT_FIELD, aside=True))
        return cls(tuple(columns), fields)


def _paths(records: Iterable[dict[str, Any]], above: Steps = ()) -> Iterator[Steps]:
    """Yield the names on the way to each value that is in an object, in order of first appearance."""
    inner: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        for name, value in record.items():
            if isinstance(value, dict):
                inner.setdefault(name, []).append(value)
            elif above:
                inner.setdefault(name, [])
    for name, below in inner.items():
        if below:
            yield from _paths(below, (*above, name))
        else:
            yield (*above, name)


def _value(record: Any, steps: Steps) -> Any:
    """Return a value of a record, None if it or an object around it is not there."""
    for step in steps:
        if record is None or isinstance(record, Fault):
            return record
        if not isinstance(record, dict):
            return NO_OBJECT
        record = record.get(step)
    return record


class Wanted(NamedTuple):
    """What to read from the records of a file, and how Arrow is told to; see `Fields`."""

    path: str
    selection: Selection
    fields: Mapping[str, Field]

    def fast(self, text: bytes, rows: int) -> Block | None:
        """Return the block of so many records that Arrow finds in a text; None if it has to be read exactly.

        The text begins with a brace: of one that begins with null, Arrow reads memory that is not there.
        """
        import pyarrow as pa
        from pyarrow import json

        types = self._types()
        if types is None:
            return None
        options = {
            "read_options": json.ReadOptions(use_threads=False, block_size=len(text) + 1),
            "parse_options": json.ParseOptions(
                explicit_schema=pa.schema(list(_nested(types))), unexpected_field_behavior="ignore"
            ),
        }
        try:
            table = json.read_json(pa.BufferReader(text), **options).combine_chunks()
            table.validate(full=True)
            return self._taken(table, rows) if table.num_rows == rows else None
        except pa.ArrowException:
            return None

    def _types(self) -> dict[Steps, Any] | None:
        """Return the types of the columns, None if Arrow has none for the labels."""
        import pyarrow as pa

        known = {frozenset({str}): pa.string(), frozenset({int}): pa.int64(), frozenset({bool}): pa.bool_()}
        types: dict[Steps, Any] = {}
        for name in self.selection.numbers:
            field = self.fields[name]
            types[field.steps] = pa.bool_() if field.rules.truth else pa.float64()
        for name in self.selection.labels:
            field = self.fields[name]
            kind = known.get(field.kinds)
            if kind is None or (types.get(field.steps, kind) != kind and not pa.types.is_integer(kind)):
                return None
            types[field.steps] = kind
        inner = {steps[:end] for steps in types for end in range(1, len(steps))}
        return None if inner.intersection(types) else types

    def _taken(self, table: Any, rows: int) -> Block | None:
        from msecli.arrow.columns import floats
        from msecli.arrow.columns import labels as arrow_labels

        found: dict[str | None, FloatArray] = {}
        warnings: list[Warned] = []
        for name in self.selection.numbers:
            where = f"{self.path}, column {name!r}"
            array = _reached(table, self.fields[name].steps)
            found[name], rounded = floats(array, where)
            # Only the text tells whether a number was rounded, or too large and so became infinite.
            if array.type == "double" and np.any(np.abs(found[name]) >= LAST_EXACT_INTEGER):
                return None
            if rounded:
                warnings.append(Warned("rounded_integers", where, ROUNDED, rounded))
        texts = {
            name: arrow_labels(_reached(table, self.fields[name].steps), f"{self.path}, column {name!r}")
            for name in self.selection.labels
        }
        return Block(rows, found, texts, tuple(warnings))

    def exact(self, records: Sequence[dict[str, Any]]) -> Block:
        """Return the block of records.

        Raises
        ------
        UnreadableValueError
            For the first value of a column that does not belong in it.
        """
        found: dict[str | None, FloatArray] = {}
        warnings: list[Warned] = []
        texts: dict[str, LabelArray] = {}
        for name in self.selection.numbers:
            where = f"{self.path}, column {name!r}"
            with _of_column(name):
                converted = numbers(self._values(name, records), self.fields[name].rules)
            found[name] = converted.values
            warnings.append(Warned("overflowed_numbers", where, OVERFLOWED, converted.overflowed))
            warnings.append(Warned("rounded_integers", where, ROUNDED, converted.rounded))
        for name in self.selection.labels:
            with _of_column(name):
                texts[name] = labels(self._values(name, records))
        return Block(len(records), found, texts, tuple(warning for warning in warnings if warning.count))

    def _values(self, name: str, records: Sequence[dict[str, Any]]) -> list[Any]:
        steps = self.fields[name].steps
        return [_value(record, steps) for record in records]


def _nested(types: Mapping[Steps, Any]) -> Iterator[Any]:
    """Yield Arrow's fields of a schema with these columns and values in objects."""
    import pyarrow as pa

    below: dict[str, dict[Steps, Any]] = {}
    for (first, *others), kind in types.items():
        below.setdefault(first, {})[tuple(others)] = kind
    for name, inner in below.items():
        yield pa.field(name, inner[()] if () in inner else pa.struct(list(_nested(inner))))


def _reached(table: Any, steps: Steps) -> Any:
    """Return the one array of a column, or of the values in its objects, which are missing where the object is."""
    first, *others = steps
    array = table.column(first).chunk(0)
    for name in others:
        array = array.flatten()[array.type.get_field_index(name)]
    return array


@contextmanager
def _of_column(name: str) -> Iterator[None]:
    try:
        yield
    except UnreadableValueError as error:
        raise UnreadableValueError(error.row, f"column {name!r}: {error.reason}") from error


def check_start(file: InputFile, head: bytes, reading: Reading) -> int:
    """Return where the text begins, behind a byte order mark; refuse what is no JSON in UTF-8.

    Raises
    ------
    DataError
    """
    start = len(BYTE_ORDER_MARK) if head.startswith(BYTE_ORDER_MARK) else 0
    if not head[start:].lstrip(BLANKS).startswith((b"{", b"[")):
        check_text(file.path, head, decoded=reading.encoding is not None)
    return start


def check_records(path: str, records: Sequence[dict[str, Any]]) -> None:
    """Refuse a file without records, and one of a single object that holds columns or the table itself.

    Raises
    ------
    DataError
    """
    if not records:
        raise DataError(f"{path}: there are no records")
    if not any(records):
        raise DataError(f"{path}: the records are empty")
    if len(records) > 1:
        return
    values = list(records[0].values())
    lists = any(isinstance(value, list) for value in values)
    # As pandas writes columns, by the labels of their rows.
    indexed = all(isinstance(value, dict) and value and all(map(str.isdecimal, value)) for value in values)
    if all(isinstance(value, list | dict) for value in values) and (lists or indexed):
        raise DataError(f"{path}: this is one object that holds the whole table, not records; {HOW_TO_WRITE}")


def not_utf8(where: str, error: UnicodeDecodeError) -> DataError:
    """Return an error about bytes that are not UTF-8."""
    byte = f"byte 0x{error.object[error.start]:02X} is not UTF-8"
    return DataError(f"{where}: {byte}; use `encoding`, such as `encoding=cp1252`")
