"""Rows of two files to aligned rows, by key.

Every key becomes a small number, the same for equal keys of both files, so that a table indexed by it says where a
key's row is: one look-up for each row, whatever the keys are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from msecli.core.exact import BoolArray, FloatArray, IntArray
from msecli.errors import DataError, Problems
from msecli.sources.base import ROWS_PER_BLOCK, Block, Note
from msecli.sources.kernels import cast, integers, take
from msecli.sources.labels import codes_of, missing
from msecli.sources.pairing import Aligned, Stream, check_labels

SHOWN_KEYS = 3
DENSE = 4
"""Integer keys are used as they are if their range is at most this many times their number."""


@dataclass(slots=True)
class Matched:
    """How the rows of two files were matched: for every prediction its target row, or -1."""

    position: IntArray
    unmatched_prediction: int
    unmatched_target: int
    notes: tuple[Note, ...]

    @property
    def rows(self) -> int:
        """Number of matched rows."""
        return len(self.position) - self.unmatched_prediction


class Held:
    """All the rows of a file, in memory: its numbers and labels, column by column.

    Parameters
    ----------
    stream : Stream
    names : mapping of str to str, optional
        Further names for columns of labels: the name, and the column's name in the file.
    """

    def __init__(self, stream: Stream, names: Mapping[str, str] | None = None) -> None:
        self.path = stream.path
        blocks = list(iter(stream.next, None))
        if not blocks:
            raise DataError(f"{stream.path}: there are no rows")
        self.rows = stream.rows
        self.numbers: dict[str, FloatArray] = {}
        for name in blocks[0].numbers:
            self.numbers[name] = np.concatenate([block.numbers[name] for block in blocks])
        self.labels = {name: _joined([block.labels[name] for block in blocks]) for name in blocks[0].labels}
        self.labels |= {name: self.labels[column] for name, column in (names or {}).items()}

    def take(self, rows: IntArray) -> Block:
        """Return these rows as a block."""
        return Block(
            len(rows),
            {name: values[rows] for name, values in self.numbers.items()},
            {name: take(values, rows) for name, values in self.labels.items()},
        )


def _joined(arrays: list[pa.Array]) -> pa.Array:
    if len({array.type for array in arrays}) > 1:
        arrays = [cast(array, pa.string()) for array in arrays]
    if len(arrays) == 1:
        return arrays[0]
    return pa.concat_arrays(arrays)


def match(prediction: Held, target: Held, on: Sequence[str], *, skip_unmatched: bool) -> Matched:
    """Find the target row of every prediction row.

    Raises
    ------
    DataError
        If a key is there twice in a file, missing, or, unless they are to be skipped, without a partner.
    """
    notes: list[Note] = []
    codes = _common_codes(prediction, target, on, notes)
    absent = [_any_missing(held, on) for held in (prediction, target)]
    if not skip_unmatched:
        _refuse_missing((prediction, target), on, absent)
    # One table for both files: a key of either must be within it.
    size = max(int(side.max(initial=-1)) for side in codes) + 1
    problems = Problems()
    with problems.collect():
        _refuse_duplicates(prediction, on, codes[0], absent[0], _last_rows(codes[0], absent[0], size))
    place = _last_rows(codes[1], absent[1], size)
    with problems.collect():
        _refuse_duplicates(target, on, codes[1], absent[1], place)
    problems.raise_found()
    position = place[codes[0]]
    position[absent[0]] = -1
    del place, codes
    unmatched = position < 0
    matched = len(position) - int(np.count_nonzero(unmatched))
    result = Matched(position, int(np.count_nonzero(unmatched)), target.rows - matched, tuple(notes))
    if not skip_unmatched and (result.unmatched_prediction or result.unmatched_target):
        raise _unmatched(prediction, target, on, result)
    return result


def aligned_rows(prediction: Held, target: Held, matched: Matched, index: Sequence[str] = ()) -> Iterator[Aligned]:
    """Yield the matched rows side by side, in the order of the prediction file.

    Raises
    ------
    DataError
        If labels of the `index` columns disagree.
    """
    rows = np.flatnonzero(matched.position >= 0)
    for start in range(0, len(rows), ROWS_PER_BLOCK):
        chosen = rows[start : start + ROWS_PER_BLOCK]
        numbers = chosen, matched.position[chosen]
        aligned = Aligned(start, (prediction.take(numbers[0]), target.take(numbers[1])), numbers)
        check_labels(aligned, (prediction.path, target.path), index)
        yield aligned


def _common_codes(prediction: Held, target: Held, on: Sequence[str], notes: list[Note]) -> tuple[IntArray, IntArray]:
    """Return a number below a small bound for every key, the same in both files for equal keys."""
    codes: IntArray | None = None
    for name in on:
        column = _coded(*_comparable(prediction, target, name, notes))
        codes = column if codes is None else _dense(codes * (int(column.max(initial=0)) + 1) + column)
    assert codes is not None  # noqa: S101 - `on` is not empty, and every column gives codes
    return codes[: prediction.rows], codes[prediction.rows :]


def _comparable(prediction: Held, target: Held, name: str, notes: list[Note]) -> tuple[pa.Array, pa.Array]:
    left, right = prediction.labels[name], target.labels[name]
    if left.type == right.type:
        return left, right
    if pa.types.is_integer(left.type) != pa.types.is_integer(right.type):
        meaning = f"key {name!r} is text in one file and numbers in the other; compared as text"
        notes.append(Note("mixed_key_types", prediction.path, meaning, 1))
    return cast(left, pa.string()), cast(right, pa.string())


def _coded(left: pa.Array, right: pa.Array) -> IntArray:
    if left.type == pa.int64() and left.null_count == right.null_count == 0:
        keys = np.concatenate([np.from_dlpack(left), np.from_dlpack(right)])
        low, high = int(keys.min()), int(keys.max())
        if high - low < DENSE * len(keys):
            keys -= low
            return keys
        return _ranks(keys)
    return codes_of(pa.concat_arrays([left, right]))[0]


def _ranks(keys: IntArray) -> IntArray:
    """Return the rank of every key among the distinct ones; sorting takes half the memory of a table of hashes."""
    order = np.argsort(keys)
    ordered = keys[order]
    new = np.empty(len(keys), dtype=bool)
    new[0] = False
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    ranks = np.cumsum(new, out=ordered)
    keys[order] = ranks
    return keys


def _dense(codes: IntArray) -> IntArray:
    return codes_of(integers(codes))[0]


def _last_rows(codes: IntArray, absent: BoolArray, size: int) -> IntArray:
    """Return the last row of every code, -1 where there is none."""
    place = np.full(size, -1, dtype=np.int64)
    rows = np.flatnonzero(~absent)
    place[codes[rows]] = rows
    return place


def _refuse_duplicates(held: Held, on: Sequence[str], codes: IntArray, absent: BoolArray, place: IntArray) -> None:
    earlier = np.flatnonzero((place[codes] != np.arange(held.rows)) & ~absent)
    if not earlier.size:
        return
    # A key that is there three times has two earlier rows, but is one key.
    first = np.sort(earlier[np.unique(codes[earlier], return_index=True)[1]])
    examples = ", ".join(
        f"{_key(held, on, row)} (rows {row + 1} and {int(place[codes[row]]) + 1})"
        for row in first[:SHOWN_KEYS].tolist()
    )
    raise DataError(f"{held.path}: {_many(len(first), 'key')} of {_names(on)} there more than once: {examples}")


def _any_missing(held: Held, on: Sequence[str]) -> BoolArray:
    absent = np.zeros(held.rows, dtype=bool)
    for name in on:
        absent |= missing(held.labels[name])
    return absent


def _refuse_missing(files: Sequence[Held], on: Sequence[str], absent: Sequence[BoolArray]) -> None:
    problems = [
        f"{held.path}: {_many(int(np.count_nonzero(mask)), 'row')} without a key in {_names(on)}, "
        f"the first in row {int(np.argmax(mask)) + 1}"
        for held, mask in zip(files, absent, strict=True)
        if mask.any()
    ]
    if problems:
        raise DataError("\n".join(problems) + "; to leave them out, say --unmatched skip")


def _unmatched(prediction: Held, target: Held, on: Sequence[str], matched: Matched) -> DataError:
    lines = []
    lonely = np.flatnonzero(matched.position < 0)
    if matched.unmatched_prediction:
        lines.append(_lonely(prediction, on, lonely, target.path))
    if matched.unmatched_target:
        found = np.zeros(target.rows, dtype=bool)
        found[matched.position[matched.position >= 0]] = True
        lines.append(_lonely(target, on, np.flatnonzero(~found), prediction.path))
    return DataError("\n".join(lines) + "; to score the others, say --unmatched skip")


def _lonely(held: Held, on: Sequence[str], rows: IntArray, other: str) -> str:
    examples = ", ".join(_key(held, on, row) for row in rows[:SHOWN_KEYS].tolist())
    more = ", …" if len(rows) > SHOWN_KEYS else ""
    return f"{held.path}: {_many(len(rows), 'key')} of {_names(on)} not in {other}: {examples}{more}"


def _key(held: Held, on: Sequence[str], row: int) -> str:
    labels: list[Any] = [held.labels[name][row].as_py() for name in on]
    return repr(labels[0]) if len(labels) == 1 else repr(tuple(labels))


def _names(on: Sequence[str]) -> str:
    return " and ".join(map(repr, on))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
