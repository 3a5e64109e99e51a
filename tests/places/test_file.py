"""Input files as bytes: what cannot be opened, what is no regular file, and what changes while it is read."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from msecli.errors import DataError, ReadWriteError
from msecli.formats import FORMATS, by_suffix, detect
from msecli.places.file import LocalFile

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "data.bin"
    made.write_bytes(CONTENT)
    return made


@contextlib.contextmanager
def feeding(fifo: Path, content: bytes) -> Iterator[None]:
    """Write the content to a named pipe as soon as somebody reads from it."""

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError), fifo.open("wb") as file:
            file.write(content)

    os.mkfifo(fifo)
    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        os.close(os.open(fifo, os.O_RDONLY | os.O_NONBLOCK))
        thread.join(5)


def refusal(path: str | Path) -> str:
    with pytest.raises(ReadWriteError) as caught:
        LocalFile(str(path))
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert isinstance(caught.value, OSError)
    return message


@pytest.mark.parametrize(
    ("size", "offset"), [(10, 0), (10, 300), (1, 10239), (100, 10200), (5, 10240), (5, 99999), (0, 0)]
)
def test_bytes_are_read_at_any_offset(path: Path, size: int, offset: int) -> None:
    assert LocalFile(str(path)).read(size, offset) == CONTENT[offset : offset + size]


def test_a_buffer_is_filled_at_any_offset(path: Path) -> None:
    buffer = bytearray(700)
    LocalFile(str(path)).fill(memoryview(buffer), 41)
    assert bytes(buffer) == CONTENT[41:741]


@pytest.mark.parametrize(("size", "offset"), [(100, 10200), (1, 10240), (20000, 0)])
def test_a_buffer_beyond_the_end_is_not_filled(path: Path, size: int, offset: int) -> None:
    with pytest.raises(DataError, match=r"data\.bin: the file was changed while it was read"):
        LocalFile(str(path)).fill(memoryview(bytearray(size)), offset)


def test_one_file_is_read_by_many_threads(path: Path) -> None:
    file = LocalFile(str(path))
    found: list[bool] = []

    def read(start: int) -> None:
        found.append(all(file.read(50, offset) == CONTENT[offset : offset + 50] for offset in range(start, 9000, 97)))

    threads = [threading.Thread(target=read, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 8


def test_a_missing_file_names_those_near_by(tmp_path: Path) -> None:
    for name in ("predictions.csv", "prediction.csv", "other.txt"):
        (tmp_path / name).write_bytes(b"x")
    message = refusal(tmp_path / "predictoins.csv")
    assert "no such file" in message
    assert str(tmp_path / "predictions.csv") in message
    assert "other.txt" not in message


def test_a_missing_file_in_an_empty_folder(tmp_path: Path) -> None:
    assert refusal(tmp_path / "x.csv").endswith("no such file")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert f"folder {tmp_path / 'nowhere'} does not exist" in refusal(tmp_path / "nowhere" / "x.csv")


def test_a_missing_file_in_this_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pred.csv").write_bytes(b"x")
    assert refusal("pred.cvs").endswith("did you mean pred.csv?")


def test_a_folder(tmp_path: Path) -> None:
    assert "folder" in refusal(tmp_path)


def test_a_file_as_a_folder(path: Path) -> None:
    assert "cannot read" in refusal(path / "x.csv")


def test_an_empty_name_is_told_as_one() -> None:
    with pytest.raises(ReadWriteError, match="''"):
        LocalFile("")


def test_links_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "cannot read" in refusal(tmp_path / "a")


def test_a_link_to_nowhere(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("nowhere")
    assert "no such file" in refusal(tmp_path / "a")


def test_a_link_to_a_file(tmp_path: Path, path: Path) -> None:
    (tmp_path / "a").symlink_to(path)
    assert LocalFile(str(tmp_path / "a")).size == len(CONTENT)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EMFILE, errno.ESTALE])
def test_whatever_the_system_says_is_told(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("msecli.places.file.open", fail, raising=False)
    assert refusal(path) == f"{path}: cannot read: {os.strerror(number)}"


def test_an_error_in_the_middle_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    file = LocalFile(str(path))
    monkeypatch.setattr("os.pread", fail)
    with pytest.raises(ReadWriteError, match=r"data\.bin: cannot read"):
        file.read(1, 0)


def test_an_empty_file_is_refused_and_closed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.touch()
    with pytest.raises(DataError, match=r"x\.csv: the file is empty"):
        LocalFile(str(path))
    gc.collect()  # a file left open would raise its ResourceWarning here


def test_bytes_that_are_gone_cannot_be_read(path: Path) -> None:
    file = LocalFile(str(path))
    os.truncate(path, 100)
    assert file.read(50, 50) == CONTENT[50:100]
    with pytest.raises(DataError, match=r"data\.bin: the file was changed while it was read"):
        file.read(50, 60)


@pytest.mark.parametrize("size", [len(CONTENT) - 1, len(CONTENT) + 1, 0])
def test_another_size_is_a_change(path: Path, size: int) -> None:
    file = LocalFile(str(path))
    os.truncate(path, size)
    with pytest.raises(DataError, match=r"data\.bin: the file was changed while it was read"):
        file.verify()


def test_another_time_is_a_change(path: Path) -> None:
    file = LocalFile(str(path))
    os.utime(path, ns=(0, 1))
    with pytest.raises(DataError, match="changed while it was read"):
        file.verify()


def test_a_file_that_was_only_read_is_no_change(path: Path) -> None:
    file = LocalFile(str(path))
    path.read_bytes()
    file.read(10, 0)
    file.verify()


@pytest.mark.parametrize("remove", [False, True])
def test_another_file_of_the_name_is_no_change(path: Path, tmp_path: Path, remove: bool) -> None:
    file = LocalFile(str(path))
    if remove:
        path.unlink()
    else:
        (tmp_path / "new").write_bytes(b"new")
        (tmp_path / "new").replace(path)
    file.verify()
    assert file.read(3, 0) == CONTENT[:3]
    assert Path(file.for_arrow()).read_bytes() == CONTENT


def test_every_known_suffix_has_one_format_unless_the_content_tells() -> None:
    suffixes = [suffix for format in FORMATS.values() for suffix in format.suffixes]
    # An array of records, or a record on each line.
    assert [suffix for suffix in set(suffixes) if suffixes.count(suffix) > 1] == [".json"]
    assert all(by_suffix(f"x{suffix.upper()}") is by_suffix(f"a.b/x{suffix}") for suffix in suffixes)


@pytest.mark.parametrize(
    ("name", "start", "format"),
    [
        ("x.csv", b"PAR1\0\0", "parquet"),
        ("x.csv", b"\x93NUMPY\x01\0", "npy"),
        ("x.npy", b"PAR1\0\0", "parquet"),
        ("x.parquet", b"\x93NUMPY", "npy"),
        ("x", b"PAR1", "parquet"),
        ("x.csv", b"PAR", "csv"),
        ("x.tsv", b"a\tb", "tsv"),
        ("x.TSV", b"a\tb", "tsv"),
        ("x", b"a,b", "csv"),
        ("x.unknown", b"a,b", "csv"),
        ("-", b"a,b", "csv"),
    ],
)
def test_the_content_decides_then_the_suffix_then_csv(name: str, start: bytes, format: str) -> None:
    assert detect(name, start).name == format
