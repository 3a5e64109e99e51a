"""Text encodings: recognise text that is not UTF-8, and convert it if the user names its encoding."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msecli.errors import DataError, UsageError, meant, setting
from msecli.places.base import InputFile
from msecli.text.foreign import check_kind

if TYPE_CHECKING:
    from msecli.places.stream import Chunks

MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}

PLAIN = frozenset({"utf-8", "utf-8-sig"})


class DialectError(DataError):
    """The settings do not read a text; perhaps others do.

    Parameters
    ----------
    what : str
        What was found.
    advice : str
        What to do if no other dialect can be told.
    """

    def __init__(self, what: str, advice: str) -> None:
        super().__init__(f"{what}; {advice}")
        self.what = what


def check_text(path: str, head: bytes, *, decoded: bool) -> None:
    """Refuse a file that does not begin with UTF-8 text, and guess what it is.

    Raises
    ------
    DataError
    """
    check_kind(path, head)
    mark = next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)
    if mark is not None and not decoded:
        raise DialectError(f"{path}: the text is encoded in {mark}", f"use {setting('encoding', mark)}")
    if b"\0" in head:
        what, guess = f"{path}: the file holds NUL bytes, so it is not text in UTF-8", _utf16(head)
        if guess is None:
            raise DataError(f"{what}; is it a binary file?")
        raise DialectError(what, f"it may be UTF-16: use {setting('encoding', guess)}")


def encoding_of(head: bytes) -> str | None:
    """Return in which encoding a text seems to be; None if it is UTF-8."""
    mark = next((encoding for mark, encoding in MARKS.items() if head.startswith(mark)), None)
    if mark is not None or b"\0" in head:
        return mark or _utf16(head)
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "cp1252"
    return None


def _utf16(head: bytes) -> str | None:
    """Return which UTF-16 a text with NUL bytes is, if it is mostly ASCII."""
    even, odd = head[::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 <= len(head):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def decoded(file: InputFile, encoding: str | None) -> InputFile:
    """Return the file itself if it is UTF-8, otherwise a stream of its text in UTF-8.

    Raises
    ------
    UsageError
        For an unknown encoding.
    DataError
        For bytes at the beginning that the encoding does not allow; others are refused as they are read.
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
    from msecli.places.stream import Chunks, StreamFile

    chunks = Chunks(file)
    return StreamFile(file.path, _transcoded(chunks, codec, encoding), file.word, chunks)


def _transcoded(chunks: Chunks, codec: codecs.CodecInfo, encoding: str) -> Iterator[bytes]:
    decoder = codec.incrementaldecoder()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        reason = error.reason if isinstance(error, UnicodeDecodeError | UnicodeEncodeError) else str(error)
        raise DataError(
            f"{chunks.file.path}: not {encoding}: {reason} before byte {chunks.position}; try another `encoding`"
        ) from error
