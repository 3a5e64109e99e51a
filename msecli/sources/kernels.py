"""The few functions of Arrow's that are used here, without the three hundred others.

`pyarrow.compute`, where they are public, makes a Python function of each of Arrow's when it is imported. That takes a
quarter of the time of a short run, so they are taken from where it has them, too. `pyarrow.array` imports pandas
wherever it is installed, which takes longer still, so arrays are made of buffers.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from msecli.core.exact import BoolArray, IntArray

try:
    from pyarrow._compute import CastOptions, DictionaryEncodeOptions, SetLookupOptions, TrimOptions, call_function
except ImportError:
    from pyarrow.compute import CastOptions, DictionaryEncodeOptions, SetLookupOptions, TrimOptions, call_function


def integers(values: NDArray[np.int64] | NDArray[np.uint64]) -> pa.Array:
    """Return integers of 64 bits as an array."""
    kind = pa.uint64() if values.dtype == np.uint64 else pa.int64()
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def texts(words: Collection[str | None]) -> pa.Array:
    """Return words as an array of strings."""
    encoded = [None if word is None else word.encode() for word in words]
    bounds = np.cumsum([0, *(len(word or b"") for word in encoded)], dtype=np.int32)
    valid = np.packbits([word is not None for word in encoded], bitorder="little") if None in encoded else None
    buffers = [None if valid is None else pa.py_buffer(valid), pa.py_buffer(bounds)]
    data = pa.py_buffer(b"".join(word for word in encoded if word is not None))
    return pa.Array.from_buffers(pa.string(), len(encoded), [*buffers, data])


def cast(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return an array as another type.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value is lost by it.
    """
    return call_function("cast", [array], CastOptions.safe(kind))


def dictionary_encode(array: pa.Array) -> pa.DictionaryArray:
    """Return an array as numbers of its distinct values, null being one of them."""
    return call_function("dictionary_encode", [array], DictionaryEncodeOptions("encode"))


def take(array: pa.Array, rows: IntArray) -> pa.Array:
    """Return the values of some rows."""
    return call_function("take", [array, integers(rows)])


def is_in(array: pa.Array, words: Collection[str]) -> BoolArray:
    """Return which elements of an array of strings are among some words; no null is."""
    return _bits(call_function("is_in", [array], SetLookupOptions(value_set=texts(words), skip_nulls=True)))


def trimmed(array: pa.Array, characters: str) -> pa.Array:
    """Return an array of strings without these characters at their ends."""
    return call_function("ascii_trim", [array], TrimOptions(characters))


def all_characters(kind: str, array: pa.Array) -> BoolArray:
    """Return which elements of an array of strings, without nulls, are of one kind throughout: "alpha", "decimal"."""
    return _bits(call_function(f"ascii_is_{kind}", [array]))


def unsigned_integers(array: pa.Array) -> NDArray[np.uint64]:
    """Return what an array of strings, without nulls, says in digits."""
    return np.frombuffer(cast(array, pa.uint64()).buffers()[1], dtype=np.uint64, count=len(array))


def _bits(array: pa.BooleanArray) -> BoolArray:
    bits = np.unpackbits(np.frombuffer(array.buffers()[1], dtype=np.uint8), bitorder="little")
    return bits[: len(array)].astype(np.bool_)
