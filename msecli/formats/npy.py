"""NumPy's .npy files, read by row ranges."""

from __future__ import annotations

import io
import math
import sys
import textwrap
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from msecli.core.check import as_float64, check_dtype
from msecli.core.exact import FloatArray
from msecli.errors import DataError, Warned
from msecli.formats.base import ARRAY, ROUNDED, Block, Column, LabelArray, Selection
from msecli.places.base import InputFile
from msecli.text.reading import Reading

MAGIC = b"\x93NUMPY"
PART_ELEMENTS = 524288
"""Elements read at once: 4 MiB of float64, so that threads seldom wait for each other."""

HEADER_BYTES = 65536
"""Far more than the header of any array of numbers; the format's own limit for safe parsing is 10 000."""

VERSIONS = frozenset({(1, 0), (2, 0), (3, 0)})
MOST_DIMENSIONS = 64
"""NumPy's own limit."""

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


class Layout(NamedTuple):
    """Where the numbers of an array lie in its file."""

    offset: int
    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]

    @property
    def rows(self) -> int:
        """The length of the first dimension."""
        return self.shape[0]

    @property
    def item_size(self) -> int:
        """Numbers in a row."""
        return math.prod(self.shape[1:])


class NpySource:
    """An array; its rows are the first dimension. See `msecli.formats.base.Source`."""

    format = "npy"
    divisible = True

    def __init__(self, file: InputFile, reading: Reading) -> None:
        self.path = file.path
        self._file = file
        self._layout = read_layout(file)
        shape = self._layout.shape
        if not shape:
            raise DataError(f"{file.path}: the array is a single number (0-dimensional); a loss needs at least one row")
        self.item: tuple[int, ...] | None = shape[1:]
        self.rows: int | None = shape[0]
        self.work = shape[0]
        self.warnings: Sequence[Warned] = ()
        self.columns = _columns(shape, self._layout.dtype)

    def parts(self, selection: Selection, rows: range | None = None) -> Sequence[NpyPart]:
        """Return parts of at most `PART_ELEMENTS` elements."""
        rows = range(self._layout.rows) if rows is None else rows
        starts = rows[:: self._step]
        return [NpyPart(self._file, self._layout, selection, i, min(i + self._step, rows.stop)) for i in starts]

    def cuts(self) -> Sequence[int]:
        """Return the first row of each part, followed by the number of rows."""
        return [*range(0, self._layout.rows, self._step), self._layout.rows]

    @property
    def _step(self) -> int:
        """Rows in a part."""
        return max(1, PART_ELEMENTS // max(1, self._layout.item_size))

    def line(self, row: int, begin: int | None = None) -> None:
        """Return None: there are no lines."""

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        self._file.verify()


def read_layout(file: InputFile) -> Layout:
    """Read the header, and check the file's size against the shape before anything is allocated.

    Raises
    ------
    DataError
        If the header is damaged, does not describe numbers, or does not fit the file.
    """
    stream = io.BytesIO(file.read(HEADER_BYTES, 0))
    try:
        version = npy_format.read_magic(stream)
        _check_version(file.path, version)
        layout = _parse_header(stream, version)
    except UNREADABLE as error:
        # The first line only: NumPy goes on to quote the whole header and to advise options that msecli lacks.
        reason = textwrap.shorten(str(error).partition("\n")[0], SHOWN_CHARACTERS) or type(error).__name__
        raise DataError(f"{file.path}: the NPY header cannot be read ({reason}); is it damaged?") from error
    _check_shape(file.path, layout.shape)
    _check_type(file.path, layout.dtype)
    _check_size(file, layout)
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
    check_dtype(dtype, path)


def _check_size(file: InputFile, layout: Layout) -> None:
    shape = _shown(layout.shape)
    expected = layout.offset + math.prod(layout.shape) * layout.dtype.itemsize
    if file.size < expected:
        needed = expected if expected <= sys.maxsize else f"more than {sys.maxsize}"
        raise DataError(
            f"{file.path}: truncated: shape {shape} of {layout.dtype} needs {needed} bytes, "
            f"the file has {file.size}; is it an incomplete copy?"
        )
    if file.size > expected:
        raise DataError(
            f"{file.path}: {file.size - expected} bytes follow the array of shape {shape}; "
            "is it several arrays in one file?"
        )
    if math.prod(layout.shape) == 0:
        raise DataError(f"{file.path}: the array of shape {shape} has no elements; a loss needs at least one")


def _shown(shape: tuple[int, ...]) -> str:
    # A header may hold an integer of thousands of digits in hexadecimal, which Python refuses to print.
    if any(abs(length) > sys.maxsize for length in shape):
        return f"with a length beyond {sys.maxsize}"
    return textwrap.shorten(str(shape), SHOWN_CHARACTERS)


def _columns(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[Column, ...] | None:
    """Return the columns of a 2-D array, named by their numbers from 0."""
    if len(shape) != 2:
        return None
    return tuple(Column(str(number), str(dtype), numeric=True) for number in range(shape[1]))


class NpyPart(NamedTuple):
    """Rows of an array, from `start` up to, not including, `stop`. See `msecli.formats.base.Part`."""

    file: InputFile
    layout: Layout
    selection: Selection
    start: int
    stop: int

    def read(self) -> Iterator[Block]:
        """Yield the one block."""
        stored = _read_rows(self.file, self.layout, self.start, self.stop)
        values, rounded = as_float64(stored, self.file.path)
        warnings = (Warned("rounded_integers", self.file.path, ROUNDED, rounded),) if rounded else ()
        rows = self.stop - self.start
        yield Block(
            rows, _numbers(values, self.selection), _labels(stored, self.selection, self.file.path), warnings, work=rows
        )


def _numbers(values: FloatArray, selection: Selection) -> dict[str | None, FloatArray]:
    if not selection.numbers:
        return {ARRAY: values}
    return {name: values[:, int(name)] for name in selection.numbers}


def _labels(stored: NDArray[Any], selection: Selection, path: str) -> dict[str, LabelArray]:
    """Return columns of a 2-D array as labels, from the stored values rather than from float64."""
    if not selection.labels:
        return {}
    from msecli.arrow.columns import number_labels

    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return {name: number_labels(native[:, int(name)], path) for name in selection.labels}


def _read_rows(file: InputFile, layout: Layout, start: int, stop: int) -> np.ndarray[Any, np.dtype[Any]]:
    rows, size = stop - start, layout.dtype.itemsize
    if not layout.fortran_order or layout.item_size == 1:
        values = np.empty((rows, *layout.shape[1:]), layout.dtype)
        file.fill(values.reshape(-1).view(np.uint8).data, layout.offset + start * layout.item_size * size)
        return values
    # In Fortran order the row index varies fastest: there is one run of rows for each element of a row.
    runs = np.empty((layout.item_size, rows), layout.dtype)
    begins = range(
        layout.offset + start * size, layout.offset + layout.item_size * layout.rows * size, layout.rows * size
    )
    file.expect((begin, begin + rows * size) for begin in begins)
    for number, run in enumerate(runs):
        file.fill(run.view(np.uint8).data, layout.offset + (number * layout.rows + start) * size)
    return runs.reshape(*layout.shape[:0:-1], rows).T
