"""The few Arrow functions that msecli needs, without the three hundred others.

Importing the public `pyarrow.compute` wraps every Arrow function, a quarter of a short run, so they are imported from
pyarrow's private module, with the public one as fallback. `pyarrow.array` imports pandas if it is installed, which
takes longer still, so arrays are made from buffers.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from msecli.arrays import BoolArray, IntArray

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    from pyarrow._compute import (
        CastOptions,
        DictionaryEncodeOptions,
        call_function,
    )
except ImportError:
    from pyarrow.compute import (
        CastOptions,
        DictionaryEncodeOptions,
        call_function,
    )


def integers(values: NDArray[np.int64] | NDArray[np.uint64], missing: BoolArray | None = None) -> pa.Array:
    """Return 64-bit integers as an array, with null where they are missing."""
    kind = pa.uint64() if values.dtype == np.uint64 else pa.int64()
    return pa.Array.from_buffers(kind, len(values), [_validity(missing), pa.py_buffer(np.ascontiguousarray(values))])


def strings(data: NDArray[np.uint8], ends: NDArray[np.int32], missing: BoolArray | None = None) -> pa.Array:
    """Return words that lie end to end as an array of strings: word k is data[ends[k] : ends[k + 1]]."""
    buffers = [_validity(missing), pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.string(), len(ends) - 1, buffers)


def texts(words: Collection[str | None]) -> pa.Array:
    """Return words as an array of strings."""
    encoded = [b"" if word is None else word.encode() for word in words]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    missing = np.array([word is None for word in words], dtype=np.bool_)
    return strings(np.frombuffer(b"".join(encoded), dtype=np.uint8), ends, missing if missing.any() else None)


def _validity(missing: BoolArray | None) -> pa.Buffer | None:
    return None if missing is None else pa.py_buffer(np.packbits(~missing, bitorder="little"))


def whole_texts(values: NDArray[np.int64], missing: BoolArray) -> pa.Array:
    """Return whole numbers as Python writes them as floats, such as "3.0"."""
    valid = pa.py_buffer(np.packbits(~missing, bitorder="little")) if missing.any() else None
    numbers = pa.Array.from_buffers(pa.int64(), len(values), [valid, pa.py_buffer(np.ascontiguousarray(values))])
    end, nothing = texts([".0", ""])
    return call_function("binary_join_element_wise", [cast(numbers, pa.string()), end, nothing])


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return an array as another type.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value would change.
    """
    return call_function("cast", [array], CastOptions.safe(kind))


def dictionary_encode(array: pa.Array) -> pa.DictionaryArray:
    """Encode an array by its distinct values, null being one of them."""
    return call_function("dictionary_encode", [array], DictionaryEncodeOptions("encode"))


def take(array: pa.Array, rows: IntArray) -> pa.Array:
    """Return the values of some rows."""
    return call_function("take", [array, integers(rows)])


def extremes(array: pa.Array) -> tuple[int | str, int | str]:
    """Return the smallest and the largest value, of which there must be one."""
    found = call_function("min_max", [array]).as_py()
    return found["min"], found["max"]


def run_end_decode(array: pa.Array) -> pa.Array:
    """Return an array of runs with a value for each row."""
    return call_function("run_end_decode", [array])
