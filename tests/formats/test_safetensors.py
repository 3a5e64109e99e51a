"""Files of safetensors. The format's own library writes them, and `ml_dtypes` says what its floats are."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import msecli
from msecli.errors import DataError
from msecli.formats.base import Selection
from tests.files import held, opened

safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")

PREDICTION, TARGET = np.array([1.0, 2.5, -3.0]), np.array([2.0, 2.5, -1.0])
# The mean of 1, 0 and 4.
LOSS = 5 / 3


def save(folder: Path, **tensors: NDArray[Any]) -> Path:
    path = folder / "x.safetensors"
    safetensors.save_file(tensors, path, metadata={"step": "3"})
    return path


def built(header: Any, data: bytes = bytes(24), length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def put(folder: Path, content: bytes) -> Path:
    path = folder / "x.safetensors"
    path.write_bytes(content)
    return path


def refusal(path: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        held(opened(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_a_tensor_is_chosen_by_its_name(tmp_path: Path) -> None:
    path = save(tmp_path, **{"pred": PREDICTION, "model.target": TARGET, "other": np.zeros((2, 2))})
    assert msecli.score(f"{path}::pred", f"{path}::model.target").loss == LOSS
    message = refusal(path)
    assert "'pred' (3,) F64" in message
    assert "'other' (2, 2) F64" in message
    assert f"; name one of them: {path}::" in message
    assert "did you mean 'pred'?" in refusal(f"{path}::prd")


def test_the_only_tensor_needs_no_name(tmp_path: Path) -> None:
    assert msecli.score(save(tmp_path, x=PREDICTION), TARGET).loss == LOSS


KINDS = ["bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz"]
DTYPES = dict(zip(KINDS, ["BF16", "F8_E4M3", "F8_E5M2", "F8_E4M3FNUZ", "F8_E5M2FNUZ"], strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_floats_that_numpy_does_not_have_are_read_exactly(tmp_path: Path, kind: str) -> None:
    dtype = np.dtype(getattr(ml_dtypes, kind))
    # All the codes there are.
    codes = np.arange(1 << (8 * dtype.itemsize), dtype=f"u{dtype.itemsize}")
    entry = {"dtype": DTYPES[kind], "shape": [len(codes)], "data_offsets": [0, codes.nbytes]}
    found = held(opened(put(tmp_path, built({"x": entry}, codes.tobytes())))).array
    with np.errstate(invalid="ignore"):  # NaN among them
        expected = codes.view(dtype).astype(np.float64)
    assert np.array_equal(found, expected, equal_nan=True)
    numbers = ~np.isnan(expected)
    assert np.array_equal(np.signbit(found[numbers]), np.signbit(expected[numbers]))


def test_bfloat16_is_read_as_the_library_saves_it(tmp_path: Path) -> None:
    array = np.sqrt(np.arange(12.0)).reshape(3, 4).astype(ml_dtypes.bfloat16)
    assert held(opened(save(tmp_path, x=array))).array.tolist() == array.astype(np.float64).tolist()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"])
@pytest.mark.parametrize("shape", [(6,), (3, 2), (1, 2, 3)])
def test_numbers_of_any_type_and_shape_are_read(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    array = np.arange(6).astype(kind).reshape(shape)
    found = opened(f"{save(tmp_path, a=np.zeros(5), x=array)}::x")
    assert (found.rows, found.item) == (shape[0], shape[1:])
    assert np.array_equal(held(found).array, array.astype(np.float64))


def test_a_tensor_is_read_in_parts(tmp_path: Path) -> None:
    array = np.arange(60.0).reshape(20, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", 12)
        source = opened(save(tmp_path, x=array))
        assert len(source.parts(Selection())) == 5
        assert np.array_equal(held(source, jobs=2).array, array)


def test_rounded_integers_are_counted(tmp_path: Path) -> None:
    found = held(opened(save(tmp_path, x=np.array([2**53 + 1, 1]))))
    assert [(warning.code, warning.count) for warning in found.warnings] == [("rounded_integers", 1)]


@pytest.mark.parametrize(
    ("array", "words"),
    [(np.array(1.0), "0-dimensional"), (np.empty((0, 3)), "no elements")],
)
def test_what_cannot_be_scored_is_refused(tmp_path: Path, array: NDArray[Any], words: str) -> None:
    assert words in refusal(save(tmp_path, x=array))


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    # Only later versions of the library write them.
    assert "complex numbers" in refusal(put(tmp_path, built({"x": entry("C64")})))


def entry(dtype: Any = "F64", shape: Any = (3,), offsets: Any = (0, 24)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


WRONG: dict[str, bytes] = {
    "no tensor": built({"__metadata__": {}}, b""),
    "an overlap": built({"a": entry(), "b": entry(offsets=(8, 32))}, bytes(32)),
    "a gap": built({"a": entry(), "b": entry(offsets=(32, 56))}, bytes(56)),
    "a gap before": built({"a": entry(offsets=(8, 32))}, bytes(32)),
    "a gap behind": built({"a": entry()}, bytes(25)),
    "out of bounds": built({"a": entry()}, bytes(23)),
    "backwards": built({"a": entry(offsets=(24, 0))}),
    "negative": built({"a": entry(offsets=(-24, 0))}),
    "a negative shape": built({"a": entry(shape=(-3,))}),
    "a shape of fractions": built({"a": entry(shape=(3.0,))}),
    "a shape of truth": built({"a": entry(shape=(True, 3))}),
    "a shape that does not fit": built({"a": entry(shape=(4,))}),
    "a huge shape": built({"a": entry(shape=(10**30,))}),
    "a shape that overflows": built({"a": entry(shape=(2**62, 2**62))}),
    "huge offsets": built({"a": entry(offsets=(0, 10**30))}),
    "too many dimensions": built({"a": entry(shape=(1,) * 99)}),
    "no shape": built({"a": {"dtype": "F64", "data_offsets": [0, 24]}}),
    "a key too many": built({"a": {**entry(), "x": 1}}),
    "three offsets": built({"a": entry(offsets=(0, 8, 24))}),
    "a list": built({"a": [1]}),
    "a type without a name": built({"a": entry(dtype=3)}),
    "no numbers": built({"a": {"dtype": "F64", "shape": "abc", "data_offsets": "ab"}}),
    "no JSON": built(b'{"a": '),
    "no UTF-8": built(b'{"\xff": 1}'),
    "deep JSON": built(b'{"a":' + b"[" * 100_000),
    "a name twice": built(b'{"a": 1, "a": 2}'),
    "a long header": built({"a": entry()}, length=10**6),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_header_that_does_not_fit_is_refused(tmp_path: Path, wrong: str) -> None:
    refusal(put(tmp_path, WRONG[wrong]))


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F8_E8M0", "X"])
def test_a_type_that_is_not_read_is_named(tmp_path: Path, dtype: str) -> None:
    message = refusal(put(tmp_path, built({"a": entry(dtype=dtype)})))
    assert f"tensors of {dtype} are not read; convert it to float32 and save it again" in message


def test_a_file_of_no_header_is_refused(tmp_path: Path) -> None:
    for content in (b"x", b"{}", bytes(8), bytes(40), b"p\n1\n2\n" * 9):
        path = put(tmp_path, content)
        with pytest.raises(DataError):
            opened(path)


def test_a_changed_byte_never_changes_the_shape_alone(tmp_path: Path) -> None:
    whole = built({"a": entry(shape=(2, 3), offsets=(0, 48))}, np.arange(6.0).tobytes())
    header = whole.index(b"}}") + 2
    read = 0
    for place in range(header):
        for change in (0x01, 0x04, 0x80):
            content = bytearray(whole)
            content[place] ^= change
            path = put(tmp_path, bytes(content))
            try:
                assert math.prod((opened(path).rows or 0, *(opened(path).item or ()))) == 6
                read += 1
            except DataError:
                pass
    assert 0 < read < header
