"""Arrow arrays of lists, all of one length, to float64 arrays of more dimensions.

A list whose values are lists is a row of two dimensions, and so on. No Python object is made of a row: the values lie
end to end in Arrow's buffers already, so that it is enough to compare the lengths.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from msecli.arrays import FloatArray
from msecli.arrow.columns import floats, is_numeric, validity
from msecli.errors import DataError, numbered

Shape = tuple[int, ...]

LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_list_view, pa.types.is_large_list_view)
"""Types of lists that may have any length."""


class _OtherLengthError(Exception):
    """A list has another length than those before it: its place, its length, and theirs."""

    def __init__(self, place: int, found: int, expected: int) -> None:
        super().__init__(place, found, expected)
        self.place, self.found, self.expected = place, found, expected


def item_shape(kind: pa.DataType) -> Shape | None:
    """Return the shape of a value of a type: () of any but lists of numbers, None if the lists may have any length."""
    return _shape(kind) if _holds_numbers(kind) else ()


def _holds_numbers(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.FixedShapeTensorType):
        return _holds_numbers(kind.storage_type)
    if _is_list(kind):
        return _holds_numbers(kind.value_type)
    return is_numeric(kind)


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_fixed_size_list(kind) or any(check(kind) for check in LISTS)


def _shape(kind: pa.DataType) -> Shape | None:
    if isinstance(kind, pa.FixedShapeTensorType):
        return tuple(kind.shape[axis] for axis in kind.permutation or range(len(kind.shape)))
    if not _is_list(kind):
        return ()
    inner = _shape(kind.value_type)
    return (kind.list_size, *inner) if inner is not None and pa.types.is_fixed_size_list(kind) else None


def numbers(array: pa.Array, what: str, shape: Shape | None = (), first_row: int = 0) -> tuple[FloatArray, int]:
    """Return numbers, or lists of numbers, as float64, and the number of rounded integers.

    Parameters
    ----------
    array : pyarrow.Array
    what : str
        The name of the column in errors.
    shape : tuple of int, optional
        The shape of every value; None for that of the first one.
    first_row : int
        The number of the first row in errors, from 0.

    Returns
    -------
    (ndarray of float64, shape (rows, ...), int)
        NaN for null, and for all values of a list that is null. Of lists that are all null, shape (rows, 0).

    Raises
    ------
    DataError
        If a list has another length, or the values are not numbers.
    """
    if item_shape(array.type) == ():
        return floats(array, what)
    if shape is None:
        shape = first_shape(array)
    if shape is None:
        return np.full((len(array), 0), np.nan), 0
    try:
        return _unrolled(array, shape, what)
    except _OtherLengthError as error:
        held, expected = (f"{count} value{'s' * (count != 1)}" for count in (error.found, error.expected))
        row = numbered(first_row + error.place)
        raise DataError(
            f"{what}: {row} holds a list of {held}, but the first list has {expected}; all rows must hold as many"
        ) from None


def first_shape(array: pa.Array) -> Shape | None:
    """Return the shape of the first value that is not null; None if there is none."""
    known = _shape(array.type)
    if known is not None:
        return known
    if pa.types.is_fixed_size_list(array.type):
        length = array.type.list_size
    else:
        valid = validity(array)
        if not valid.any():
            return None
        length = int(_lengths(array)[np.argmax(valid)])
    inner = first_shape(array.flatten())
    return None if inner is None else (length, *inner)


def _lengths(array: pa.Array) -> NDArray[np.int64]:
    """Return the lengths of lists that may have any length; those of null lists mean nothing."""
    kind = array.type
    if pa.types.is_list_view(kind) or pa.types.is_large_list_view(kind):
        dtype = np.dtype(np.int64 if pa.types.is_large_list_view(kind) else np.int32)
        start = array.offset * dtype.itemsize
        return np.frombuffer(array.buffers()[2], dtype, len(array), start).astype(np.int64, copy=False)
    dtype = np.dtype(np.int64 if pa.types.is_large_list(kind) else np.int32)
    ends = np.frombuffer(array.buffers()[1], dtype, len(array) + 1, array.offset * dtype.itemsize)
    ends = ends.astype(np.int64, copy=False)
    return np.asarray(ends[1:] - ends[:-1])


def _unrolled(array: pa.Array, shape: Shape, what: str) -> tuple[FloatArray, int]:
    """Return lists of this shape as an array with a dimension more."""
    kind = array.type
    if isinstance(kind, pa.FixedShapeTensorType):
        values, rounded = _unrolled(array.storage, (prod(shape),), what)
        axes = kind.permutation or range(len(shape))
        stored = values.reshape(-1, *kind.shape)
        return np.ascontiguousarray(stored.transpose(0, *(axis + 1 for axis in axes))), rounded
    if not _is_list(kind):
        return floats(array, what)
    length, *inner = shape
    valid = validity(array) if array.null_count else None
    if not pa.types.is_fixed_size_list(kind):
        lengths = _lengths(array)
        other = lengths != length if valid is None else (lengths != length) & valid
        if other.any():
            place = int(np.argmax(other))
            raise _OtherLengthError(place, int(lengths[place]), length)
    try:
        # Without the values of lists that are null, of which there may be any number.
        values, rounded = _unrolled(array.flatten(), tuple(inner), what)
    except _OtherLengthError as error:
        place = error.place // length
        error.place = place if valid is None else int(np.flatnonzero(valid)[place])
        raise
    if valid is None:
        return values.reshape(len(array), *shape), rounded
    rows = np.full((len(array), *shape), np.nan)
    rows[valid] = values.reshape(int(np.count_nonzero(valid)), *shape)
    return rows, rounded
