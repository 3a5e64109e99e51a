"""Arrow files and streams: types, dictionaries, batches, compression, and damage.

Expected values are those that went into the files; losses are hand arithmetic.
"""

from __future__ import annotations

import decimal
import io
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import ipc

import msecli
from msecli.errors import DataError, MsecliError
from msecli.formats import open_source
from msecli.text.reading import AS_FILES_SAY, Reading
from tests.files import arrow_bytes, held, opened, parquet_bytes
from tests.fuzz.sizes import reading_in

FORMATS = {"arrow": ".arrow", "arrows": ".arrows"}
formats = pytest.mark.parametrize("format", FORMATS)
V = np.sqrt(np.arange(1.0, 21.0))


def put(folder: Path, format: str, table: Any, name: str = "x", **options: Any) -> Path:
    """Write a file, and return its path."""
    path = folder / f"{name}{FORMATS[format]}"
    content = table if isinstance(table, bytes) else arrow_bytes(table, stream=format == "arrows", **options)
    path.write_bytes(content)
    return path


@formats
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize("jobs", [1, 3])
def test_compressed_buffers_are_read(tmp_path: Path, format: str, compression: str | None, jobs: int) -> None:
    values = np.round(np.arange(5000.0) % 7)
    table = pa.table({"p": values, "k": pa.array(["a", "b"] * 2500), "t": values + 1})
    path = put(tmp_path, format, table, rows=700, compression=compression)
    assert msecli.score(path, pred="p", target="t", jobs=jobs).loss == 1.0
    found = held(opened(path), ["p"], ["k"], jobs)
    assert found.numbers["p"].tolist() == values.tolist()
    assert found.labels["k"] == ["a", "b"] * 2500


NUMBERS: list[tuple[Any, list[Any]]] = [
    (pa.decimal32(5, 2), [decimal.Decimal("0.10"), None]),
    (pa.decimal64(15, 3), [decimal.Decimal("-12345678901.234"), None]),
    (pa.decimal128(38, 10), [decimal.Decimal("0.1234567891"), decimal.Decimal("-1E+20")]),
    (pa.decimal256(60, 30), [decimal.Decimal("0.1"), None]),
    (pa.float16(), [0.5, None, -65504.0]),
    (pa.bool_(), [True, None, False]),
    (pa.int64(), [2**53, None, -5]),
    (pa.uint64(), [2**53, 0]),
    (pa.null(), [None, None]),
    (pa.dictionary(pa.uint8(), pa.float32()), [0.5, None, 0.5]),
    (pa.run_end_encoded(pa.int32(), pa.float64()), [1.5, 1.5, 1.5, 2.0]),
]


@pytest.mark.parametrize("source", ["parquet", "arrow", "arrows", "Table"])
@pytest.mark.parametrize(("kind", "values"), NUMBERS, ids=lambda value: str(value) * isinstance(value, pa.DataType))
def test_numbers_of_every_arrow_type_are_their_float64(
    tmp_path: Path, source: str, kind: Any, values: list[Any]
) -> None:
    table = pa.table({"v": pa.array(values, kind), "w": [1.0] * len(values)})
    if source == "parquet" and pa.types.is_run_end_encoded(kind):
        return  # which Parquet cannot hold
    path = tmp_path / "x"
    if source != "Table":
        path.write_bytes(parquet_bytes(table) if source == "parquet" else arrow_bytes(table, stream=source == "arrows"))
    found = held(open_source(table if source == "Table" else str(path), AS_FILES_SAY, "x"), ["v"])
    expected = [np.nan if value is None else float(value) for value in values]
    assert np.array_equal(found.numbers["v"], expected, equal_nan=True)


@formats
def test_labels_of_every_kind_of_text_are_texts(tmp_path: Path, format: str) -> None:
    for kind in (pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())):
        texts = ["a", "longer than the twelve bytes of a view", None, "é"]
        table = pa.table({"v": [1.0, 2.0, 3.0, 4.0], "k": pa.array(texts).cast(kind)})
        assert held(opened(put(tmp_path, format, table)), ["v"], ["k"]).labels["k"] == texts


@formats
def test_a_batch_larger_than_a_block_is_cut(tmp_path: Path, format: str) -> None:
    path = put(tmp_path, format, pa.table({"v": np.arange(100.0), "w": np.arange(100.0)}), rows=100)
    with reading_in({"rows": 8}):
        found = held(opened(path), ["v"])
    assert [block.rows for block in found.blocks] == [8] * 12 + [4]
    assert found.numbers["v"].tolist() == [*range(100)]


@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_large_batch_is_mapped_and_reads_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compression: str | None
) -> None:
    path = put(tmp_path, "arrow", TABLE, compression=compression)
    expected = msecli.score(path, pred="p", target="t", by="g")
    monkeypatch.setattr("msecli.formats.arrow.LARGE_BYTES", 1)
    assert repr(msecli.score(path, pred="p", target="t", by="g", jobs=3)) == repr(expected)


@formats
def test_batches_without_rows_are_nothing(tmp_path: Path, format: str) -> None:
    batch = pa.record_batch({"p": [1.0, 2.0], "t": [2.0, 4.0]})
    sink = io.BytesIO()
    with (ipc.new_file if format == "arrow" else ipc.new_stream)(sink, batch.schema) as writer:
        for each in (batch.slice(0, 0), batch, batch.slice(0, 0), batch.slice(1), batch.slice(0, 0)):
            writer.write_batch(each)
    # 1, 4 and 4 again
    assert msecli.score(put(tmp_path, format, sink.getvalue()), pred="p", target="t").loss == 3.0
    sink = io.BytesIO()
    with (ipc.new_file if format == "arrow" else ipc.new_stream)(sink, batch.schema):
        pass
    with pytest.raises(DataError, match="the table has no rows"):
        msecli.score(put(tmp_path, format, sink.getvalue()), pred="p", target="t")


def dictionaries(format: str, **options: Any) -> bytes:
    """Return a file whose batches have dictionaries of their own."""
    kind = pa.dictionary(pa.int8(), pa.string())
    schema = pa.schema({"k": kind, "p": pa.float64(), "t": pa.float64()})
    sink = io.BytesIO()
    opener = ipc.new_file if format == "arrow" else ipc.new_stream
    with opener(sink, schema, options=ipc.IpcWriteOptions(**options)) as writer:
        for words, indices in ((["a"], [0, 0]), (["a", "b"], [1, 0]), (["a", "b", "c"], [2, 1])):
            keys = pa.DictionaryArray.from_arrays(pa.array(indices, pa.int8()), words)
            writer.write_batch(pa.record_batch([keys, pa.array([1.0, 2.0]), pa.array([0.0, 0.0])], schema))
    return sink.getvalue()


@formats
def test_dictionaries_that_grow_are_followed(tmp_path: Path, format: str) -> None:
    options = {"emit_dictionary_deltas": True}
    path = put(tmp_path, format, dictionaries(format, **options))
    assert held(opened(path), ["p"], ["k"]).labels["k"] == ["a", "a", "b", "a", "c", "b"]
    result = msecli.score(path, pred="p", target="t", by="k")
    # a: 1, 4, 4; b: 1, 4; c: 1
    assert {entry.label["k"]: entry.score.loss for entry in result.groups} == {"a": 3.0, "b": 2.5, "c": 1.0}


def test_dictionaries_that_are_replaced_in_a_stream_are_followed(tmp_path: Path) -> None:
    path = put(tmp_path, "arrows", dictionaries("arrows", emit_dictionary_deltas=False))
    assert held(opened(path), ["p"], ["k"]).labels["k"] == ["a", "a", "b", "a", "c", "b"]


@pytest.mark.parametrize("format", ["arrow", "arrows"])
@pytest.mark.parametrize("suffix", [".arrow", ".feather", ".ipc", ".arrows", ".csv", ""])
def test_the_content_tells_a_file_from_a_stream(tmp_path: Path, format: str, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(arrow_bytes({"p": [1.0], "t": [3.0]}, stream=format == "arrows"))
    result = msecli.score(path, pred="p", target="t")
    assert (result.loss, result.inputs[0].format) == (4.0, format)
    # A stream is often called .arrow, as those of datasets are.
    warned = [warning.code for warning in result.warnings]
    assert ("content_differs_from_suffix" in warned) == (suffix == ".csv")


def test_feather_of_version_two_is_an_arrow_file(tmp_path: Path) -> None:
    from pyarrow import feather

    feather.write_feather(pa.table({"pred": [1.0, 2.0], "target": [1.0, 4.0]}), str(tmp_path / "x.feather"))
    result = msecli.score(tmp_path / "x.feather")
    assert (result.loss, result.inputs[0].format) == (2.0, "arrow")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"FEA1\0\0\0\0" + b"\0" * 100, "Feather file of version 1"),
        # The metadata of Arrow before 0.15 begin with their length, without the mark that was put before it then.
        (arrow_bytes({"p": [1.0], "t": [1.0]}, stream=True)[4:], "before Arrow 0.15"),
    ],
    ids=["feather 1", "old stream"],
)
@pytest.mark.parametrize("suffix", [".arrow", ".feather", ".arrows", ".bin"])
def test_old_formats_are_told_with_the_way_out(tmp_path: Path, content: bytes, words: str, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{words}.* still reads; export it as"):
        msecli.score(path, pred="p", target="t")


TABLE = pa.table({
    "p": V, "t": V[::-1].copy(), "g": pa.array(["aé", "b", None, "x"] * 5),
    "d": pa.array(["u", "v"] * 10).dictionary_encode(), "e": pa.array([[1.0, 2.0]] * 19 + [None]),
    "s": pa.array([{"x": 1.0}] * 20), "y": pa.array(["longer than twelve bytes", "b"] * 10, pa.string_view()),
})  # fmt: skip


@pytest.mark.slow
@formats
@pytest.mark.parametrize("compression", [None, "lz4"])
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, format: str, compression: str | None) -> None:
    content = arrow_bytes(TABLE, stream=format == "arrows", compression=compression)
    path = put(tmp_path, format, content)
    assert msecli.score(path, pred="p", target="t").loss
    for size in range(1, len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(DataError):
            msecli.score(path, pred="p", target="t", reading=Reading(format=format))


def test_a_stream_cut_off_between_two_batches_is_told(tmp_path: Path) -> None:
    content = arrow_bytes(TABLE, stream=True)
    last = content.rindex(b"\xff\xff\xff\xff", 0, len(content) - 8)
    for size in (last, len(content) - 8):
        with pytest.raises(DataError, match="the Arrow stream breaks off: it has no mark of its end"):
            msecli.score(put(tmp_path, "arrows", content[:size]), pred="p", target="t")


@pytest.mark.parametrize("more", [b"\0", arrow_bytes(TABLE, stream=True)], ids=["a byte", "a stream"])
def test_what_follows_a_stream_is_not_left_out_in_silence(tmp_path: Path, more: bytes) -> None:
    path = put(tmp_path, "arrows", arrow_bytes(TABLE, stream=True) + more)
    with pytest.raises(DataError, match="bytes follow the end of the Arrow stream"):
        msecli.score(path, pred="p", target="t")


def test_joined_files_are_refused(tmp_path: Path) -> None:
    one, other = arrow_bytes(TABLE), arrow_bytes(TABLE.slice(0, 10))
    for content in (one + one, one + other, other + one):
        with pytest.raises(DataError, match="were several files joined"):
            msecli.score(put(tmp_path, "arrow", content), pred="p", target="t")


def with_batches(content: bytes, change: Callable[[list[bytes]], list[bytes]]) -> bytes:
    """Return an Arrow file whose footer lists other blocks of record batches."""
    size = struct.unpack("<i", content[-10:-6])[0]
    footer = bytearray(content[-10 - size : -10])
    blocks = [struct.pack("<qixxxxq", *block) for block in blocks_of(content)]
    start = footer.index(blocks[0])
    changed = change(blocks)
    footer[start : start + 24 * len(changed)] = b"".join(changed)
    footer[start - 4 : start] = struct.pack("<I", len(changed))
    return content[: -10 - size] + bytes(footer) + content[-10:]


def blocks_of(content: bytes) -> list[tuple[int, int, int]]:
    from msecli.arrow.ipc import batches_of

    found = batches_of(lambda size, offset: content[offset : offset + size], len(content))
    return [(*batch.block,) for batch in found]


def moved(block: bytes, *by: int) -> bytes:
    return struct.pack("<qixxxxq", *(a + b for a, b in zip(struct.unpack("<qixxxxq", block), by, strict=True)))


@pytest.mark.parametrize(
    "change",
    [
        lambda blocks: blocks[:-1],
        lambda blocks: [blocks[0], *blocks[:-1]],
        lambda blocks: [blocks[0], *blocks[2:]],
        lambda blocks: [moved(blocks[0], 8, 0, 0), *blocks[1:]],
        lambda blocks: [moved(blocks[0], 0, 8, 0), *blocks[1:]],
        lambda blocks: [*blocks[:-1], moved(blocks[-1], 0, 0, 1 << 40)],
        lambda blocks: [*blocks[:-1], moved(blocks[-1], 1 << 62, 0, 0)],
        lambda blocks: [*blocks[:-1], moved(blocks[-1], 0, 0, -(1 << 40))],
    ],
    ids=["last left out", "one twice", "one left out", "moved", "longer header", "long body", "far off", "negative"],
)
def test_a_footer_that_lists_other_batches_is_refused(
    tmp_path: Path, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    content = arrow_bytes(TABLE.select(["p", "t"]))
    assert with_batches(content, list) == content
    with pytest.raises(DataError):
        msecli.score(put(tmp_path, "arrow", with_batches(content, change)), pred="p", target="t")


def test_a_damaged_number_of_rows_claims_no_memory(tmp_path: Path) -> None:
    content = bytearray(arrow_bytes(TABLE.select(["p", "t"])))
    begin, header, _ = blocks_of(bytes(content))[-1]
    # The last batch has six rows, which its header says of itself and of both columns.
    at = [place for place in range(begin, begin + header - 7) if content[place : place + 8] == struct.pack("<q", 6)]
    assert len(at) == 3
    content[at[0] : at[0] + 8] = struct.pack("<q", 6 + (1 << 45))
    with pytest.raises(DataError, match="its first column"):
        msecli.score(put(tmp_path, "arrow", bytes(content)), pred="p", target="t")


FLIP = """
import sys, warnings
from pathlib import Path
import msecli
from msecli.errors import MsecliError
warnings.simplefilter("ignore")
path, start, step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
content = path.read_bytes()
ways = [{"pred": "p", "target": "t", "by": "g"}, {"pred": "s.x", "target": "t", "by": "d"},
        {"pred": "e", "target": "e", "by": "y", "nan_pred": "omit", "nan_target": "omit"}]
for at in range(start, len(content), step):
    for bits in (0x01, 0x10, 0x80, 0xFF):
        changed = bytearray(content)
        changed[at] ^= bits
        path.write_bytes(changed)
        for way in ways:
            try:
                result = msecli.score(path, **way, jobs=1)
            except MsecliError:
                continue
            except BaseException as error:
                print(at, bits, way, repr(error))
                continue
            if result.rows.prediction != 20:
                print(at, bits, way, result.rows)
"""


@pytest.mark.slow
@formats
@pytest.mark.parametrize("compression", [None, "zstd"])
def test_flipped_bits_crash_nothing_and_lose_no_row(tmp_path: Path, format: str, compression: str | None) -> None:
    # In a process of its own, which a crash would end.
    path = put(tmp_path, format, arrow_bytes(TABLE, stream=format == "arrows", compression=compression))
    ran = subprocess.run(
        [sys.executable, "-c", FLIP, str(path), "0", "29"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, ""), ran.stderr[-2000:]


@formats
def test_only_the_columns_that_are_needed_must_be_readable(tmp_path: Path, format: str) -> None:
    # An index of a dictionary beyond its end, in a column that nobody asked for.
    array = pa.DictionaryArray.from_arrays(pa.array([0, 9], pa.int8()), ["a", "b"], safe=False)
    path = put(tmp_path, format, pa.table({"bad": array, "p": [1.0, 2.0], "t": [1.0, 4.0]}))
    assert msecli.score(path, pred="p", target="t").loss == 2.0
    with pytest.raises(DataError):
        msecli.score(path, pred="p", target="t", by="bad")


@formats
@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int8(), pa.string_view())], ids=str)
def test_what_lies_under_a_null_is_not_followed(tmp_path: Path, format: str, kind: Any) -> None:
    # The view under the null claims to be 2**31 - 1 bytes long, somewhere far off; validation leaves nulls out.
    views = struct.pack("<i12s", 1, b"a") + b"\xff\xff\xff\x7f" * 4 + struct.pack("<i12s", 1, b"b")
    words = pa.Array.from_buffers(pa.string_view(), 3, [pa.py_buffer(b"\x05"), pa.py_buffer(views)])
    if pa.types.is_dictionary(kind):
        words = pa.DictionaryArray.from_arrays(pa.array([0, 1, 2], pa.int8()), words)
    path = put(tmp_path, format, pa.table({"v": [1.0, 2.0, 3.0], "k": words}))
    assert held(opened(path), ["v"], ["k"]).labels["k"] == ["a", None, "b"]


@formats
def test_rounded_integers_are_warned_of(tmp_path: Path, format: str) -> None:
    path = put(tmp_path, format, pa.table({"p": [2**53 + 1, 1], "t": [0, 1]}))
    result = msecli.score(path, pred="p", target="t")
    assert [warning.code for warning in result.warnings] == ["rounded_integers"]


def test_a_stream_of_two_columns_of_one_name_is_told(tmp_path: Path) -> None:
    table = pa.table([pa.array([1.0]), pa.array([2.0]), pa.array([3.0])], names=["p", "p", "t"])
    for format in FORMATS:
        with pytest.raises(MsecliError, match="2 columns are named 'p'"):
            msecli.score(put(tmp_path, format, table), pred="p", target="t")
        assert msecli.score(put(tmp_path, format, table), pred="t", target="t").loss == 0.0
