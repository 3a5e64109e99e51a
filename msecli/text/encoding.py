"""Text encodings: recognise text that is not UTF-8, and convert it if the user names its encoding."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator

from msecli.errors import DataError, UsageError, meant
from msecli.places.file import CHUNK_BYTES, InputFile, spooled

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

COMPRESSED = {
    b"\x1f\x8b": ("gzip", "gzip -dc"),
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc"),
    b"BZh": ("bzip2", "bzip2 -dc"),
    b"\xfd7zXZ\x00": ("xz", "xz -dc"),
}
OTHER_BINARY = {
    b"PK\x03\x04": "a ZIP archive or spreadsheet",
    b"ARROW1": "an Arrow file",
    b"PARE": "an encrypted Parquet file",
    b"%PDF": "a PDF document",
}

LFS_POINTER = b"version https://git-lfs.github.com/"
"""How the small text begins that stands for a file kept in Git LFS."""

PLAIN = frozenset({"utf-8", "utf-8-sig"})


def check_magic(path: str, head: bytes) -> None:
    """Refuse a compressed file, or one of a kind that no source reads, by its first bytes.

    Raises
    ------
    DataError
    """
    for magic, (name, command) in COMPRESSED.items():
        if head.startswith(magic):
            raise DataError(f"{path}: the file is compressed with {name}; decompress it first: {command} {path}")
    if head.startswith(LFS_POINTER):
        raise DataError(f"{path}: this is a Git LFS pointer, not the file itself; run: git lfs pull")
    kind = next((kind for magic, kind in OTHER_BINARY.items() if head.startswith(magic)), None)
    if kind is not None:
        raise DataError(f"{path}: the file is {kind}; export it as CSV, Parquet or NPY")


def check_text(path: str, head: bytes, *, decoded: bool) -> None:
    """Refuse a file that does not begin with UTF-8 text, and guess what it is.

    Raises
    ------
    DataError
    """
    check_magic(path, head)
    mark = next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)
    if mark is not None and not decoded:
        raise DataError(f"{path}: the text is encoded in {mark}; use `encoding={mark}`")
    if b"\0" in head:
        raise DataError(f"{path}: the file holds NUL bytes, so it is not text in UTF-8{_guess(head)}")


def _guess(head: bytes) -> str:
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 > len(head):
        return f"; it may be UTF-16: use `encoding={'utf-16-le' if odd > even else 'utf-16-be'}`"
    return "; is it a binary file?"


def decoded(file: InputFile, encoding: str | None) -> InputFile:
    """Return the file itself if it is UTF-8, otherwise a temporary copy in UTF-8.

    Raises
    ------
    UsageError
        For an unknown encoding.
    DataError
        For bytes that the encoding does not allow.
    """
    if encoding is None:
        return file
    try:
        codec = codecs.lookup(encoding)
        io.TextIOWrapper(io.BytesIO(), encoding)  # refuses codecs that do not decode text
    except LookupError as error:
        common = "utf-8", "utf-16", "latin-1", "cp1252"
        raise UsageError(
            f"`encoding`: {encoding!r} is not known; common ones are {', '.join(common)}{meant(encoding, common)}"
        ) from error
    if codec.name in PLAIN:
        return file
    return spooled(file.path, _transcoded(file, codec, encoding))


def _transcoded(file: InputFile, codec: codecs.CodecInfo, encoding: str) -> Iterator[bytes]:
    decoder = codec.incrementaldecoder()
    position = 0
    while position < file.size:
        chunk = file.read(CHUNK_BYTES, position)
        position += len(chunk)
        try:
            yield decoder.decode(chunk, final=position >= file.size).encode()
        except UnicodeError as error:
            reason = error.reason if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else str(error)
            raise DataError(
                f"{file.path}: not {encoding}: {reason} before byte {position}; try another `encoding`"
            ) from error
