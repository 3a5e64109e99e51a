"""Hashes of keys, the same on every machine and for all labels that may be equal, and what tells how to compare them.

An integer and its digits as text may be equal, as may texts of the same decimal or of the same instant (see
`msecli.pairing.labels`): whether they are depends on all labels of both files. So labels are hashed by their values
wherever they have one, and rows with equal hashes are compared when all labels have been seen.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, TypeAlias

import numpy as np

from msecli.arrays import BoolArray, IntArray
from msecli.formats.base import LabelArray
from msecli.pairing.labels import VALUES, are_integers, codes_of, common_kind, kind_of, missing, take_labels
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

Hashes: TypeAlias = "NDArray[np.uint64]"

CANONICAL, OTHER = "as a number is written", "otherwise"
"""Ways to write values: as integers and `msecli.pairing.labels.decimal` do, and any of which there may be several."""

DIGITS = str.maketrans("123456789", "000000000")
DECIMAL_BYTES = np.isin(np.arange(256), np.frombuffer(b"0123456789.-", dtype=np.uint8))
MOST_DIGITS = 18
"""So many digits are always an int64."""
FRACTION = b".0"
"""How Python ends a whole float."""
DATE_CHARACTERS, HYPHENS = 10, (4, 7)
"""The length of a date, and where it has hyphens."""
WORD_BYTES = 8
WORD_MASKS = np.array([(1 << 8 * size) - 1 for size in range(WORD_BYTES + 1)], dtype=np.uint64)
MULTIPLIERS = np.array([0xBF58476D1CE4E5B9, 0x94D049BB133111EB], dtype=np.uint64)
STEP = np.uint64(0x9E3779B97F4A7C15)
INTEGER = re.compile(r"-?[0-9]{1,20}")
UINT64 = (1 << 64) - 1
HALF = np.uint64(32)
MIXED_AT_ONCE = 1 << 14
"""Values that stay in the cache from one step to the next."""
SAMPLED = 32
"""One in so many hashes is looked at to tell whether many are the same."""


class Written(NamedTuple):
    """How a column of labels is written in some rows.

    Parameters
    ----------
    kinds : frozenset of str
        Arrow's names of their types.
    missing : bool
        Whether labels are missing.
    decimal, instant : bool
        Whether all the others are plain decimals, or all are dates and times.
    ways : frozenset of str
        If so, the ways in which they are written, or two of these; none if all are missing.
    """

    kinds: frozenset[str]
    missing: bool
    decimal: bool
    instant: bool
    ways: frozenset[str]

    def joined(self, other: Self) -> Self:
        """Return how the labels of these rows and others are written."""
        return type(self)(
            self.kinds | other.kinds,
            self.missing or other.missing,
            self.decimal and other.decimal,
            self.instant and other.instant,
            _two(self.ways | other.ways),
        )

    @property
    def kind(self) -> str:
        """The type of all labels together."""
        return common_kind(self.kinds)

    @property
    def one_to_one(self) -> bool:
        """Whether equal values are equal texts."""
        return len(self.ways) == 1 and OTHER not in self.ways


def _two(ways: frozenset[str]) -> frozenset[str]:
    return frozenset(sorted(ways)[:2])


def hashes_of(columns: Sequence[LabelArray]) -> tuple[Hashes, tuple[Written, ...]]:
    """Return a hash of every key, and how each column is written; what is hashed of missing labels says nothing."""
    found = [_hashes_of_column(labels) for labels in columns]
    hashes = found[0][0]
    for more, _ in found[1:]:
        hashes = _mixed(hashes) ^ more
    return _mixed(hashes), tuple(written for _, written in found)


def _hashes_of_column(labels: LabelArray) -> tuple[Hashes, Written]:
    absent = missing(labels)
    if are_integers(labels):
        ways = frozenset[str]() if absent is not None and absent.all() else frozenset({CANONICAL})
        written = Written(frozenset({kind_of(labels)}), absent is not None, decimal=True, instant=not ways, ways=ways)
        return _mixed(_integers(labels)), written
    codes, texts = codes_of(labels)
    hashes, written = _hashes_of_texts(texts)
    return hashes[codes], written


def _integers(labels: LabelArray) -> Hashes:
    if isinstance(labels, np.ndarray):
        return labels.view(np.uint64)
    return np.frombuffer(labels.buffers()[1], dtype=np.uint64, count=len(labels), offset=8 * labels.offset)


class Bytes(NamedTuple):
    """Texts end to end: where each begins, and its length."""

    data: NDArray[np.uint8]
    starts: IntArray
    lengths: IntArray

    @classmethod
    def of(cls, texts: pa.Array) -> Self:
        """Return the bytes of texts."""
        _, ends, data = texts.buffers()
        found = np.frombuffer(ends, dtype=np.int32, count=len(texts) + 1, offset=4 * texts.offset).astype(np.int64)
        return cls(np.frombuffer(data or b"", dtype=np.uint8), found[:-1], np.diff(found))

    def at(self, place: int, rows: IntArray) -> NDArray[np.uint8]:
        """Return the bytes at a place of texts that are long enough."""
        return self.data[self.starts[rows] + place]

    def only(self, allowed: BoolArray) -> IntArray:
        """Return which texts have some bytes, and only these."""
        rows, place = np.flatnonzero(self.lengths > 0), 0
        found = [rows[:0]]
        while rows.size:  # most other texts are told by their first bytes
            rows = rows[allowed[self.at(place, rows)]]
            place += 1
            longer = self.lengths[rows] > place
            found.append(rows[~longer])
            rows = rows[longer]
        return np.sort(np.concatenate(found))

    def whole(self, rows: IntArray) -> tuple[IntArray, IntArray, BoolArray]:
        """Return which texts are short natural numbers, their values, and whether they are written as floats."""
        lengths = self.lengths[rows]
        floats = lengths > len(FRACTION)
        for place, byte in enumerate(FRACTION):
            floats[floats] = self.data[(self.starts[rows] + lengths - len(FRACTION) + place)[floats]] == byte
        lengths = lengths - len(FRACTION) * floats
        fits = lengths <= MOST_DIGITS
        fits[fits] = (self.at(0, rows[fits]) != ord("0")) | (lengths[fits] == 1)
        rows, lengths, floats = rows[fits], lengths[fits], floats[fits]
        values = np.zeros(len(rows), dtype=np.int64)
        for place in range(int(lengths.max(initial=0))):
            longer = np.flatnonzero(lengths > place)
            digits = self.at(place, rows[longer]).astype(np.int64) - ord("0")
            values[longer] = np.where((digits < 0) | (values[longer] < 0), -1, 10 * values[longer] + digits)
        digits_only = values >= 0
        return rows[digits_only], values[digits_only], floats[digits_only]

    def hashes(self) -> Hashes:
        """Return a hash of every text."""
        padded = np.concatenate([self.data, np.zeros(WORD_BYTES, dtype=np.uint8)])
        # The eight bytes from every byte on, in the byte order that all machines share.
        words = np.ndarray(len(self.data) + 1, dtype="<u8", buffer=padded, strides=(1,))
        found = _mixed(_mixed(self.lengths.astype(np.uint64)))
        rows, place = np.flatnonzero(self.lengths > 0), 0
        while rows.size:
            word = words[self.starts[rows] + place] & WORD_MASKS[np.minimum(self.lengths[rows] - place, WORD_BYTES)]
            found[rows] = _mixed(found[rows] ^ word)
            place += WORD_BYTES
            rows = rows[self.lengths[rows] > place]
        return found


def _hashes_of_texts(texts: pa.Array) -> tuple[Hashes, Written]:
    """Return the hashes of different texts, of which one may be missing."""
    from msecli.arrow.columns import validity
    from msecli.arrow.functions import texts as texts_of

    spelled, present = Bytes.of(texts), validity(texts)
    hashes = spelled.hashes()
    decimals = spelled.only(DECIMAL_BYTES)
    rows, values, floats = spelled.whole(decimals)
    hashes[rows] = _mixed(values.view(np.uint64))
    numbers, ways = {"decimal": rows.size, "instant": 0}, set[str]()
    if rows.size:
        ways = {OTHER} if floats.all() else {CANONICAL, OTHER} if floats.any() else {CANONICAL}
    others = np.setdiff1d(decimals, rows, assume_unique=True)
    for value, chosen in (("decimal", others), ("instant", _maybe_dates(spelled, present))):
        written = take_labels(texts, chosen).tolist() if chosen.size else []
        found = {place: each for place, text in enumerate(written) if (each := VALUES[value](text)) is not None}
        if found:
            hashes[chosen[list(found)]] = _hashes_of_values(list(found.values()), Bytes.of(texts_of(found.values())))
            numbers[value] += len(found)
            ways |= {_way(value, written[place], each) for place, each in found.items()}
    count = int(np.count_nonzero(present))
    both = (numbers["decimal"] == count, numbers["instant"] == count)
    return hashes, Written(
        frozenset({"string"}), count < len(texts), decimal=both[0], instant=both[1], ways=_two(frozenset(ways))
    )


def _maybe_dates(spelled: Bytes, present: BoolArray) -> IntArray:
    rows = np.flatnonzero(present & (spelled.lengths >= DATE_CHARACTERS))
    for place in HYPHENS:
        rows = rows[spelled.at(place, rows) == ord("-")]
    return rows


def _hashes_of_values(values: Sequence[str], spelled: Bytes) -> Hashes:
    """Return the hashes of values; those of whole numbers are those of integers."""
    hashes = spelled.hashes()
    whole = {row: int(value) & UINT64 for row, value in enumerate(values) if INTEGER.fullmatch(value)}
    hashes[list(whole)] = _mixed(np.array(list(whole.values()), dtype=np.uint64))
    return hashes


def _way(kind: str, text: str, value: str | None) -> str:
    """Return the way in which a text is written that has a value."""
    if kind == "decimal":
        return CANONICAL if text == value else OTHER
    shape = text.translate(DIGITS)
    return OTHER if "+" in shape or "-" in shape[DATE_CHARACTERS:] else shape  # the same instant has many offsets


def _mixed(values: Hashes) -> Hashes:
    """Return values of which every bit depends on all bits, as SplitMix64 does."""
    mixed = np.empty_like(values)
    with np.errstate(over="ignore"):
        for start in range(0, len(values), MIXED_AT_ONCE):
            few = values[start : start + MIXED_AT_ONCE] + STEP
            few = (few ^ (few >> np.uint64(30))) * MULTIPLIERS[0]
            few = (few ^ (few >> np.uint64(27))) * MULTIPLIERS[1]
            mixed[start : start + MIXED_AT_ONCE] = few ^ (few >> np.uint64(31))
    return mixed


def dealt(rows: IntArray, hashes: Hashes, buckets: int) -> list[IntArray]:
    """Return the rows of each bucket, in order, by the upper halves of their hashes."""
    bucket = (hashes[rows] >> HALF) * np.uint64(buckets) >> HALF
    bucket = bucket.astype(np.uint16 if buckets <= 1 << 16 else np.uint32)  # small ones are sorted in one pass
    order = np.argsort(bucket, kind="stable")
    return np.split(rows[order], np.cumsum(np.bincount(bucket, minlength=buckets))[:-1])


def share_of_different(hashes: Hashes) -> float:
    """Return which share of many hashes differ from each other, roughly."""
    # Those that end in zeros: of equal ones all or none.
    some = hashes[hashes & np.uint64(SAMPLED - 1) == 0]
    if not hashes.size / 2 <= SAMPLED * some.size <= 2 * hashes.size:
        some = hashes  # few in all, or many of the same
    different = codes_of(some.view(np.int64))[1]
    return float(len(different) / max(1, some.size))
