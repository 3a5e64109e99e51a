"""What a kernel does: the functions of `msecli.kernel.native` and `msecli.kernel.python`, and what they return."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Literal, Protocol

import numpy as np

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from numpy.typing import NDArray

Bytes = bytes | memoryview
WIDTH = 36
"""The bits of a digit of `SlotSums`."""

MOST_VALUES = 1 << 26
"""Values that are summed by slot at once: so many digits add up in an int64."""

Problem = Literal["width", "stray", "open", "number", "integer", "truth", "text"]


class Kind(IntEnum):
    """What the fields of a column are read as.

    Attributes
    ----------
    NUMBER
        A number, to float64; blanks around it are left out.
    INTEGER
        A label that is an integer, written as it would be printed, to int64.
    TRUTH
        One of two words, to 1 and 0.
    TEXT
        A label, as written.
    """

    NUMBER = 0
    INTEGER = 1
    TRUTH = 2
    TEXT = 3


class Dialect(NamedTuple):
    """How delimited text is written; marks are single ASCII characters.

    Parameters
    ----------
    width : int
        The number of columns. With a single one, a blank line is an empty field; otherwise it is skipped.
    delimiter, quote, decimal : str
    comment : str, optional
        A record that begins with it is skipped, up to the end of its line.
    missing : tuple of str
        The fields that mean missing. NaN, in any spelling, always does where a number is expected.
    """

    width: int
    delimiter: str = ","
    quote: str = '"'
    decimal: str = "."
    comment: str | None = None
    missing: tuple[str, ...] = ("",)


class Wanted(NamedTuple):
    """A column to read, and as what; `words` are those for 1 and for 0 in a column of truth values."""

    column: int
    kind: Kind
    words: tuple[str, str] = ("True", "False")


def check_request(dialect: Dialect, wanted: Sequence[Wanted] = ()) -> None:
    """Refuse marks that cannot be told apart, and columns that are not in order; a caller that asks so has a bug.

    Raises
    ------
    ValueError
    """
    marks = [dialect.delimiter, dialect.quote, dialect.decimal, dialect.comment]
    written = [mark for mark in marks if mark is not None]
    if not all(len(mark) == 1 and mark.isascii() and mark not in "\r\n" for mark in written):
        raise ValueError("a mark is one ASCII character other than a line end")
    if written.count(dialect.quote) > 1:
        raise ValueError("a mark has two purposes")
    columns = [column for column, _, _ in wanted]
    if dialect.width < 1 or columns != sorted(columns) or not all(0 <= column < dialect.width for column in columns):
        raise ValueError("columns must be in ascending order and within the width")


class Texts(NamedTuple):
    """Labels end to end in UTF-8: label k is data[ends[k] : ends[k + 1]], as in an Arrow array of strings."""

    data: NDArray[np.uint8]
    ends: NDArray[np.int32]

    def strings(self) -> list[str]:
        """Return the labels."""
        data = self.data.tobytes()
        return [data[start:stop].decode() for start, stop in pairwise(self.ends.tolist())]

    def check(self) -> None:
        """Refuse ends that are not in order or beyond the data; a caller with such has a bug.

        Raises
        ------
        ValueError
        """
        ends = self.ends
        if not ends.size or ends[0] < 0 or ends[-1] > self.data.size or bool((ends[1:] < ends[:-1]).any()):
            raise ValueError("the texts do not lie end to end in the data")


class Found(NamedTuple):
    """A column as it was read.

    Parameters
    ----------
    values : ndarray of float64 or int64, or Texts
        A missing number is NaN, a missing integer 0, a missing text empty.
    missing : ndarray of bool, shape (rows,), or None
        Which labels are missing; None if none is, and for numbers.
    missed, overflowed, rounded : int
        How many fields are missing, how many finite numbers became infinite, how many integers beyond 2**53 were
        rounded.
    """

    values: FloatArray | IntArray | Texts
    missing: BoolArray | None
    missed: int
    overflowed: int
    rounded: int


class Fault(NamedTuple):
    """The first field that could not be taken.

    Parameters
    ----------
    problem : str
        "width": the record is short or long; "stray": text after a closing quote; "open": a quote that never closes;
        "number", "integer", "truth": the field is none; "text": the field is not UTF-8.
    row : int
        The number of its row in the scan; so many rows were read.
    column : int
        Its column; the first that is missing or too many if the record is short or long.
    record, at : int
        Where its record and the field itself begin in the buffer; the same if the record is short or long.
    """

    problem: Problem
    row: int
    column: int
    record: int
    at: int


class Scan(NamedTuple):
    """What a scan has found.

    Parameters
    ----------
    rows : int
    columns : tuple of Found
    blank : int
        How many blank lines were skipped.
    fault : Fault, optional
    """

    rows: int
    columns: tuple[Found, ...]
    blank: int
    fault: Fault | None


class Sum(NamedTuple):
    """An exact sum: units * 2**-1074, unless `special`, the sum of the values that are not finite, is not zero."""

    units: int
    special: float


class SlotSums(NamedTuple):
    """Exact sums of many slots.

    Parameters
    ----------
    level : int
    digits : ndarray of int64, shape (slots, levels)
        The finite values of slot s have the sum Σ digits[s, k] * 2**(WIDTH * (level + k) - 1074). A digit is below
        2**WIDTH in magnitude for each value.
    special : ndarray of float64, shape (slots,), or None
        The sums of the values that are not finite; None if all are.
    """

    level: int
    digits: IntArray
    special: FloatArray | None


class Kernel(Protocol):
    """The functions of a kernel.

    Buffers are below 2 GiB; arrays are contiguous, one-dimensional and of float64, codes of int64.
    """

    def scan(self, buffer: Bytes, dialect: Dialect, wanted: Sequence[Wanted]) -> Scan:
        """Read the records of a buffer up to the first fault; the last one need not have a line end.

        Parameters
        ----------
        buffer : bytes or memoryview
        dialect : Dialect
        wanted : sequence of Wanted
            In ascending order of their columns.
        """
        ...

    def border(self, buffer: Bytes, dialect: Dialect, place: int, *, last: bool = True) -> int | None:
        """Return where the first record, comment or blank line begins that does so at or behind a place.

        Whoever reads a range in the middle of a text learns from the range before it, whose beginning is known, where
        its own first record begins.

        Parameters
        ----------
        buffer : bytes or memoryview
            It begins with a record.
        dialect : Dialect
        place : int
        last : bool
            Whether the buffer reaches the end of the text, where whatever it holds ends. Otherwise the last line may
            be cut off, and None means that the buffer is too short.
        """
        ...

    def exact_sum(self, values: FloatArray) -> Sum:
        """Return the exact sum."""
        ...

    def squared_error(
        self, prediction: FloatArray, target: FloatArray, weight: FloatArray | None = None
    ) -> tuple[Sum, ...] | None:
        """Return the exact sums of w * ((p - t) * (p - t)), each rounded as written here, and that of any weights.

        None if a difference is not finite, or a weight is negative or not finite: then elements must be looked at.
        """
        ...

    def gradient(
        self,
        prediction: FloatArray,
        target: FloatArray,
        weight: FloatArray | None,
        denominator: float,
        out: FloatArray,
    ) -> bool:
        """Write 2 * (p - t) * w / denominator, rounded as written here.

        False, with `out` in disorder, where `squared_error` returns None, and where a product might leave the range
        of normal numbers.
        """
        ...

    def codes(self, labels: IntArray | Texts) -> tuple[IntArray, IntArray]:
        """Return a code for every label, and the first row of every code.

        Equal labels have equal codes, which count on from 0 in the order of first rows.
        """
        ...

    def sums_by_slot(self, values: FloatArray, codes: IntArray, slots: int) -> SlotSums:
        """Return the exact sums of at most `MOST_VALUES` values for each code, a number below `slots`."""
        ...

    def squared_error_by_slot(
        self, prediction: FloatArray, target: FloatArray, weight: FloatArray | None, codes: IntArray, slots: int
    ) -> tuple[SlotSums, ...] | None:
        """Return the sums of `squared_error` for the values of each code, a number below `slots`.

        None also if a product is not finite.
        """
        ...
