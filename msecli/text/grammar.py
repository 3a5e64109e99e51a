"""How the fields of delimited text are written: what is a number, and what means missing."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache

from msecli.tuples import NamedTuple

NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
BLANKS = " \t"
"""What Arrow's parser allows around a number."""
COMMENT_MARKS = ("#", "%", "//")
MISSING = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL", "None", "<NA>", "NaT")
"""Fields that mean "missing". NaN, however it is spelled (-NAN), is a number, and missing too."""
ALIKE = (" \u00a0\u2009\u202f", "'\u2019")
"""Marks between thousands that look alike: spaces, also those that do not break a line, and apostrophes."""

Truth = tuple[str, str]
TRUTHS: tuple[Truth, ...] = (("True", "False"), ("true", "false"), ("TRUE", "FALSE"))
"""The spellings of 1 and 0 in a column that holds nothing else."""
TRUTH_BEGINNINGS = frozenset({"", "T", "t", "F", "f"})
NO_TRUTHS: Mapping[int, Truth] = {}


class Grammar(NamedTuple):
    """How fields are read as numbers.

    Parameters
    ----------
    names : tuple of str
        The column names.
    decimal : str
        The decimal mark.
    missing : tuple of str
        The words that mean missing.
    thousands : str
        The mark between groups of three digits; empty if there is none.
    truths : mapping of int to (str, str)
        The columns of truth values, and how these are spelled.
    """

    names: tuple[str, ...] = ()
    decimal: str = "."
    missing: tuple[str, ...] = ()
    thousands: str = ""
    truths: Mapping[int, Truth] = NO_TRUTHS

    def fits(self, field: str, column: int) -> bool:
        """Tell whether the field can be read as a number of this column."""
        truth = self.truths.get(column)
        return self.is_number(field) if truth is None else field.strip(BLANKS) in truth

    def is_number(self, field: str) -> bool:
        """Tell whether the field is a number, an infinity or NaN."""
        return self.is_finite(field) or NOT_FINITE.fullmatch(field.strip(BLANKS)) is not None

    def is_finite(self, field: str) -> bool:
        """Tell whether the field is a number written in digits."""
        return _compiled(self.decimal, self.thousands).fullmatch(field.strip(BLANKS)) is not None

    def are_finite(self, fields: Sequence[str]) -> bool:
        """Tell whether all fields, one or more, are numbers written in digits; faster than one by one."""
        text = "\n".join(fields)
        pattern = _all_compiled(self.decimal, self.thousands)
        return text.count("\n") == len(fields) - 1 and pattern.fullmatch(text) is not None

    def is_missing(self, field: str) -> bool:
        """Tell whether the field is empty or one of the words for missing."""
        return field in self.missing

    def kind(self, field: str) -> str:
        """Return what a field looks like: "integer", "decimal" or "text"; "" if it is missing or not finite."""
        if self.is_missing(field) or NOT_FINITE.fullmatch(field.strip(BLANKS)):
            return ""
        if not self.is_finite(field):
            return "text"
        return "integer" if INTEGER.fullmatch(plain(field, self.decimal, self.thousands)) else "decimal"


def number_pattern(decimal: str, thousands: str) -> str:
    """Return a pattern of finite numbers, which Arrow reads as Python does.

    A mark between thousands has three digits behind it, and in front of the first one up to three, no leading zero.
    """
    mark, digits = re.escape(decimal), "[0-9]+"
    if thousands:
        digits = f"(?:[1-9][0-9]{{0,2}}(?:[{marks(thousands)}][0-9]{{3}})+|[0-9]+)"
    return f"[+-]?(?:{digits}(?:{mark}[0-9]*)?|{mark}[0-9]+)(?:[eE][+-]?[0-9]+)?"


def marks(thousands: str) -> str:
    """Return the mark between thousands and those that look like it, as the inside of a class of characters."""
    return next((alike for alike in ALIKE if thousands and thousands in alike), thousands)


@lru_cache
def _compiled(decimal: str, thousands: str) -> re.Pattern[str]:
    return re.compile(number_pattern(decimal, thousands))


@lru_cache
def _all_compiled(decimal: str, thousands: str) -> re.Pattern[str]:
    number = f"[{BLANKS}]*{number_pattern(decimal, thousands)}[{BLANKS}]*"
    return re.compile(f"{number}(?:\n{number})*")


NOTATIONS = (
    (".", ""), (",", ""), (".", ","), (",", "."), (".", " "), (",", " "), (".", "'"), (",", "'"),
)  # fmt: skip
"""The usual decimal marks and marks between thousands, from the most to the least common."""


def notations_of(field: str) -> list[tuple[str, str]]:
    """Return the notations in which a field is a finite number; those with a mark between thousands if it has one."""
    text = field.strip(BLANKS)
    return [
        (decimal, thousands)
        for decimal, thousands in NOTATIONS
        if (not thousands or any(mark in text for mark in marks(thousands)))
        and _compiled(decimal, thousands).fullmatch(text)
    ]


def plain(number: str, decimal: str, thousands: str) -> str:
    """Return a number with a decimal point and without marks between thousands."""
    text = number.strip(BLANKS)
    return (re.sub(f"[{marks(thousands)}]", "", text) if thousands else text).replace(decimal, ".")


def truth_of(fields: Collection[str]) -> Truth | None:
    """Return the spelling of truth values that all fields have; None if there is none, or no field."""
    if next(iter(fields), "")[:1].strip(BLANKS) not in TRUTH_BEGINNINGS:
        return None  # as of nearly all columns
    words = {field.strip(BLANKS) for field in fields}
    return next((truth for truth in TRUTHS if words and words <= set(truth)), None)
