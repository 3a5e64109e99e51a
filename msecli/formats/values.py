"""Values that have types of their own, as in JSON, spreadsheets and databases, to float64 and labels."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Collection, Sequence
from datetime import date, datetime, time, timedelta
from itertools import starmap
from typing import TYPE_CHECKING, Any

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.check import LAST_EXACT_INTEGER
from msecli.errors import setting, shown
from msecli.formats.base import Column, LabelArray
from msecli.text.grammar import MISSING, NOT_FINITE, notations_of
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.arrays import IntArray

INT64 = range(-(1 << 63), 1 << 63)
UINT64 = range(1 << 64)

TRUTH = "true or false"
"""The kind of a column that holds nothing else."""


class Overflowed(float):
    """An infinity that was written as a number too large for float64."""


class Fault(NamedTuple):
    """Stands for a value that cannot be read; only who wants it hears of it."""

    reason: str


class UnreadableValueError(Exception):
    """A value that is not of its column.

    Parameters
    ----------
    row : int
        Counted from the first of the values.
    reason : str
    """

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(reason)
        self.row, self.reason = row, reason


class Numbers(NamedTuple):
    """Numbers of a column: NaN is missing; how many were too large for float64, and how many integers were rounded."""

    values: FloatArray
    overflowed: int = 0
    rounded: int = 0


class Rules(NamedTuple):
    """How values of a column are read as numbers.

    Parameters
    ----------
    missing : frozenset of str
        The words that mean missing.
    truth : bool
        Whether it holds nothing but true and false, which are 1 and 0.
    """

    missing: frozenset[str] = frozenset(MISSING)
    truth: bool = False


def rules_of(reading: Reading) -> Rules:
    """Return how numbers are read; text files and these have the same words for missing."""
    return Rules(frozenset((*MISSING, *reading.na_values)))


def column_of(name: str, values: Collection[Any], rules: Rules) -> Column:
    """Return a column, numeric if most of its first values are numbers, or if it has none."""
    present = [value for value in values if value is not None and not (type(value) is str and value in rules.missing)]
    if is_truth(present):
        return Column(name, TRUTH, numeric=True)
    others = [value for value in present if not _is_number(value)]
    if 2 * len(others) < len(present) or not present:
        return Column(name, "number", numeric=True)
    return Column(name, _named(others[0]), numeric=False)


def is_truth(values: Collection[Any]) -> bool:
    """Tell whether values, of which some are there, are true, false or missing."""
    return {type(value) for value in values} - {type(None)} == {bool}


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        return NOT_FINITE.fullmatch(value) is not None
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(value: Any) -> str:
    """Return what messages call a value that is no number."""
    if isinstance(value, str):
        return f"text such as {shown(value)}"
    return next(name for kind, name in KINDS if isinstance(value, kind))


KINDS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (bool, TRUTH),
    (list, "list"),
    (dict, "struct"),
    (bytes, "bytes"),
    ((date, time), "date or time"),
    (timedelta, "duration"),
    (Fault, "value that cannot be read"),
    (object, "value of another kind"),
)
"""What the kinds of values that are no numbers are called."""

REASONS: tuple[tuple[type | tuple[type, ...], str], ...] = (
    (list, "a list is not a number; write one number per row"),
    (dict, "an object is not a number; name a value in it by its path, such as out.pred"),
    (bytes, "bytes are not numbers"),
    ((date, time), "a date or time is not a number"),
    (timedelta, "a duration is not a number; divide it by a unit"),
    (object, "this is not a number"),
)


def numbers(values: Sequence[Any], rules: Rules) -> Numbers:
    """Return values as float64, each correctly rounded, with NaN for None and for words that mean missing.

    Raises
    ------
    UnreadableValueError
        For the first one that is no number.
    """
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= ({bool} if rules.truth else {int, float}):
        with contextlib.suppress(OverflowError):
            plain = np.array(values, dtype=np.float64)
            large = np.flatnonzero(np.abs(plain) >= LAST_EXACT_INTEGER).tolist() if int in kinds else ()
            return Numbers(
                plain, rounded=sum(type(values[row]) is int and values[row] != int(plain[row]) for row in large)
            )
    found = list(starmap(_number, ((row, value, rules) for row, value in enumerate(values))))
    whole = [(value, at) for value, at in zip(values, found, strict=True) if type(value) is int]
    overflowed = sum(type(value) is Overflowed for value in values) + sum(math.isinf(at) for _, at in whole)
    rounded = sum(abs(at) >= LAST_EXACT_INTEGER and not math.isinf(at) and int(at) != value for value, at in whole)
    return Numbers(np.array(found, dtype=np.float64), overflowed, rounded)


def _number(row: int, value: Any, rules: Rules) -> float:
    if value is None:
        return math.nan
    if isinstance(value, Fault):
        raise UnreadableValueError(row, value.reason)
    if isinstance(value, str):
        if value in rules.missing:
            return math.nan
        if NOT_FINITE.fullmatch(value):
            return float(value)
        raise UnreadableValueError(row, _text_refusal(value))
    if isinstance(value, bool) is not rules.truth:
        reason = "{} is not a number; write 1 and 0" if not rules.truth else "{} is neither true nor false, as above it"
        if isinstance(value, bool | int | float):
            raise UnreadableValueError(row, reason.format(str(value).lower()))
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.copysign(math.inf, value)
    raise UnreadableValueError(row, next(reason for kind, reason in REASONS if isinstance(value, kind)))


def _text_refusal(text: str) -> str:
    if notations_of(text):
        return f"{shown(text)} is a text, not a number; store it as a number"
    typed = text.strip() and "," not in text and len(text) <= 40
    missing = f"; if it means missing, use {setting('na_values', text)}" if typed else ""
    return f"{shown(text)} is a text, not a number{missing}"


def labels(values: Sequence[Any]) -> LabelArray:
    """Return values as labels: integers if all are, otherwise texts.

    Raises
    ------
    UnreadableValueError
        For the first one that has no text of its own.
    """
    from msecli.arrow.functions import integers, texts

    kinds = set(map(type, values))
    if kinds <= {int, type(None)} and int in kinds:
        missing = np.array([value is None for value in values]) if type(None) in kinds else None
        whole = [0 if value is None else value for value in values]
        for dtype, allowed in ((np.int64, INT64), (np.uint64, UINT64)):
            if min(whole) in allowed and max(whole) in allowed:
                array: IntArray = np.array(whole, dtype=dtype)
                return array if missing is None and dtype is np.int64 else integers(array, missing)
    return texts([_label(row, value) for row, value in enumerate(values)])


def _label(row: int, value: Any) -> str | None:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return None
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UnreadableValueError(row, f"{shown(value)} holds half of a character, a lone surrogate") from error
        return value
    if isinstance(value, Fault):
        raise UnreadableValueError(row, value.reason)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Overflowed):
        raise UnreadableValueError(row, "the number is too large for float64; write it as a text to compare it")
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    reason = next(reason for kind, reason in REASONS if isinstance(value, kind))
    raise UnreadableValueError(
        row, reason.partition(";")[0].replace("a number", "a label").replace("numbers", "labels")
    )
