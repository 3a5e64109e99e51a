"""Compressed files: told by their content, read whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import msecli
from msecli.errors import DataError, ReadWriteError
from msecli.places import open_input
from msecli.places.compressed import CODECS, DamagedError, without_suffix
from tests.files import WRITERS

TEXT = b"yhat,y\n1.5,2\n2.25,4\n"
# (0.5² + 1.75²) / 2
LOSS = 1.65625
ZSTD = bytes.fromhex("28b52ffd0458a10000796861742c790a312e352c320a322e32352c340adc9caf89")
"""What `zstd --check` 1.5.4 makes of the text; pyarrow writes no checksums."""


def zstd(data: bytes) -> bytes:
    return ZSTD if data == TEXT else pa.Codec("zstd").compress(data, asbytes=True)


def xz(data: bytes) -> bytes:
    return lzma.compress(data, check=lzma.CHECK_CRC64)


PACK: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "bzip2": bz2.compress, "xz": xz, "zstd": zstd}
codecs = pytest.mark.parametrize("codec", CODECS, ids=[codec.name for codec in CODECS])
names = pytest.mark.parametrize("name", [codec.name for codec in CODECS])


def test_every_codec_is_tested() -> None:
    assert [codec.name for codec in CODECS] == [*PACK]


def content(data: bytes, folder: Path) -> bytes:
    """Return what a file with this content holds."""
    (folder / "x").write_bytes(data)
    file = open_input(str(folder / "x"))
    return file.read(file.size, 0)


def refused(data: bytes, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        content(data, folder)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'x'}: ")
    return message


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@codecs
def test_a_name_may_be_any(codec: Any, tmp_path: Path) -> None:
    data = PACK[codec.name](TEXT)
    for name in (f"x.csv{codec.suffix}", f"x.tsv{codec.suffix.upper()}", "x.csv", "x"):
        Path(name).write_bytes(data if "tsv" not in name else PACK[codec.name](TEXT.replace(b",", b"\t")))
        assert msecli.score(name).loss == LOSS
    assert without_suffix(f"a/x.tsv{codec.suffix.upper()}") == "a/x.tsv"
    assert without_suffix(f"{codec.suffix}/x.csv") == f"{codec.suffix}/x.csv"


@names
def test_members_follow_each_other(name: str, tmp_path: Path) -> None:
    pieces = [TEXT, b"", b"3,4\n" * 1000, b"5,", b"6\n"]
    assert content(b"".join(map(PACK[name], pieces)), tmp_path) == b"".join(pieces)


@names
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_chunks_may_end_anywhere(name: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.places.stream.CHUNK_BYTES", size)
    monkeypatch.setattr("msecli.places.compressed.CHUNK_BYTES", size)
    assert content(PACK[name](TEXT) * 3, tmp_path) == TEXT * 3


@names
def test_a_text_compressed_far_is_read_whole(name: str, tmp_path: Path) -> None:
    assert content(PACK[name](bytes(20_000_000)), tmp_path) == bytes(20_000_000)


@names
def test_a_truncated_file_is_refused_wherever_it_ends(name: str, tmp_path: Path) -> None:
    data = PACK[name](TEXT)
    for whole in (b"", data):
        for end in range(1, len(data)):
            Path("x.csv").write_bytes(whole + data[:end])
            with pytest.raises(DataError, match=r"x\.csv"):
                msecli.score("x.csv")
    assert f"the {name} data are damaged before its end: they end too early; is it an incomplete copy?" in refused(
        data[:-1], tmp_path
    )


@names
def test_a_flipped_byte_never_gives_another_number(name: str, tmp_path: Path) -> None:
    data, seen = PACK[name](TEXT), 0
    for at in range(len(data)):
        for bits in (0x01, 0x80, 0xFF):
            Path("x.csv").write_bytes(data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])
            try:
                found = msecli.score("x.csv").loss
            except DataError:
                seen += 1
            else:
                assert found == LOSS  # some bytes are of no account, such as the time in a gzip header
    assert seen > 2 * len(data)


@names
@pytest.mark.parametrize("garbage", [b"g", b"garbage", TEXT, b"\0\0\0garbage", b"\x1f", b"BZ", b"\xfd7", b"(\xb5/"])
def test_trailing_garbage_is_refused(name: str, garbage: bytes, tmp_path: Path) -> None:
    assert f"the {name} data are damaged before its end: " in refused(PACK[name](TEXT) + garbage, tmp_path)


def test_zero_bytes_may_follow_gzip_and_xz_as_their_programs_have_it(tmp_path: Path) -> None:
    for zeros in (1, 4, 512, 3_000_000):
        padding = bytes(zeros)
        assert content(gzip.compress(TEXT) + padding, tmp_path) == TEXT
        assert content(gzip.compress(TEXT) + padding + gzip.compress(b"7,8\n"), tmp_path) == TEXT + b"7,8\n"
        if zeros % 4 == 0:
            assert content(xz(TEXT) + padding + xz(b"7,8\n") + padding, tmp_path) == TEXT + b"7,8\n"
        else:
            assert "1 zero byte after their end" in refused(xz(TEXT) + padding, tmp_path)
        assert f"{zeros} zero byte" in refused(bz2.compress(TEXT) + padding, tmp_path)


def test_damage_is_told_with_the_place_and_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.places.stream.CHUNK_BYTES", 1000)
    noise = random.Random(0).randbytes(50_000)  # noqa: S311 - no secret
    data = bytearray(gzip.compress(noise))
    data[-5] ^= 1
    data += bytes(5000)
    assert f"the gzip data are damaged before byte {-(-(len(data) - 5000) // 1000) * 1000}: incorrect data check" in (
        refused(bytes(data), tmp_path)
    )
    assert "unknown compression method" in refused(b"\x1f\x8b\x07" + bytes(20), tmp_path)


def test_a_dictionary_of_gigabytes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.places.compressed.LARGEST_DICTIONARY", 1 << 20)
    assert "memory usage limit exceeded" in refused(lzma.compress(TEXT, preset=9), tmp_path)


@names
def test_a_file_of_nothing_is_empty(name: str, tmp_path: Path) -> None:
    assert f"the file in the {name} data is empty (0 bytes)" in refused(PACK[name](b""), tmp_path)


def test_a_file_that_is_compressed_twice_is_refused(tmp_path: Path) -> None:
    message = refused(gzip.compress(lzma.compress(TEXT)), tmp_path)
    assert "compressed twice, with xz and then with gzip; decompress it once" in message


def test_a_column_may_be_called_like_a_codec() -> None:
    Path("x.csv").write_bytes(b"BZh9\n1\n2\n")
    Path("y.csv").write_bytes(b"BZh9\n2\n4\n")
    assert msecli.score("x.csv", "y.csv").loss == 2.5


@names
@pytest.mark.parametrize("format", list(WRITERS))
def test_every_format_is_read_from_a_compressed_file(name: str, format: str) -> None:
    suffix = next(codec.suffix for codec in CODECS if codec.name == name)
    data = {"p": np.sqrt(np.arange(50.0)), "t": np.arange(50.0)}
    for side, values in data.items():
        plain = WRITERS[format].content({side: values, "o": data["t"]} if WRITERS[format].named else {side: values})
        Path(f"{side}.{format}").write_bytes(plain)
        Path(f"{side}.{format}{suffix}").write_bytes(PACK[name](plain))
    columns: dict[str, Any] = {"pred": "p", "target": "t"} if WRITERS[format].named else {}
    expected = msecli.score(f"p.{format}", f"t.{format}", **columns)
    found = msecli.score(f"p.{format}{suffix}", f"t.{format}{suffix}", **columns)
    assert (found.loss, found.inputs[0].format, found.warnings) == (expected.loss, format, expected.warnings)


def test_the_suffix_inside_tells_the_format_and_a_wrong_one_is_warned_of() -> None:
    Path("x.tsv.gz").write_bytes(gzip.compress(TEXT.replace(b",", b"\t")))
    assert msecli.score("x.tsv.gz").inputs[0].format == "tsv"
    array = io.BytesIO()
    np.save(array, np.ones(3))
    Path("p.csv.gz").write_bytes(gzip.compress(array.getvalue()))
    (warning,) = msecli.score("p.csv.gz", np.zeros(3)).warnings
    assert "the name ends in .csv, but the content is npy" in warning.meaning


def test_a_file_that_changes_is_noticed(tmp_path: Path) -> None:
    Path("x").write_bytes(gzip.compress(TEXT))
    file = open_input("x")
    file.verify()
    Path("x").write_bytes(gzip.compress(TEXT + b"5,6\n"))
    with pytest.raises(DataError, match="changed while it was read"):
        file.verify()


@names
def test_another_encoding_inside_is_read(name: str) -> None:
    Path("x.csv").write_bytes(PACK[name](TEXT.decode().encode("utf-16")))
    assert msecli.score("x.csv", reading=msecli.Reading(encoding="utf-16")).loss == LOSS


def test_states_and_weights_may_be_compressed() -> None:
    Path("x.csv").write_bytes(TEXT)
    msecli.score("x.csv", save_state="s.state")
    Path("s.state.gz").write_bytes(gzip.compress(Path("s.state").read_bytes()))
    assert msecli.merge("s.state.gz").loss == LOSS
    Path("w.csv.xz").write_bytes(lzma.compress(b"w\n1\n3\n"))
    # (1 · 0.5² + 3 · 1.75²) / 4
    assert msecli.score("x.csv", weight_file="w.csv.xz").loss == 2.359375


@names
def test_an_error_of_the_place_is_no_damage(name: str) -> None:
    def failing() -> Any:
        yield PACK[name](bytes(1000) + TEXT)[:20]
        raise ReadWriteError("x: the network is down")

    codec = next(codec for codec in CODECS if codec.name == name)
    with pytest.raises(ReadWriteError, match="the network is down"):
        b"".join(codec.decompress(failing()))
    with pytest.raises(DamagedError, match="too early"):
        b"".join(codec.decompress(iter([PACK[name](bytes(1000) + TEXT)[:20]])))


def test_gzip_is_what_zlib_says_it_is(tmp_path: Path) -> None:
    # With every field of RFC 1952 that a header may have: extra, name, comment and its checksum.
    extra = b"\x05\0extra" + b"name\0" + b"comment\0"
    header = b"\x1f\x8b\x08" + bytes([2 | 4 | 8 | 16]) + bytes(6) + extra
    packed = zlib.compressobj(wbits=-15)
    body = packed.compress(TEXT) + packed.flush()
    end = zlib.crc32(TEXT).to_bytes(4, "little") + len(TEXT).to_bytes(4, "little")
    crc = (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little")
    assert content(header + crc + body + end, tmp_path) == TEXT
    assert "header crc mismatch" in refused(header + b"\0\0" + body + end, tmp_path)
