"""Compressed files, told by their content: what they hold is read as it is decompressed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol

from msecli.errors import DataError, MsecliError, many
from msecli.places.base import InputFile
from msecli.tuples import NamedTuple

if TYPE_CHECKING:
    from msecli.places.stream import Chunks

CHUNK_BYTES = 1 << 20
"""Bytes decompressed at once, whatever they are compressed to."""
LARGEST_DICTIONARY = 512 << 20
"""Memory that an xz file may ask for; `xz -9` needs 65 MiB."""
START_BYTES = 16
"""Bytes to tell a compressed file by."""


class DamagedError(Exception):
    """What is wrong with compressed data."""


class Member(Protocol):
    """Decompresses one of the members, or streams, that a file may consist of; as those of `bz2` and `lzma`.

    Attributes
    ----------
    eof : bool
        Whether its end has been found, and its checksum is right.
    needs_input : bool
        Whether everything it was given has been decompressed.
    unused_data : bytes
        What was found behind its end.
    """

    @property
    def eof(self) -> bool:
        """See above."""
        ...

    @property
    def needs_input(self) -> bool:
        """See above."""
        ...

    @property
    def unused_data(self) -> bytes:
        """See above."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """Return up to `max_length` bytes, of this data and of what is left of earlier data."""
        ...


class Codec(NamedTuple):
    """A line of the `CODECS` table.

    Parameters
    ----------
    name, suffix : str
    pattern : bytes
        A regular expression that matches the first bytes.
    decompress : callable
        From the chunks of a compressed file to chunks of what it holds; raises `DamagedError`.
    """

    name: str
    suffix: str
    pattern: bytes
    decompress: Callable[[Iterator[bytes]], Iterator[bytes]]


def decompressed(file: InputFile) -> InputFile:
    """Return the file itself, or what it holds if it is compressed.

    Raises
    ------
    DataError
        If it is damaged at the beginning, holds nothing, or is compressed twice.
    """
    codec = codec_of(file)
    if codec is None:
        return file
    from msecli.places.stream import Chunks, StreamFile

    chunks = Chunks(file)
    found = StreamFile(
        file.path,
        _checked(file.path, codec, chunks),
        file.word,
        chunks,
        f"file in the {codec.name} data",
        stored=None if getattr(file, "unnamed", False) else file,
    )
    again = codec_of(found)
    if again is not None:
        raise DataError(
            f"{file.path}: the file is compressed twice, with {again.name} and then with {codec.name}; "
            "decompress it once"
        )
    return found


def codec_of(file: InputFile) -> Codec | None:
    """Return how a file is compressed; None if it is not."""
    start = file.read(START_BYTES, 0)
    return next((codec for codec in CODECS if re.match(codec.pattern, start, re.DOTALL)), None)


def without_suffix(path: str) -> str:
    """Return a path without the suffix that says how the file is compressed."""
    suffix = next((codec.suffix for codec in CODECS if path.lower().endswith(codec.suffix)), "")
    return path[: len(path) - len(suffix)]


def _checked(path: str, codec: Codec, chunks: Chunks) -> Iterator[bytes]:
    """Yield what a compressed file holds; an error says which file it is, and how far it was read."""
    try:
        yield from codec.decompress(iter(chunks))
    except DamagedError as error:
        end = f"byte {chunks.position}" if chunks.share != 1 else "its end"
        raise DataError(f"{path}: the {codec.name} data are damaged before {end}: {error}") from error


class _Inflate:
    """A member of a gzip file; zlib compares its checksum and its size. See `Member`."""

    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self.eof, self.needs_input, self.unused_data = False, True, b""

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """See `Member`."""
        inner = self._inner
        found = inner.decompress(inner.unconsumed_tail + data, max_length)
        self.eof, self.needs_input, self.unused_data = inner.eof, not inner.unconsumed_tail, inner.unused_data
        return found


Library = tuple[Callable[[], Member], type[Exception]]
"""What begins a member, and the error that it raises."""


def _gzip() -> Library:
    import zlib

    return _Inflate, zlib.error


def _bzip2() -> Library:
    import bz2

    return bz2.BZ2Decompressor, OSError


def _xz() -> Library:
    import lzma

    return partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, LARGEST_DICTIONARY), lzma.LZMAError


def _members(load: Callable[[], Library], magic: bytes, padding: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what the members of a file hold, one after the other.

    Parameters
    ----------
    load : callable
        Returns the library, loaded when it is needed.
    magic : bytes
        With what each member begins.
    padding : int
        Zero bytes may follow a member in multiples of so many; 0 for none.
    chunks : iterator of bytes
    """
    begin, broken = load()
    data, ended = next(chunks, b""), False
    while data:
        member = begin()
        while not member.eof:
            if not data and member.needs_input:
                data = next(chunks, b"")
                ended = not data
            try:
                found = member.decompress(data, CHUNK_BYTES)
            except broken as error:
                raise DamagedError(str(error).rpartition(": ")[2].lower()) from error
            if found:
                yield found
            elif ended and not member.eof:
                raise DamagedError("they end too early; is it an incomplete copy?")
            data = b""
        data = _behind(member.unused_data, magic, padding, chunks)


def _behind(data: bytes, magic: bytes, padding: int, chunks: Iterator[bytes]) -> bytes:
    """Return what follows a member and its padding: nothing, or another member."""
    zeros, rest = 0, data.lstrip(b"\0")
    while True:
        zeros += len(data) - len(rest)
        if rest or not (data := next(chunks, b"")):
            break
        rest = data.lstrip(b"\0")
    if zeros and (not padding or zeros % padding):
        raise DamagedError(f"{many(zeros, 'zero byte')} after their end")
    while len(rest) < len(magic) and (data := next(chunks, b"")):
        rest += data
    if rest and not rest.startswith(magic):
        raise DamagedError(f"other bytes follow their end, {rest[: len(magic)]!r}")
    return rest


class _Readable:
    """Chunks as a file that pyarrow reads."""

    closed = False

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk, self._taken = b"", 0

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, none only at the end."""
        if self._taken == len(self._chunk):
            self._chunk, self._taken = next(self._chunks, b""), 0
        found = self._chunk[self._taken : self._taken + size]
        self._taken += len(found)
        return found

    def close(self) -> None:
        """Do nothing; whoever made the chunks closes what they are from."""


def _zstd(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield what the frames of a zstd file hold."""
    import pyarrow as pa

    stream = pa.CompressedInputStream(pa.PythonFile(_Readable(chunks), mode="r"), "zstd")
    try:
        while found := stream.read(CHUNK_BYTES):
            yield found
    except MsecliError:
        raise
    except OSError as error:
        if "Truncated" in str(error):
            raise DamagedError("they end too early; is it an incomplete copy?") from error
        raise DamagedError(str(error).rpartition(": ")[2].lower()) from error


CODECS = (
    Codec("gzip", ".gz", rb"\x1f\x8b", partial(_members, _gzip, b"\x1f\x8b", 1)),
    # A column may be called BZh1.
    Codec("bzip2", ".bz2", rb"BZh[1-9](1AY&SY|\x17rE8P\x90)", partial(_members, _bzip2, b"BZh", 0)),
    Codec("xz", ".xz", rb"\xfd7zXZ\x00", partial(_members, _xz, b"\xfd7zXZ\x00", 4)),
    # A frame that is to be skipped may come first.
    Codec("zstd", ".zst", rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18", _zstd),
)
"""The ways in which files are compressed."""
