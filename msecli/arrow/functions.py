"""The few Arrow functions that msecli needs, without the three hundred others.

Importing the public `pyarrow.compute` wraps every Arrow function, a quarter of a short run, so they are imported from
pyarrow's private module, with the public one as fallback. `pyarrow.array` imports pandas if it is installed, which
takes longer still, so arrays are made from buffers.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from msecli.core.exact import BoolArray, IntArray

try:
    from pyarrow._compute import (
        CastOptions,
        DictionaryEncodeOptions,
        MatchSubstringOptions,
        ReplaceSubstringOptions,
        SetLookupOptions,
        TrimOptions,
        call_function,
    )
except ImportError:
    from pyarrow.compute import (
        CastOptions,
        DictionaryEncodeOptions,
        MatchSubstringOptions,
        ReplaceSubstringOptions,
        SetLookupOptions,
        TrimOptions,
        call_function,
    )


def integers(values: NDArray[np.int64] | NDArray[np.uint64]) -> pa.Array:
    """Return 64-bit integers as an array."""
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


def is_in(array: pa.Array, words: Collection[str]) -> BoolArray:
    """Return which strings are among some words; null never is."""
    return _bits(call_function("is_in", [array], SetLookupOptions(value_set=texts(words), skip_nulls=True)))


def trimmed(array: pa.Array, characters: str) -> pa.Array:
    """Strip these characters from both ends of each string."""
    return call_function("ascii_trim", [array], TrimOptions(characters))


def all_characters(kind: str, array: pa.Array) -> BoolArray:
    """Return which strings, none of them null, consist of one kind of character: "alpha" or "decimal"."""
    return _bits(call_function(f"ascii_is_{kind}", [array]))


def matches(array: pa.Array, pattern: str) -> BoolArray:
    """Return which strings match a pattern from start to end; null never does."""
    found = call_function("match_substring_regex", [array], MatchSubstringOptions(rf"\A(?:{pattern})\z"))
    return _bits(found) & _valid(array)


def replaced(array: pa.Array, pattern: str, replacement: str) -> pa.Array:
    """Replace whatever matches a pattern in each string."""
    return call_function("replace_substring_regex", [array], ReplaceSubstringOptions(pattern, replacement))


def _valid(array: pa.Array) -> BoolArray:
    return _bits(call_function("is_valid", [array]))


def unsigned_integers(array: pa.Array) -> NDArray[np.uint64]:
    """Parse strings of digits, none of them null."""
    return np.frombuffer(cast(array, pa.uint64()).buffers()[1], dtype=np.uint64, count=len(array))


def _bits(array: pa.BooleanArray) -> BoolArray:
    bits = np.unpackbits(np.frombuffer(array.buffers()[1], dtype=np.uint8), bitorder="little")
    return bits[: len(array)].astype(np.bool_)
