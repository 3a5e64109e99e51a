"""Columns for Arrow to write, made from buffers because `pyarrow.array` imports pandas if it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from msecli.results.values import Keys


def table(block: NDArray[np.float64], keys: Keys, names: Sequence[str], *, nan_is_null: bool) -> pa.Table:
    """Return keys and values as a table with these column names."""
    columns = block.reshape(len(block), -1).T
    return pa.Table.from_arrays(
        [*keys.values(), *(float_column(column, nan_is_null=nan_is_null) for column in columns)], list(names)
    )


def float_column(values: NDArray[np.float64], *, nan_is_null: bool) -> pa.Array:
    """Return a column of numbers."""
    valid = ~np.isnan(values) if nan_is_null else None
    bitmap = None if valid is None or valid.all() else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.float64(), len(values), [bitmap, pa.py_buffer(np.ascontiguousarray(values))])


def result_column(values: Sequence[Any]) -> pa.Array:
    """Return a column of a result's texts, truth values, integers or floats; None is null."""
    known = [value for value in values if value is not None]
    if not known:
        return pa.nulls(len(values))
    valid = pa.py_buffer(np.packbits([value is not None for value in values], bitorder="little"))
    if isinstance(known[0], str):
        encoded = [(value or "").encode() for value in values]
        bounds = pa.py_buffer(np.cumsum([0, *map(len, encoded)], dtype=np.int32))
        return pa.Array.from_buffers(pa.string(), len(values), [valid, bounds, pa.py_buffer(b"".join(encoded))])
    if isinstance(known[0], bool):
        bits = pa.py_buffer(np.packbits([bool(value) for value in values], bitorder="little"))
        return pa.Array.from_buffers(pa.bool_(), len(values), [valid, bits])
    kind = np.float64 if any(isinstance(value, float) for value in known) else np.int64
    numbers = pa.py_buffer(np.array([0 if value is None else value for value in values], dtype=kind))
    return pa.Array.from_buffers(pa.from_numpy_dtype(kind), len(values), [valid, numbers])
