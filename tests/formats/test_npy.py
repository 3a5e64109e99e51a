"""NPY arrays.

Expected values are those of the array that was saved; headers are written here by the format's description (NEP 1),
well formed and not.
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from msecli.errors import DataError
from msecli.formats.base import ARRAY, Source
from tests.files import blocks, held, npy_bytes, opened, write

Array = NDArray[Any]

KINDS = ["<f2", "<f4", "<f8", ">f8", ">f2", "=g", "|b1", "|u1", "|i1", "<u2", ">i4", "<u4", "<i8", ">u8"]


def put(folder: Path, content: bytes) -> Path:
    return write(folder / "x.npy", content)


def save(folder: Path, array: Array, version: tuple[int, int] | None = None) -> Path:
    return put(folder, npy_bytes(array, version=version))


def with_header(text: str | bytes, data: bytes = bytes(24), version: tuple[int, int] = (1, 0)) -> bytes:
    header = text.encode("latin-1") if isinstance(text, str) else text
    length = struct.pack("<H" if version == (1, 0) else "<I", len(header))
    return b"\x93NUMPY" + bytes(version) + length + header + data


def described(shape: str = "(3,)", descr: str = "'<f8'", order: str = "False") -> str:
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"


def read(source: Source, jobs: int = 1) -> list[Array]:
    return [block.numbers[ARRAY] for block in blocks(source, jobs=jobs)]


def refusal(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        opened(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert len(message.removeprefix(str(path))) < 400
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("order", "CF")
def test_any_number_type_and_order_is_read_as_float64(tmp_path: Path, kind: str, order: str) -> None:
    array = np.asarray(np.arange(12).reshape(3, 2, 2).astype(kind), order="F" if order == "F" else "C")
    values = np.concatenate(read(opened(save(tmp_path, array))))
    assert values.dtype == np.float64
    assert values.tolist() == array.astype(np.float64).tolist()


@settings(deadline=None)
@given(
    shape=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
    fortran=st.booleans(),
    block=st.integers(1, 20),
    jobs=st.sampled_from([1, 2]),
)
def test_blocks_of_any_size_are_the_array_in_order(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, ...], fortran: bool, block: int, jobs: int
) -> None:
    array = np.arange(float(np.prod(shape))).reshape(shape)
    path = save(tmp_path_factory.mktemp("npy"), np.asfortranarray(array) if fortran else array)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", block)
        found = read(opened(path), jobs=jobs)
    assert np.array_equal(np.concatenate(found), array)
    assert all(len(part) == 1 or part.size <= block for part in found)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_all_versions_of_the_format_are_read(tmp_path: Path, version: tuple[int, int]) -> None:
    assert read(opened(save(tmp_path, np.array([1.5, 2.5]), version)))[0].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("version", [(0, 0), (1, 1), (4, 0), (255, 255)])
def test_other_versions_of_the_format_are_refused(tmp_path: Path, version: tuple[int, int]) -> None:
    refusal(put(tmp_path, with_header(described(), version=version)))


def test_a_header_written_by_python_2_is_read_without_a_warning(tmp_path: Path) -> None:
    path = put(tmp_path, with_header(described("(3L,)"), np.array([1.0, 2.0, 3.0]).tobytes()))
    assert read(opened(path))[0].tolist() == [1.0, 2.0, 3.0]


def test_truth_values_are_zero_and_one(tmp_path: Path) -> None:
    assert read(opened(save(tmp_path, np.array([True, False]))))[0].tolist() == [1.0, 0.0]


def test_longdouble_beyond_float64_is_infinite(tmp_path: Path) -> None:
    array = np.array([np.finfo(np.longdouble).max, -np.finfo(np.longdouble).max, 1.0], dtype=np.longdouble)
    assert read(opened(save(tmp_path, array)))[0].tolist() == [np.inf, -np.inf, 1.0]


@pytest.mark.parametrize(
    ("array", "rounded"),
    [
        (np.array([2**53, -(2**53)], "i8"), 0),
        (np.array([2**53 + 1, 1], "i8"), 1),
        (np.array([2**63 - 1, -(2**63), -(2**53) - 1], ">i8"), 2),
        (np.array([2**64 - 1, 2**63, 2**53 + 1], "u8"), 2),
        (np.array([2**32 - 1], "u4"), 0),
        (np.array([1e300]), 0),
    ],
    ids=repr,
)
def test_integers_that_were_rounded_are_counted(tmp_path: Path, array: Array, rounded: int) -> None:
    found = held(opened(save(tmp_path, array)))
    assert found.array.tolist() == [float(value) for value in array.tolist()]
    assert [warning.count for warning in found.warnings] == [rounded] * bool(rounded)


def test_columns_of_a_matrix_are_its_numbers(tmp_path: Path) -> None:
    source = opened(save(tmp_path, np.arange(6.0).reshape(3, 2)))
    assert [(column.name, column.numeric) for column in source.columns or ()] == [("0", True), ("1", True)]
    numbers = held(source, ["1", "0"]).numbers
    assert {name: values.tolist() for name, values in numbers.items()} == {"1": [1, 3, 5], "0": [0, 2, 4]}


@pytest.mark.parametrize("shape", [(3,), (3, 2, 2)])
def test_other_arrays_have_no_columns(tmp_path: Path, shape: tuple[int, ...]) -> None:
    assert opened(save(tmp_path, np.zeros(shape))).columns is None


SHAPES_REFUSED = [
    "(10000000000000,)", "(4611686018427387904, 4611686018427387904)", "(-3,)", "(-3, -1)", "(3, -0, -1)",
    "(3.0,)", "(3, 1.0)", "(True,)", "('3',)", "3", "'3'", "None", "[3]", "{3}", "(None,)", "((3,),)", "(3j,)",
    f"({'9' * 5000},)", f"({10**100},)", "()", "(0,)", "(3, 0)", "(0, 3)", "(4,)", "(2,)", "(1,)",
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES_REFUSED, ids=lambda shape: shape[:40])
def test_a_shape_that_does_not_fit_the_file_is_refused(tmp_path: Path, shape: str) -> None:
    refusal(put(tmp_path, with_header(described(shape))))


@pytest.mark.parametrize("order", ["False", "True"])
def test_a_huge_shape_is_refused_before_memory_is_asked_for(tmp_path: Path, order: str) -> None:
    assert "truncated" in refusal(put(tmp_path, with_header(described("(1000000000000, 1000)", order=order))))


DESCRIPTIONS = [
    "'<f99'", "'<c16'", "'|O'", "'O'", "'<M8[s]'", "'<m8[s]'", "'<U1'", "'|S8'", "'|V8'", "'<f8,<f8'", "8", "None",
    "[1, 2]", "('<f8', (2,))", "('<f8', -1)", "{}", "''", "'float64x'",
    "'|S0'", "[('a', '|O')]",
]  # fmt: skip


@pytest.mark.parametrize("descr", DESCRIPTIONS)
def test_a_type_that_is_no_number_is_refused(tmp_path: Path, descr: str) -> None:
    refusal(put(tmp_path, with_header(described(descr=descr))))


HEADERS = [
    "", "\n", "3\n", "{}\n", "[]\n", "{1, 2}\n", "{{}: 1}\n", "'x'\n", "None\n", "(\n", ")\n",
    "(" * 9000, "-" * 9000 + "1",
    "{'descr': '<f8', 'shape': (3,)}\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'x': 1}\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,)\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'x': '''\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), 'x': '\n",
    "  {'descr': '<f8',\n 'fortran_order': False, 'shape': (3,\n",
    "{'descr': '<f8', 'fortran_order': 1, 'shape': (3,)}\n",
    "{'descr': '<f8', 'fortran_order': None, 'shape': (3,)}\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,) \0}\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), b'\xff': 1}\n",
    "__import__('os').abort()\n",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (__import__('os').abort(),)}\n",
    "9" * 5000,
    "\xff\xfe\xfd\n",
    "if x:\n\ty\n        z\n",
    "1 if\n  2\n 3\n",
    described() + " " * 20_000,
]  # fmt: skip


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("header", HEADERS, ids=lambda header: repr(header[:60]))
def test_a_damaged_header_is_refused(tmp_path: Path, header: str, version: tuple[int, int]) -> None:
    refusal(put(tmp_path, with_header(header, version=version)))


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_a_header_longer_than_the_file_is_refused(tmp_path: Path, version: tuple[int, int]) -> None:
    length = b"\xff\xff" if version == (1, 0) else b"\xff\xff\xff\xff"
    refusal(put(tmp_path, b"\x93NUMPY" + bytes(version) + length + described().encode() + bytes(24)))


def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path) -> None:
    whole = npy_bytes(np.arange(3.0))
    for size in range(6, len(whole)):
        assert "header" in refusal(put(tmp_path, whole[:size])) or size >= 128


def test_bytes_behind_the_array_are_counted(tmp_path: Path) -> None:
    message = refusal(put(tmp_path, npy_bytes(np.arange(3.0)) + b"xy"))
    assert "2 bytes follow" in message
    assert "(3,)" in message


def test_a_single_number_is_refused(tmp_path: Path) -> None:
    assert "0-dimensional" in refusal(save(tmp_path, np.array(3.0)))


def test_pickled_objects_are_never_loaded(tmp_path: Path) -> None:
    marker = tmp_path / "unpickled"

    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return (marker.touch, ())

    message = refusal(save(tmp_path, np.array([Bomb(), 1.0], dtype=object)))
    assert "never loaded" in message
    assert not marker.exists()


@settings(deadline=None, max_examples=500)
@given(data=st.data())
def test_any_changed_byte_is_refused_or_read_in_full(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(npy_bytes(np.arange(6.0).reshape(3, 2)))
    place = data.draw(st.integers(0, 127))
    content[place] = data.draw(st.integers(0, 255))
    path = put(tmp_path_factory.mktemp("npy"), bytes(content))
    with contextlib.suppress(DataError):
        assert sum(part.size for part in read(opened(path))) == 6


def test_a_file_cut_off_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, np.arange(1000.0))
    source = opened(path)
    with path.open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DataError, match=r"x\.npy: the file was changed while it was read"):
        read(source)


def test_a_file_written_to_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, np.arange(1000.0))
    source = opened(path)
    save(tmp_path, np.arange(2000.0))
    with pytest.raises(DataError, match="changed while it was read"):
        read(source)


def test_bfloat16_is_read_exactly(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    # Every bfloat16 there is: the 65536 codes. `ml_dtypes` is the reference; JAX and TensorFlow save this way.
    array = np.arange(1 << 16, dtype=np.uint16).view(ml_dtypes.bfloat16).reshape(-1, 4)
    with np.errstate(invalid="ignore"):  # NaN among them
        expected = array.astype(np.float64)
    for saved in (array, np.asfortranarray(array)):
        assert np.array_equal(held(opened(save(tmp_path, saved))).array, expected, equal_nan=True)


def test_bfloat16_needs_no_library(tmp_path: Path) -> None:
    # 1 + 2**-7, the next after 1; -2; the largest finite one, (2 - 2**-7) * 2**127
    content = with_header(described(descr="'<V2'"), bytes.fromhex("813f 00c0 7f7f".replace(" ", "")))
    expected = [1.0078125, -2.0, (2 - 2**-7) * 2.0**127]
    assert held(opened(put(tmp_path, content))).array.tolist() == expected
    assert "truncated: shape (3,) of bfloat16 needs" in refusal(put(tmp_path, content[:-1]))


def test_the_one_float_of_8_bits_that_numpy_tells_from_others_is_read(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes is not installed")
    array = np.arange(256, dtype=np.uint8).view(ml_dtypes.float8_e5m2)
    with np.errstate(invalid="ignore"):
        expected = array.astype(np.float64)
    assert np.array_equal(held(opened(save(tmp_path, array))).array, expected, equal_nan=True)


@pytest.mark.parametrize(
    ("descr", "meaning"),
    [("'|V2'", "it may be bfloat16"), ("'|V1'", "one of several kinds"), ("'<V1'", "one of several kinds")],
)
def test_bytes_without_a_type_are_not_guessed_at(tmp_path: Path, descr: str, meaning: str) -> None:
    size = 3 * int(descr[3])
    message = refusal(put(tmp_path, with_header(described(descr=descr), bytes(size))))
    assert meaning in message
    assert "convert it to float32" in message


RECORDS = np.zeros(
    5,
    dtype=[
        ("id", "<i8"), ("out", [("pred", ">f4"), ("n", "u1")]), ("y", "f8"), ("name", "U3"), ("code", "S2"),
        ("day", "M8[D]"), ("emb", "f4", (2,)), ("z", "c8"),
    ],
)  # fmt: skip
RECORDS["id"] = 2**60 + np.arange(5)
RECORDS["out"]["pred"] = [0.5, 1.5, np.nan, -2, 3]
RECORDS["y"] = [1, 2, 3, 4, 5]
RECORDS["name"] = ["a", "é", "", "a,b", "007"]
RECORDS["code"] = [b"x", b"y", b"", b"x", b"y"]
RECORDS["day"] = np.arange(5)
RECORDS["emb"] = np.arange(10).reshape(5, 2)


def test_the_fields_of_records_are_columns(tmp_path: Path) -> None:
    source = opened(save(tmp_path, RECORDS))
    assert (source.item, source.rows) == (None, 5)
    assert [(column.name, column.kind, column.numeric) for column in source.columns or ()] == [
        ("id", "int64", True), ("out.pred", ">f4", True), ("out.n", "uint8", True), ("y", "float64", True),
        ("name", "<U3", False), ("code", "|S2", False), ("day", "datetime64[D]", False), ("emb", "float32[2]", False),
        ("z", "complex64", False),
    ]  # fmt: skip
    found = held(source, ["out.pred", "y"], ["id", "name", "code", "day"])
    assert found.numbers["out.pred"].tolist()[:2] == [0.5, 1.5]
    assert np.isnan(found.numbers["out.pred"][2])
    assert found.numbers["y"].tolist() == [1, 2, 3, 4, 5]
    assert found.labels["id"] == [2**60 + n for n in range(5)]
    assert found.labels["name"] == ["a", "é", "", "a,b", "007"]
    assert found.labels["code"] == ["x", "y", "", "x", "y"]
    assert found.labels["day"] == [f"1970-01-0{n}" for n in range(1, 6)]


@pytest.mark.parametrize("step", [1, 2, 3, 100])
def test_records_are_read_in_parts(tmp_path: Path, step: int) -> None:
    path = save(tmp_path, RECORDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.formats.stored.PART_ELEMENTS", step * RECORDS.itemsize // 8)
        source = opened(path)
        assert held(source, ["y"], jobs=2).numbers["y"].tolist() == [1, 2, 3, 4, 5]
        assert held(opened(f"{path}::emb")).array.tolist() == RECORDS["emb"].tolist()


def test_one_field_is_an_array(tmp_path: Path) -> None:
    path = save(tmp_path, RECORDS)
    assert held(opened(f"{path}::y")).array.tolist() == [1, 2, 3, 4, 5]
    assert held(opened(f"{path}::out.n")).array.tolist() == [0] * 5
    embedding = opened(f"{path}::emb")
    assert (embedding.item, embedding.path) == ((2,), f"{path}::emb")
    assert held(embedding).array.tolist() == RECORDS["emb"].tolist()
    # A field of records is a table.
    assert [column.name for column in opened(f"{path}::out").columns or ()] == ["pred", "n"]


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("emb2", ("no field 'emb2'", "'out.pred'", "did you mean 'emb'?")),
        ("name", ("text is not a number",)),
        ("day", ("dates are not numbers",)),
        ("z", ("complex",)),
        ("out.prd", ("did you mean 'out.pred'?",)),
    ],
)
def test_a_field_that_cannot_be_scored_is_refused(tmp_path: Path, field: str, words: tuple[str, ...]) -> None:
    path = save(tmp_path, RECORDS)
    with pytest.raises(DataError) as caught:
        opened(f"{path}::{field}")
    assert all(word in str(caught.value) for word in (f"{path}::{field}: ", *words))


def test_a_field_of_an_array_without_fields_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path, np.arange(3.0))
    with pytest.raises(DataError, match="is not structured, so that it has no field 'a'; leave out ::a"):
        opened(f"{path}::a")


def test_a_field_of_arrays_is_a_column_of_lists_and_no_label(tmp_path: Path) -> None:
    found = opened(save(tmp_path, RECORDS))
    assert [column.name for column in found.columns or () if column.lists] == ["emb"]
    assert held(found, ["emb"]).numbers["emb"].tolist() == np.arange(10.0).reshape(5, 2).tolist()
    with pytest.raises(DataError, match=r"column 'emb': every row holds an array of shape \(2,\), which is no label"):
        held(found, [], ["emb"])


def test_records_in_more_than_one_dimension_are_no_table(tmp_path: Path) -> None:
    assert "are no table" in refusal(save(tmp_path, np.zeros((2, 2), dtype=[("a", "f8")])))


def test_rounded_integers_are_counted_in_the_columns_that_are_read(tmp_path: Path) -> None:
    records = np.array([(2**53 + 1, 1.0), (3, 2.0)], dtype=[("i", "i8"), ("x", "f8")])
    path = save(tmp_path, records)
    assert [warning.count for warning in held(opened(path), ["i"]).warnings] == [1]
    assert held(opened(path), ["x"]).warnings == []
