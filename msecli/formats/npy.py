"""NumPy's .npy files: a header that describes an array, and its numbers."""

from __future__ import annotations

import io
import math
import re
import sys
import textwrap
import tokenize
import warnings
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from msecli.core.check import MOST_DIMENSIONS
from msecli.errors import DataError
from msecli.formats.stored import FileArray, Layout, StoredSource, check_numbers, field_steps
from msecli.places.base import InputFile
from msecli.text.reading import Reading

MAGIC = b"\x93NUMPY"
HEADER = rb"\x93NUMPY.{4,6}\{"
"""How a file begins, up to the first key of the header: the version, the header's length in 2 or 4 bytes."""

HEADER_BYTES = 65536
"""Far more than the header of any array of numbers; the format's own limit for safe parsing is 10 000."""

VERSIONS = frozenset({(1, 0), (2, 0), (3, 0)})

SHOWN_CHARACTERS = 120
"""The length to which messages shorten NumPy's, which quote the whole header."""

UNREADABLE = (
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,
    RecursionError,
    OverflowError,
)
"""What NumPy's parser raises on damaged headers."""


NARROW_KINDS = {b"'<V2'": (b"'<u2'", "bfloat16"), b"'<f1'": (b"'<u1'", "float8_e5m2")}
"""How NumPy names, as `ml_dtypes` makes it, the types of no other array: integers of their size, and their names.

Bytes without a type are '|V2', without a byte order. The other floats of 8 bits, and the integers of 4, are all '<V1',
which does not tell one from another.
"""
DESCRIPTION = rb"'descr': ('<V2'|'<f1')"

AMBIGUOUS = {
    1: "it may be one of several kinds of float of 8 bits, or an integer",
    2: "it may be bfloat16, which numpy.save writes as '<V2' if it is given an array of that type",
}
"""What bytes without a type may be, by their number."""


def open_npy(file: InputFile, reading: Reading, inner: str = "") -> StoredSource:
    """Return the array of a file, or one field of its structured records."""
    return source_of("npy", file, inner)


def source_of(format: str, file: InputFile, field: str = "") -> StoredSource:
    """Return the array of a file, which may lie in a file of another format."""
    layout = read_layout(file)
    steps = field_steps(file.path, layout.dtype, field) if field else ()
    check_numbers(file.path, layout, steps)
    return StoredSource(format, file, FileArray(file, layout, steps))


def read_layout(file: InputFile) -> Layout:
    """Read the header, and check the file's size against the shape before anything is allocated.

    Raises
    ------
    DataError
        If the header is damaged, describes pickled objects, or does not fit the file.
    """
    return parse_layout(file.path, file.read(HEADER_BYTES, 0), file.size)


def parse_layout(path: str, start: bytes, size: int) -> Layout:
    """Return the layout of an array from the first bytes of its file, which has `size` bytes; see `read_layout`."""
    narrow = re.match(HEADER + DESCRIPTION, start, re.DOTALL)
    kind = ""
    if narrow:
        stored, kind = NARROW_KINDS[narrow[1]]
        start = start[: narrow.start(1)] + stored + start[narrow.end(1) :]
    stream = io.BytesIO(start)
    try:
        version = npy_format.read_magic(stream)
        _check_version(path, version)
        layout = _parse_header(stream, version)._replace(narrow=kind)
    except UNREADABLE as error:
        # The first line only: NumPy goes on to quote the whole header and to advise options that msecli lacks.
        reason = textwrap.shorten(str(error).partition("\n")[0], SHOWN_CHARACTERS) or type(error).__name__
        raise DataError(f"{path}: the NPY header cannot be read ({reason}); is it damaged?") from error
    _check_shape(path, layout.shape)
    _check_type(path, layout.dtype)
    _check_size(path, size, layout)
    return layout


def _check_version(path: str, version: tuple[int, int]) -> None:
    if version not in VERSIONS:
        found = ".".join(map(str, version))
        raise DataError(f"{path}: NPY format version {found} is not known; save the array again with numpy.save")


def _parse_header(stream: io.BytesIO, version: tuple[int, int]) -> Layout:
    read_header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    with warnings.catch_warnings():
        # NumPy warns that headers of Python 2 are slow to parse, and Python of invalid escapes in damaged ones.
        warnings.simplefilter("ignore")
        shape, fortran_order, dtype = read_header(stream)
    return Layout(stream.tell(), shape, fortran_order, dtype)


def _check_shape(path: str, shape: tuple[int, ...]) -> None:
    if len(shape) > MOST_DIMENSIONS:
        raise DataError(f"{path}: the NPY header gives a shape of {len(shape)} dimensions; is it damaged?")
    if any(isinstance(length, bool) or not 0 <= length <= sys.maxsize for length in shape):
        raise DataError(f"{path}: the NPY header gives an impossible shape {_shown(shape)}; is it damaged?")


def _check_type(path: str, dtype: np.dtype[Any]) -> None:
    if dtype.hasobject:
        raise DataError(
            f"{path}: the array holds pickled Python objects; pickled data is never loaded: "
            "convert it to a numeric dtype and save it again"
        )
    if dtype.kind == "V" and not dtype.names and dtype.itemsize in AMBIGUOUS:
        raise DataError(
            f"{path}: dtype {dtype} is bytes without a type: {AMBIGUOUS[dtype.itemsize]}; "
            "convert it to float32 and save it again"
        )


def _check_size(path: str, size: int, layout: Layout) -> None:
    shape = _shown(layout.shape)
    expected = layout.offset + math.prod(layout.shape) * layout.dtype.itemsize
    if size < expected:
        needed = expected if expected <= sys.maxsize else f"more than {sys.maxsize}"
        raise DataError(
            f"{path}: truncated: shape {shape} of {layout.kind} needs {needed} bytes, "
            f"the file has {size}; is it an incomplete copy?"
        )
    if size > expected:
        raise DataError(
            f"{path}: {size - expected} bytes follow the array of shape {shape}; is it several arrays in one file?"
        )


def _shown(shape: tuple[int, ...]) -> str:
    # A header may hold an integer of thousands of digits in hexadecimal, which Python refuses to print.
    if any(abs(length) > sys.maxsize for length in shape):
        return f"with a length beyond {sys.maxsize}"
    return textwrap.shorten(str(shape), SHOWN_CHARACTERS)
