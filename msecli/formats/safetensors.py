"""Files of safetensors: a header in JSON, and the numbers of tensors.

The format's own library maps a file of this machine into memory, so that it reads no stream and no file elsewhere, and
needs `ml_dtypes` for bfloat16. A tensor is so many bytes at an offset, which are read here as those of NPY files are.
The rules of the header are those of https://huggingface.co/docs/safetensors, which the library holds to as well.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from msecli.core.check import MOST_DIMENSIONS
from msecli.errors import DataError
from msecli.formats.named import chosen
from msecli.formats.narrow import NARROW
from msecli.formats.stored import FileArray, Layout, StoredSource, check_numbers
from msecli.places.base import InputFile
from msecli.text.reading import Reading
from msecli.tuples import NamedTuple

LENGTH_BYTES = 8
MOST_HEADER_BYTES = 100_000_000
"""The library's own limit."""

METADATA = "__metadata__"
"""The key of what users note; every other one is a tensor's name."""

KINDS = {
    "BOOL": "|b1", "U8": "|u1", "I8": "|i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4", "U64": "<u8",
    "I64": "<i8", "F16": "<f2", "F32": "<f4", "F64": "<f8", "C64": "<c8",
}  # fmt: skip
NARROW_KINDS = {
    "BF16": "bfloat16",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F8_E4M3FNUZ": "float8_e4m3fnuz",
    "F8_E5M2FNUZ": "float8_e5m2fnuz",
}


class Tensor(NamedTuple):
    """A tensor as the header describes it; `begin` and `end` are counted from the end of the header."""

    kind: str
    shape: tuple[int, ...]
    begin: int
    end: int


def open_safetensors(file: InputFile, reading: Reading, inner: str = "") -> StoredSource:
    """Return a tensor of a file: that of the name `inner`, or the only one.

    Raises
    ------
    DataError
        If the header is damaged or does not fit the file, or `inner` does not say which tensor of several.
    """
    tensors, data = _header(file)
    _check_places(file.path, tensors, file.size - data)
    known = {name: f"{tensor.shape} {tensor.kind}" for name, tensor in tensors.items()}
    tensor = tensors[chosen(file.path, inner, "tensor", known)]
    layout = _layout(file.path, tensor, data)
    if layout.dtype.itemsize * math.prod(tensor.shape) != tensor.end - tensor.begin:
        raise DataError(
            f"{file.path}: shape {tensor.shape} of {tensor.kind} does not fit into the "
            f"{tensor.end - tensor.begin} bytes of the tensor; is the file damaged?"
        )
    check_numbers(file.path, layout)
    return StoredSource("safetensors", file, FileArray(file, layout))


def names(file: InputFile) -> Sequence[str]:
    """Return the names of the tensors."""
    return [*_header(file)[0]]


def _header(file: InputFile) -> tuple[dict[str, Tensor], int]:
    """Return the tensors by name, and where the data begin."""
    length = int.from_bytes(file.read(LENGTH_BYTES, 0), "little")
    data = LENGTH_BYTES + length
    if length > MOST_HEADER_BYTES or data > file.size:
        raise DataError(
            f"{file.path}: truncated: the header of the safetensors file needs {length} bytes, "
            f"the file has {file.size}; is it an incomplete copy?"
        )
    return _tensors(file.path, file.read(length, LENGTH_BYTES)), data


def _tensors(path: str, header: bytes) -> dict[str, Tensor]:
    def once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise DataError(f"{path}: the header of the safetensors file has {name!r} twice; write the file again")
            found[name] = value
        return found

    try:
        found = json.loads(header, object_pairs_hook=once)
        return {name: _tensor(**entry) for name, entry in found.items() if name != METADATA}
    except DataError:
        raise
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        reason = str(error).replace("_tensor()", "a tensor")
        raise DataError(
            f"{path}: the header of the safetensors file cannot be read ({reason}); is it damaged?"
        ) from error


def _tensor(dtype: str, shape: list[int], data_offsets: list[int]) -> Tensor:
    begin, end = data_offsets
    if not isinstance(dtype, str) or any(type(each) is not int or each < 0 for each in (*shape, begin, end)):
        raise ValueError("a type, a shape or an offset is impossible")
    if len(shape) > MOST_DIMENSIONS or any(each > sys.maxsize for each in (*shape, end)):
        raise ValueError("a shape or an offset is too large")
    return Tensor(dtype, tuple(shape), begin, end)


def _check_places(path: str, tensors: Mapping[str, Tensor], size: int) -> None:
    """Check that the tensors fill the rest of the file, each behind another: the format allows no gaps, no overlaps."""
    if not tensors:
        raise DataError(f"{path}: the file holds no tensor")
    end = 0
    for name, tensor in sorted(tensors.items(), key=lambda item: item[1][2:]):
        if tensor.begin != end or tensor.end < tensor.begin:
            raise DataError(
                f"{path}: the tensor {name!r} lies at the bytes {tensor.begin} to {tensor.end}, "
                f"the one before it ends at {end}; is the file damaged?"
            )
        end = tensor.end
    if end > size:
        raise DataError(f"{path}: truncated: the tensors need {end} bytes, {size} are there; is it an incomplete copy?")
    if end < size:
        raise DataError(f"{path}: {size - end} bytes follow the tensors; is the file damaged?")


def _layout(path: str, tensor: Tensor, data: int) -> Layout:
    narrow = NARROW_KINDS.get(tensor.kind, "")
    stored = NARROW[narrow][0] if narrow else KINDS.get(tensor.kind)
    if stored is None:
        raise DataError(f"{path}: tensors of {tensor.kind} are not read; convert it to float32 and save it again")
    return Layout(data + tensor.begin, tensor.shape, False, np.dtype(stored), narrow)  # noqa: FBT003 - as NumPy has it
