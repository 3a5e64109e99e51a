"""What keeps rows from being paired by key: what is found of it in some rows, and the errors it becomes.

What is found in some rows joins with what is found in others, in any order: it goes by the numbers of the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np

from msecli.arrays import BoolArray, IntArray
from msecli.errors import DataError, Problems, many
from msecli.formats.base import LabelArray
from msecli.pairing.labels import decimal, instant, joined_labels, take_labels
from msecli.pairing.position import Side
from msecli.tuples import NamedTuple

SHOWN_KEYS = 3
COMPARED_KEYS = 10_000
"""Unmatched keys of each file among which a spelling that differs is looked for."""

SKIP = "; to leave them out, use `unmatched=skip`"


class Keyless(NamedTuple):
    """How many rows of a file lack a key, and the first of them."""

    rows: int = 0
    first: int = 0

    @classmethod
    def of(cls, absent: BoolArray | None, first_row: int = 0) -> Self:
        """Return what is found in rows, numbered from `first_row`, of which these lack a key."""
        if absent is None or not absent.any():
            return cls()
        return cls(int(np.count_nonzero(absent)), first_row + int(np.argmax(absent)))

    def joined(self, other: Self) -> Self:
        """Return what is found in these rows and in others."""
        found = [each for each in (self, other) if each.rows]
        return type(self)(self.rows + other.rows, min((each.first for each in found), default=0))


class Repeated(NamedTuple):
    """How many keys are in a file several times; of the first ones their first and their last row, and the key."""

    keys: int = 0
    shown: tuple[tuple[int, int, str], ...] = ()

    def joined(self, other: Self) -> Self:
        """Return what is found of these keys and of others."""
        return type(self)(self.keys + other.keys, tuple(sorted((*self.shown, *other.shown))[:SHOWN_KEYS]))


class Lone(NamedTuple):
    """How many keys of a file have no match in the other, and the first of their rows with the columns of the key."""

    keys: int
    rows: IntArray
    labels: tuple[LabelArray, ...]

    def joined(self, other: Self) -> Self:
        """Return what is found of these keys and of others."""
        if not (self.rows.size and other.rows.size):
            larger = self if self.rows.size else other
            return larger._replace(keys=self.keys + other.keys)
        rows = np.concatenate([self.rows, other.rows])
        first = np.argsort(rows, kind="stable")[:COMPARED_KEYS]
        labels = (take_labels(joined_labels(both), first) for both in zip(self.labels, other.labels, strict=True))
        return type(self)(self.keys + other.keys, rows[first], tuple(labels))


def refuse_keyless(sides: Sequence[Side], on: Sequence[str], found: Sequence[Keyless], advice: str) -> None:
    """Refuse rows without a key.

    Raises
    ------
    DataError
    """
    problems = [
        f"{side.path}: {many(each.rows, 'row')} without a key in {_names(on)}, the first in {side.place(each.first)}"
        for side, each in zip(sides, found, strict=True)
        if each.rows
    ]
    if problems:
        raise DataError("\n".join(problems) + advice)


def refuse_repeated(sides: Sequence[Side], on: Sequence[str], found: Sequence[Repeated]) -> None:
    """Refuse keys that are in a file several times.

    Raises
    ------
    DataError
    """
    problems = Problems()
    for side, each in zip(sides, found, strict=True):
        if each.keys:
            examples = ", ".join(f"{key} in {side.place(first, last)}" for first, last, key in each.shown)
            more = ", …" if each.keys > SHOWN_KEYS else ""
            problems.add(
                DataError(
                    f"{side.path}: {many(each.keys, 'duplicate key')} in {_names(on)}: {examples}{more}; "
                    "remove the duplicates, or add a key column with `on`"
                )
            )
    problems.raise_found()


def refuse_unmatched(
    sides: Sequence[Side], on: Sequence[str], found: Sequence[Lone], rows: Sequence[int], advice: str
) -> None:
    """Refuse keys without a match, in files with so many rows.

    Raises
    ------
    DataError
        If there is one.
    """
    paths = [side.path for side in sides]
    lines = [
        _without_match(path, on, each, count, other)
        for path, each, count, other in zip(paths, found, rows, reversed(paths), strict=True)
        if each.keys
    ]
    if lines:
        lines[-1] += _spelled_otherwise(found)
        raise DataError("\n".join(lines) + advice)


def _without_match(path: str, on: Sequence[str], found: Lone, rows: int, other: str) -> str:
    keys = zip(*(take_labels(labels, slice(0, SHOWN_KEYS)).tolist() for labels in found.labels), strict=True)
    more = ", …" if found.keys > SHOWN_KEYS else ""
    have = "has" if found.keys == 1 else "have"
    counted = f"{found.keys} of {many(rows, 'key')} ({_names(on)})"
    return f"{path}: {counted} {have} no match in {other}: {', '.join(map(key_text, keys))}{more}"


def _without_zone(text: str) -> str | None:
    found = instant(text)
    return None if found is None else (instant(text[:19]) or found).removesuffix("Z")


SPELLINGS: tuple[tuple[str, Callable[[str], str | None]], ...] = (
    ("in blanks around them", str.strip),
    ("in upper and lower case", str.casefold),
    ("in how numbers are written", decimal),
    ("in leading zeros", lambda text: text.lstrip("0") if text.isdecimal() else None),
    ("in how times are written", instant),
    ("in the time zone: UTC or an offset against no time zone", _without_zone),
)
"""Ways to write the same key that make two keys of it: what differs, and the key without the difference."""


def _spelled_otherwise(found: Sequence[Lone]) -> str:
    """Return how unmatched keys of one file differ from those of the other, if only in their spelling."""
    for column in zip(*(each.labels for each in found), strict=True):
        ours, theirs = ([str(label) for label in labels.tolist() if label is not None] for labels in column)
        for difference, spelled in SPELLINGS:
            known = {spelled(label): label for label in theirs}
            known.pop(None, None)
            pair = next(((label, known[spelled(label)]) for label in ours if spelled(label) in known), None)
            if pair is not None and pair[0] != pair[1]:
                return f"; keys differ {difference}: {pair[0]!r} against {pair[1]!r}"
    return ""


def key_text(labels: Sequence[Any]) -> str:
    """Return a key as messages name it."""
    return repr(labels[0]) if len(labels) == 1 else repr(tuple(labels))


def _names(on: Sequence[str]) -> str:
    return " and ".join(map(repr, on))
