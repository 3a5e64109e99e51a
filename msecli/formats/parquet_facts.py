"""What the footer of a Parquet file knows of its columns: the statistics of the row groups.

The footer is parsed here, because pyarrow's accessors end the process where a damaged footer makes Parquet's own
library throw. It is a struct of Thrift's compact protocol; the numbers of the fields are those of parquet.thrift.

References
----------
https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import partial
from typing import Any, Literal

from msecli.formats.base import Facts
from msecli.tuples import NamedTuple

LARGEST_FOOTER = 4 << 20
"""A larger footer would take seconds; its statistics are left alone."""

DEEPEST = 32
"""Nested structs of a footer are a few levels deep; deeper ones are damage."""

STOP, TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)
"""The types of fields in the compact protocol."""

LONG_LIST = 15
"""The count of a list whose real one follows."""

BOOLEAN, INT32, INT64, _, FLOAT, FLOAT64, BYTE_ARRAY, FIXED = range(8)
"""The physical types of columns."""

LOGICAL_TEXT, LOGICAL_DECIMAL, LOGICAL_DATE, LOGICAL_INTEGER, LOGICAL_HALF = 1, 5, 6, 10, 15
TEXT, DECIMAL, DATE, UNSIGNED, SIGNED = 0, 5, 6, range(11, 15), range(15, 19)
"""What the values mean, by the newer annotation of columns, and by the older one."""

SIZES = {BOOLEAN: 1, INT32: 4, INT64: 8, FLOAT: 4, FLOAT64: 8}
MOST_DIGITS = 76
"""Those of Arrow's largest decimals."""

Value = int | float | str
Struct = Mapping[int, Any]


class DamagedError(Exception):
    """The footer cannot be parsed."""


class _Parser:
    """Parses structs of the compact protocol."""

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return the fields of a struct by their numbers."""
        found: dict[int, Any] = {}
        number = 0
        while kind := self._byte():
            delta, kind = kind >> 4, kind & 15
            number = number + delta if delta else self._signed()
            found[number] = kind == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)
        return found

    def _value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise DamagedError
        if kind in (I16, I32, I64):
            return self._signed()
        if kind == BINARY:
            return self._bytes(self._varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            head = self._byte()
            count, kind = head >> 4, head & 15
            count = self._varint() if count == LONG_LIST else count
            if count > len(self._data):
                raise DamagedError
            return [self._element(kind, depth + 1) for _ in range(count)]
        if kind in (BYTE, DOUBLE):
            return self._bytes(8 if kind == DOUBLE else 1)
        raise DamagedError  # a footer holds no maps

    def _element(self, kind: int, depth: int) -> Any:
        return self._byte() == TRUE if kind in (TRUE, FALSE) else self._value(kind, depth)

    def _byte(self) -> int:
        if self._place >= len(self._data):
            raise DamagedError
        self._place += 1
        return self._data[self._place - 1]

    def _bytes(self, size: int) -> bytes:
        start = self._place
        self._place += size
        if self._place > len(self._data):
            raise DamagedError
        return self._data[start : self._place]

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) & 0x80:
            found |= (byte & 0x7F) << shift
            shift += 7
            if shift > 63:
                raise DamagedError
        return found | byte << shift

    def _signed(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


class Leaf(NamedTuple):
    """A column as the footer describes it.

    Parameters
    ----------
    number : int
        Its place in every row group.
    type : int
        The physical type.
    read : callable, optional
        From the bytes of a value to the value; None if it is not known how.
    nan : bool
        Whether values may be NaN, which the footer does not count as missing.
    """

    number: int
    type: int
    read: Callable[[bytes], Value] | None
    nan: bool = False


def facts_in(footer: bytes) -> dict[tuple[str, ...], Facts]:
    """Return what the statistics of all row groups tell of the leaf columns, by their paths.

    Nothing is returned of columns that hold lists, nor of what a row group has no statistics of.
    """
    try:
        return dict(_found(_Parser(footer).struct()))
    except (DamagedError, LookupError, TypeError, ValueError, AttributeError, OverflowError):
        return {}  # whoever reads the rows will say what is wrong


def _found(document: Struct) -> Iterator[tuple[tuple[str, ...], Facts]]:
    ordered = bool(document.get(7))
    groups = [[chunk[3] for chunk in group[1]] for group in document[4] if group[3]]
    for path, leaf in _leaves(document[2]):
        chunks = [group[leaf.number] for group in groups]
        if all(tuple(name.decode() for name in chunk[3]) == path for chunk in chunks):
            yield path, _facts(leaf, chunks, ordered=ordered)


def _leaves(schema: Sequence[Struct]) -> Iterator[tuple[tuple[str, ...], Leaf]]:
    """Yield the leaf columns that are in no list, by their paths."""
    number = 0
    levels: list[tuple[tuple[str, ...], bool, int]] = [((), False, schema[0].get(5, 0))]
    for element in schema[1:]:
        while levels[-1][2] == 0:
            levels.pop()
        above, repeated, left = levels[-1]
        levels[-1] = (above, repeated, left - 1)
        path, repeated = (*above, element[4].decode()), repeated or element.get(3) == 2
        if element.get(5):
            levels.append((path, repeated, element[5]))
            continue
        if not repeated:
            half = LOGICAL_HALF in element.get(10, {})
            yield path, Leaf(number, element[1], _reader(element), nan=half or element[1] in (FLOAT, FLOAT64))
        number += 1


def _reader(element: Struct) -> Callable[[bytes], Value] | None:
    """Return how the bytes of a value are read; None of types whose values are neither numbers, dates nor texts."""
    kind, logical, converted = element[1], element.get(10, {}), element.get(6)
    if kind in (BOOLEAN, FLOAT, FLOAT64):
        letter = {BOOLEAN: "<?", FLOAT: "<f", FLOAT64: "<d"}[kind]
        return lambda raw: struct.unpack(letter, raw)[0] + 0
    if LOGICAL_DECIMAL in logical or converted == DECIMAL:
        scale = logical.get(LOGICAL_DECIMAL, {}).get(1, element.get(7, 0))
        order: Literal["little", "big"] = "little" if kind in SIZES else "big"
        return partial(_decimal, order, scale) if 0 <= scale <= MOST_DIGITS else None
    if kind in (INT32, INT64):
        return _integer_reader(logical, converted)
    if kind == BYTE_ARRAY and (LOGICAL_TEXT in logical or converted == TEXT):
        return bytes.decode
    return (lambda raw: float(struct.unpack("<e", raw)[0])) if LOGICAL_HALF in logical else None


def _integer_reader(logical: Struct, converted: int | None) -> Callable[[bytes], Value] | None:
    if LOGICAL_DATE in logical or converted == DATE:
        return _date
    if LOGICAL_INTEGER in logical or (not logical and converted in (None, *UNSIGNED, *SIGNED)):
        signed = logical[LOGICAL_INTEGER].get(2, True) if logical else converted not in UNSIGNED
        return lambda raw: int.from_bytes(raw, "little", signed=signed)
    return None  # times


def _decimal(order: Literal["little", "big"], scale: int, raw: bytes) -> float:
    return float(Fraction(int.from_bytes(raw, order, signed=True), 10**scale))


def _date(raw: bytes) -> str:
    return str(date(1970, 1, 1) + timedelta(days=int.from_bytes(raw, "little", signed=True)))


def _facts(leaf: Leaf, chunks: Sequence[Struct], *, ordered: bool) -> Facts:
    """Return what the statistics of a column's chunks tell together."""
    statistics = [chunk.get(12, {}) for chunk in chunks]
    counted = all(3 in each for each in statistics) and not leaf.nan
    missing = sum(each[3] for each in statistics) if counted else None
    lows, highs = [], []
    for chunk, each in zip(chunks, statistics, strict=True):
        if each.get(3) == chunk[5]:
            continue  # all are missing, so there is neither a smallest nor a largest
        pair = _extremes(leaf, each) if ordered else None
        if pair is None:
            return Facts(None, missing)
        lows.append(pair[0])
        highs.append(pair[1])
    return Facts(None, missing, min(lows, default=None), max(highs, default=None))


def _extremes(leaf: Leaf, statistics: Struct) -> tuple[Any, Any] | None:
    """Return the smallest and the largest value of a chunk; None if they are unknown, or may be shortened."""
    if leaf.read is None or not {5, 6} <= set(statistics):
        return None
    exact = [statistics.get(number, leaf.type != BYTE_ARRAY) for number in (7, 8)]
    raw = statistics[6], statistics[5]
    if not all(exact) or any(len(each) != SIZES.get(leaf.type, len(each)) for each in raw):
        return None
    try:
        low, high = map(leaf.read, raw)
    except (struct.error, ValueError, OverflowError):
        return None
    # A NaN there says nothing, and a zero may have either sign.
    return None if low != low or high != high else (low, high)  # noqa: PLR0124
