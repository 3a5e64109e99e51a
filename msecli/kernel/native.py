"""The native kernel: `native.cpp`, with the types of the interface."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from msecli.arrays import FloatArray, IntArray
from msecli.kernel import _native
from msecli.kernel.interface import (
    Bytes,
    Dialect,
    Fault,
    Found,
    Kind,
    Scan,
    SlotSums,
    Sum,
    Texts,
    Wanted,
    check_request,
)

NONE = -1


def scan(buffer: Bytes, dialect: Dialect, wanted: Sequence[Wanted]) -> Scan:
    """See `msecli.kernel.interface.Kernel`."""
    check_request(dialect, wanted)
    columns = [(column, int(kind), *words) for column, kind, words in wanted]
    rows, found, blank, fault = _native.scan(np.frombuffer(buffer, dtype=np.uint8), _dialect(dialect), columns)
    kinds = [kind for _, kind, _ in wanted]
    return Scan(
        rows,
        tuple(_found(kind, column) for kind, column in zip(kinds, found, strict=True)),
        blank,
        None if fault is None else Fault(*fault),
    )


def border(buffer: Bytes, dialect: Dialect, place: int, *, last: bool = True) -> int | None:
    """See `msecli.kernel.interface.Kernel`."""
    return _native.border(np.frombuffer(buffer, dtype=np.uint8), _dialect(dialect), place, last)


def exact_sum(values: FloatArray) -> Sum:
    """See `msecli.kernel.interface.Kernel`."""
    return _sum(*_native.exact_sum(values))


def squared_error(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None = None
) -> tuple[Sum, ...] | None:
    """See `msecli.kernel.interface.Kernel`."""
    found = _native.squared_error(prediction, target, weight)
    return None if found is None else tuple(_sum(*total) for total in found if total is not None)


def codes(labels: IntArray | Texts) -> tuple[IntArray, IntArray]:
    """See `msecli.kernel.interface.Kernel`."""
    if not isinstance(labels, Texts):
        return _native.integer_codes(labels)
    labels.check()
    return _native.text_codes(labels.data, labels.ends)


gradient = _native.gradient


def sums_by_slot(values: FloatArray, codes: IntArray, slots: int) -> SlotSums:
    """See `msecli.kernel.interface.Kernel`."""
    return _slots(slots, *_native.sums_by_slot(values, codes, slots))


def squared_error_by_slot(
    prediction: FloatArray, target: FloatArray, weight: FloatArray | None, codes: IntArray, slots: int
) -> tuple[SlotSums, ...] | None:
    """See `msecli.kernel.interface.Kernel`."""
    found = _native.squared_error_by_slot(prediction, target, weight, codes, slots)
    return None if found is None else tuple(_slots(slots, *sums) for sums in found if sums is not None)


def _slots(slots: int, level: int, digits: IntArray | None, special: FloatArray | None) -> SlotSums:
    return SlotSums(level, np.zeros((slots, 0), dtype=np.int64) if digits is None else digits, special)


@lru_cache
def _dialect(dialect: Dialect) -> _native.Dialect:
    comment = NONE if dialect.comment is None else ord(dialect.comment)
    return _native.Dialect(
        dialect.delimiter, dialect.quote, dialect.decimal, comment, list(dialect.missing), dialect.width
    )


def _found(kind: Kind, column: tuple[Any, ...]) -> Found:
    values, missing, *counts = column
    return Found(
        Texts(*values) if kind == Kind.TEXT else values,
        None if missing is None else missing.view(np.bool_),
        *counts,
    )


def _sum(limbs: bytes, special: float) -> Sum:
    return Sum(int.from_bytes(limbs, "little", signed=True), special)
