"""Streams: what has come can be read again as of a file, until it is forgotten; what has not come is waited for."""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from msecli.errors import DataError, ReadWriteError
from msecli.places import open_input
from msecli.places.stream import KEPT_BYTES, Chunks, ForgottenError, StreamFile
from tests.places.test_file import CONTENT, feeding

CHUNKS = st.lists(st.binary(max_size=20), min_size=1, max_size=20).filter(any)


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have no place for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")


@given(CHUNKS, st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), max_size=9))
def test_a_stream_is_read_like_a_file_whatever_its_chunks(chunks: list[bytes], reads: list[tuple[int, int]]) -> None:
    whole = b"".join(chunks)
    file = StreamFile("x", chunks)
    for size, offset in reads:
        assert file.read(size, offset) == whole[offset : offset + size]
        assert file.reaches(offset) == (offset < len(whole))
    assert (file.size, file.expected, file.ended) == (len(whole), len(whole), True)
    buffer = bytearray(len(whole) - 1)
    file.fill(memoryview(buffer), 1)
    assert buffer == whole[1:]


@given(CHUNKS, st.integers(0, 30))
def test_what_is_too_much_to_keep_is_copied_to_a_file(chunks: list[bytes], kept: int) -> None:
    whole = b"".join(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.places.stream.KEPT_BYTES", kept)
        file = StreamFile("x", iter(chunks))
        assert file.size == len(whole)
        assert [file.read(1, at) for at in range(len(whole))] == [bytes([byte]) for byte in whole]
        assert pickle.loads(pickle.dumps(file)).read(99, 3) == whole[3:102]


@given(CHUNKS, st.integers(20, 60), st.randoms(use_true_random=False))
def test_what_is_read_once_is_kept_until_it_is_forgotten(
    chunks: list[bytes], kept: int, shuffled: random.Random
) -> None:
    whole = b"".join(chunks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("msecli.places.stream.KEPT_BYTES", kept)
        patch.setattr(tempfile, "tempdir", "/nonexistent")
        file = StreamFile("x", chunks)
        file.once()
        border = 0
        while file.reaches(border):
            offset = border + shuffled.randrange(5)
            assert file.read(7, offset) == whole[offset : offset + 7]
            border += shuffled.randrange(1, 9)
            file.forget(border)
        assert file.size == len(whole)


@pytest.mark.usefixtures("nowhere")
def test_a_small_stream_needs_no_copy_and_a_large_one_does() -> None:
    assert StreamFile("x", [b"a" * KEPT_BYTES]).size == KEPT_BYTES
    with pytest.raises(ReadWriteError, match="x: cannot be copied to a temporary file: No such file"):
        StreamFile("x", [b"a" * KEPT_BYTES, b"b"]).size  # noqa: B018 - it is counted


def test_what_is_forgotten_cannot_be_read_again() -> None:
    file = StreamFile("x", [b"a" * KEPT_BYTES, b"b" * 10, b"c"])
    file.once()
    assert file.read(3, KEPT_BYTES + 8) == b"bbc"
    file.forget(KEPT_BYTES + 5)
    assert file.read(6, KEPT_BYTES + 5) == b"bbbbbc"
    with pytest.raises(ForgottenError, match="x: a stream cannot be read again; write it to a file first"):
        file.read(1, 0)
    with pytest.raises(ForgottenError):
        pickle.dumps(file)
    with pytest.raises(ForgottenError):
        file.for_arrow()


def test_threads_wait_for_the_same_stream() -> None:
    def slowly() -> Iterator[bytes]:
        for at in range(0, len(CONTENT), 1000):
            time.sleep(0.001)
            yield CONTENT[at : at + 1000]

    file, found = StreamFile("x", slowly()), dict[int, bytes]()

    def read(offset: int) -> None:
        found[offset] = file.read(100, offset)

    threads = [threading.Thread(target=read, args=(offset,)) for offset in range(0, len(CONTENT), 500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {offset: CONTENT[offset : offset + 100] for offset in range(0, len(CONTENT), 500)}


def test_what_has_come_can_be_read_while_another_thread_waits() -> None:
    more = threading.Event()

    def halting() -> Iterator[bytes]:
        yield b"abc"
        more.wait()
        yield b"def"

    file, found = StreamFile("x", halting()), list[bytes]()
    thread = threading.Thread(target=lambda: found.append(file.read(6, 0)))
    thread.start()
    assert (file.read(2, 1), file.ended, file.expected) == (b"bc", False, None)
    more.set()
    thread.join()
    assert found == [b"abcdef"]


def test_an_error_in_a_stream_is_raised_to_all_who_read_on() -> None:
    def broken() -> Iterator[bytes]:
        yield b"abc"
        raise DataError("x: broken")

    file = StreamFile("x", broken())
    for _ in range(2):
        with pytest.raises(DataError, match="x: broken"):
            file.read(4, 0)
        with pytest.raises(DataError, match="x: broken"):
            file.for_arrow()
    assert file.read(3, 0) == b"abc"


@pytest.mark.parametrize("chunks", [[], [b""], [b"", b""]])
def test_a_stream_of_nothing_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(DataError, match=r"x: the stream is empty \(0 bytes\)"):
        StreamFile("x", chunks, kind="stream")


def test_a_named_pipe_is_read_at_any_offset(tmp_path: Path) -> None:
    fifo = tmp_path / "pipe"
    with feeding(fifo, CONTENT * 30):
        file = open_input(str(fifo), "pred")
        assert (file.size, file.read(9, 250), file.word) == (len(CONTENT) * 30, CONTENT[250:259], "pred")
    file.verify()
    with open(file.for_arrow(), "rb") as copy:
        assert copy.read() == CONTENT * 30


def test_an_empty_pipe_is_an_empty_stream(tmp_path: Path) -> None:
    with feeding(tmp_path / "pipe", b""), pytest.raises(DataError, match="pipe: the stream is empty"):
        open_input(str(tmp_path / "pipe"))


def test_standard_input_is_read_at_any_offset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(CONTENT)))
    file = open_input("-")
    assert (file.path, file.read(4, 256), file.size) == ("-", CONTENT[:4], len(CONTENT))


def test_what_python_has_buffered_of_standard_input_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x").write_bytes(b"title\n" + CONTENT * 100)
    with (tmp_path / "x").open("rb") as stdin:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stdin))
        assert stdin.readline() == b"title\n"
        file = open_input("-")
        assert (file.read(5, 0), file.size) == (CONTENT[:5], len(CONTENT) * 100)


def test_standard_input_that_does_not_block_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def slowly() -> None:
        with os.fdopen(writer, "wb", buffering=0) as file:
            for chunk in (b"abc", b"def"):
                time.sleep(0.05)
                file.write(chunk)

    thread = threading.Thread(target=slowly)
    with os.fdopen(reader, "rb") as stdin:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(stdin))
        thread.start()
        assert open_input("-").size == 6
        thread.join()


def test_standard_input_that_is_closed_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(ReadWriteError, match="-: cannot read: standard input is closed"):
        open_input("-")


def test_chunks_tell_how_much_of_a_file_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.places.stream.CHUNK_BYTES", 1000)
    (tmp_path / "x").write_bytes(CONTENT)
    chunks = Chunks(open_input(str(tmp_path / "x")))
    # Each byte is made four.
    file = StreamFile("x", (chunk * 4 for chunk in chunks), "", chunks)
    assert (file.share, file.expected) == (1000 / len(CONTENT), 4 * len(CONTENT))
    assert file.size == 4 * len(CONTENT)
    with contextlib.suppress(OSError):
        os.utime(tmp_path / "x", ns=(0, 1))
    with pytest.raises(DataError, match="changed while it was read"):
        file.verify()


def test_a_stream_of_a_stream_keeps_only_one_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("msecli.places.stream.KEPT_BYTES", 3)
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    inner = StreamFile("x", [b"ab"] * 100)
    chunks = Chunks(inner)
    outer = StreamFile("x", (chunk.upper() for chunk in chunks), "", chunks)
    outer.once()
    for offset in range(0, 200, 2):
        assert outer.read(2, offset) == b"AB"
        outer.forget(offset)
    assert outer.size == 200
