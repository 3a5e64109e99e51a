"""Arrow arrays to float64, without pandas.

`pyarrow.Array.to_numpy` imports pandas if it is installed, which takes longer than most runs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from msecli.arrays import BoolArray, FloatArray, IntArray
from msecli.arrow import UUID
from msecli.core.check import as_float64
from msecli.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

TEXTS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
HINTS = (
    ((pa.types.is_nested,), "it holds lists or structs; write one number per row"),
    ((pa.types.is_temporal,), "dates and times are not numbers"),
    (TEXTS, "text is not a number"),
    (BYTES, "bytes are not numbers"),
)

ENCODED = (pa.types.is_dictionary, pa.types.is_run_end_encoded, pa.types.is_string_view)
"""Types whose labels are those of another type."""

HYPHENS = (8, 13, 18, 23)
HEXADECIMAL = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
"""The places of the hyphens in a UUID, and the digits between them."""


def is_numeric(kind: pa.DataType) -> bool:
    """Tell whether values of the type can be converted to float64."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return is_numeric(kind.value_type)
    checks = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(check(kind) for check in checks)


def floats(array: pa.Array, what: str) -> tuple[FloatArray, int]:
    """Return an Arrow array as float64, with NaN for null, and the number of rounded integers.

    Parameters
    ----------
    array : pyarrow.Array
        Integers, floats, booleans, decimals, nulls, or a dictionary of these.
    what : str
        The name of the column in errors.

    Raises
    ------
    DataError
        For any other type.
    """
    if not is_numeric(array.type):
        raise DataError(f"{what}: the column is of type {array.type}: {_hint(array.type)}")
    array = _decoded(array)
    values, rounded = _without_validity(array, what)
    if array.null_count:
        values = values.copy()
        values[~validity(array)] = np.nan
    return values, rounded


def _decoded(array: pa.Array) -> pa.Array:
    """Return an array with a value for each row, which may have been encoded."""
    if pa.types.is_dictionary(array.type):
        if pa.types.is_string_view(array.type.value_type):
            # As polars shares categories; Arrow cannot take rows of views.
            array = pa.DictionaryArray.from_arrays(array.indices, _texts_of_views(array.dictionary))
        return array.dictionary_decode()
    if pa.types.is_run_end_encoded(array.type):
        from msecli.arrow.functions import run_end_decode

        return run_end_decode(array)
    return array


def _hint(kind: pa.DataType) -> str:
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return _hint(kind.value_type)
    return next((hint for checks, hint in HINTS if any(check(kind) for check in checks)), "it is not a number")


def _without_validity(array: pa.Array, what: str) -> tuple[FloatArray, int]:
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan), 0
    if pa.types.is_boolean(kind):
        return _bits(array.buffers()[1], array.offset, len(array)).astype(np.float64), 0
    if pa.types.is_decimal(kind):
        # Arrow's own cast is not always correctly rounded; Python's is.
        return np.array([np.nan if value is None else float(value) for value in array.to_pylist()]), 0
    stored: NDArray[Any] = np.frombuffer(
        array.buffers()[1], dtype=_numpy_dtype(kind), count=len(array), offset=array.offset * kind.bit_width // 8
    )
    if array.null_count and pa.types.is_integer(kind):
        # The values under nulls are arbitrary and must not count as rounded.
        stored = np.where(validity(array), stored, stored.dtype.type(0))
    return as_float64(stored, what)


def _numpy_dtype(kind: pa.DataType) -> str:
    letter = "f" if pa.types.is_floating(kind) else "i" if pa.types.is_signed_integer(kind) else "u"
    return f"<{letter}{kind.bit_width // 8}"


def validity(array: pa.Array) -> BoolArray:
    """Return which values of an array are not null."""
    if array.type.id == pa.lib.Type_NA:
        return np.zeros(len(array), dtype=bool)
    if array.null_count == 0:
        return np.ones(len(array), dtype=bool)
    return _bits(array.buffers()[0], array.offset, len(array))


def _bits(buffer: pa.Buffer, offset: int, length: int) -> BoolArray:
    packed = np.frombuffer(buffer, dtype=np.uint8)
    return np.unpackbits(packed, bitorder="little")[offset : offset + length].astype(bool)


def labels(array: pa.Array, what: str) -> IntArray | pa.Array:
    """Return a column of labels as int64, uint64 or string; `what` names it in errors.

    Labels of int64 of which none is missing are no longer an Arrow array.

    Raises
    ------
    DataError
        If its values have no text: lists, structs, and bytes that are not UTF-8.
    """
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType) or any(check(kind) for check in ENCODED):
        return labels(_unwrapped(array), what)
    if kind == pa.int64() and array.null_count == 0:
        return np.asarray(np.from_dlpack(array), dtype=np.int64)
    if pa.types.is_string(kind) or kind in (pa.int64(), pa.uint64()):
        return array
    if pa.types.is_floating(kind):
        return _float_labels(floats(array, what)[0])
    from msecli.arrow.functions import cast

    try:
        if pa.types.is_integer(kind):
            return labels(cast(array, pa.int64()), what)
        return cast(array, pa.string())
    except pa.ArrowException as error:
        raise DataError(
            f"{what}: the column is of type {kind}, whose values cannot be compared as text; "
            "use a column of text, numbers or dates"
        ) from error


VIEW_BYTES = 16


def _texts_of_views(array: pa.Array) -> pa.Array:
    """Return views of texts as texts."""
    from msecli.arrow.functions import cast

    if array.null_count:
        # What lies under a null may be anything, and Arrow would follow it.
        valid = validity(array)
        _, views, *data = array.buffers()
        stored = np.frombuffer(views, np.uint8, VIEW_BYTES * len(array), VIEW_BYTES * array.offset)
        cleaned = np.where(valid[:, np.newaxis], stored.reshape(-1, VIEW_BYTES), np.uint8(0))
        present = pa.py_buffer(np.packbits(valid, bitorder="little"))
        array = pa.Array.from_buffers(array.type, len(array), [present, pa.py_buffer(cleaned), *data])
    return cast(array, pa.string())


def _unwrapped(array: pa.Array) -> pa.Array:
    """Return the values behind an encoding, a view or an extension type."""
    if not isinstance(array.type, pa.BaseExtensionType):
        return _texts_of_views(array) if pa.types.is_string_view(array.type) else _decoded(array)
    return uuids(array.storage) if str(array.type) == UUID else array.storage


def uuids(array: pa.Array) -> pa.Array:
    """Return UUIDs, 16 bytes each, as texts in their usual form."""
    from msecli.arrow.functions import strings

    rows = np.frombuffer(array.buffers()[1], dtype=np.uint8)[16 * array.offset :][: 16 * len(array)].reshape(-1, 16)
    digits = np.stack([rows >> 4, rows & 15], axis=2).reshape(-1, 32)
    written = np.full((len(array), 36), ord("-"), dtype=np.uint8)
    written[:, [place for place in range(36) if place not in HYPHENS]] = HEXADECIMAL[digits]
    ends = 36 * np.arange(len(array) + 1, dtype=np.int32)
    return strings(written.reshape(-1), ends, ~validity(array) if array.null_count else None)


def number_labels(values: NDArray[Any], what: str) -> IntArray | pa.Array:
    """Return a column of an array in native byte order as labels."""
    from msecli.arrow.functions import integers, texts

    if values.dtype.kind == "b":
        return texts(["true" if value else "false" for value in values.tolist()])
    if values.dtype.kind in "iu":
        return integers(values) if values.dtype == np.uint64 else np.ascontiguousarray(values, dtype=np.int64)
    return _float_labels(as_float64(values, what)[0])


def array_labels(values: NDArray[Any], what: str) -> IntArray | pa.Array:
    """Return a column of numbers, texts or dates in native byte order as labels.

    Raises
    ------
    DataError
        If its values have no text.
    """
    if values.dtype.kind in "biuf":
        return number_labels(values, what)
    if values.dtype.kind in "SUO":
        from msecli.arrow.functions import texts

        return texts([_text(value, what) for value in values.tolist()])
    if values.dtype.kind == "M":
        try:
            return labels(pa.array(values), what)
        except pa.ArrowException as error:
            raise DataError(f"{what}: dtype {values.dtype} cannot be compared as text ({error})") from error
    raise DataError(f"{what}: dtype {values.dtype} cannot be compared as text; use a column of text, numbers or dates")


def _text(value: Any, what: str) -> str:
    if isinstance(value, str):
        return value
    if not isinstance(value, bytes):
        raise DataError(f"{what}: a Python {type(value).__name__} cannot be compared as text")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"{what}: {value[:20]!r} is no text in UTF-8") from error


def arrow_labels(labels: IntArray | pa.Array) -> pa.Array:
    """Return labels as an Arrow array."""
    from msecli.arrow.functions import integers

    return integers(labels) if isinstance(labels, np.ndarray) else labels


def words(labels: pa.Array) -> tuple[NDArray[np.uint8], NDArray[np.int32]] | None:
    """Return texts end to end, with their ends, without copying them; None if some are missing or they are no texts."""
    if labels.type != pa.string() or labels.null_count or not len(labels):
        return None
    _, ends, data = labels.buffers()
    found = np.frombuffer(ends, dtype=np.int32, count=len(labels) + 1, offset=4 * labels.offset)
    return np.frombuffer(data or b"", dtype=np.uint8), found


WITHOUT_EXPONENT = 1e16
"""Below this Python writes a whole number with all its digits."""


def _float_labels(values: FloatArray) -> pa.Array:
    """Return float labels as text: the shortest digits, as pandas writes them to text files."""
    from msecli.arrow.functions import texts, whole_texts

    missing = np.isnan(values)
    filled = np.where(missing, 1.0, values)
    whole = (np.floor(filled) == filled) & (np.abs(filled) < WITHOUT_EXPONENT)
    if whole.all() and not np.signbit(filled[filled == 0]).any():
        # Integers that a missing value turned into floats: Arrow writes them, without a Python object for each.
        return whole_texts(filled.astype(np.int64), missing)
    return texts([None if value != value else repr(value) for value in values.tolist()])  # noqa: PLR0124
