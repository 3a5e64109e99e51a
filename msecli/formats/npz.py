"""NumPy's .npz files: ZIP archives of NPY arrays, of which one is read.

An array that is stored as it is, as `numpy.savez` does, is read by row ranges in the archive; one that is compressed
is first decompressed to a temporary file.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from msecli.errors import DataError
from msecli.formats.named import LISTED, chosen
from msecli.formats.npy import HEADER_BYTES, parse_layout, source_of
from msecli.formats.stored import Layout, StoredSource
from msecli.places.base import InputFile
from msecli.places.file import CHUNK_BYTES, spooled
from msecli.places.fileobject import FileObject
from msecli.text.reading import Reading

SUFFIX = ".npy"

LOCAL_HEADER_BYTES = 30
"""Of the header before each member; the name and an extra field follow, whose lengths are at the bytes 26 and 28."""

ENCRYPTED = 1
"""The flag of an encrypted member."""

SPARSE = {"data", "format", "indices", "indptr", "shape"}
"""The arrays of a sparse matrix, as `scipy.sparse.save_npz` names them."""

DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    OverflowError,
)
"""What `zipfile` raises on damaged archives."""


def open_npz(file: InputFile, reading: Reading, inner: str = "") -> StoredSource:
    """Return an array of an archive: that of the name `inner`, or the only one.

    Raises
    ------
    DataError
        If the archive is damaged, or holds several arrays or none, and `inner` does not say which.
    """
    with _explained(file.path), zipfile.ZipFile(FileObject(file)) as archive:
        members = _arrays(file.path, archive)
        member = _chosen(file.path, archive, members, inner)
        # What the array needs is compared with what the member holds before anything is decompressed or allocated.
        parse_layout(file.path, _start(archive, member), member.file_size)
        if member.compress_type == zipfile.ZIP_STORED:
            return source_of("npz", _window(file, member))
        with archive.open(member) as stream:
            return source_of("npz", spooled(file.path, iter(lambda: stream.read(CHUNK_BYTES), b"")))


def names(file: InputFile) -> Sequence[str]:
    """Return the names of the arrays."""
    with _explained(file.path), zipfile.ZipFile(FileObject(file)) as archive:
        return [*_arrays(file.path, archive)]


def _arrays(path: str, archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the arrays of an archive by name."""
    names = archive.namelist()
    repeated = next((name for name in names if names.count(name) > 1), None) if len({*names}) < len(names) else None
    if repeated is not None:
        raise DataError(f"{path}: {names.count(repeated)} arrays are named {repeated!r}; save the archive again")
    return {each.filename.removesuffix(SUFFIX): each for each in archive.infolist() if each.filename.endswith(SUFFIX)}


def _chosen(path: str, archive: zipfile.ZipFile, members: Mapping[str, zipfile.ZipInfo], name: str) -> zipfile.ZipInfo:
    found = members.get(name) or members.get(name.removesuffix(SUFFIX))
    if found is None and not name and len(members) == 1:
        (found,) = members.values()
    if found is None and not members:
        raise DataError(f"{path}: the archive holds no array of NumPy")
    if found is None and not name and members.keys() >= SPARSE:
        raise DataError(f"{path}: this is a sparse matrix; save it as an array: numpy.save(FILE, matrix.toarray())")
    if found is None:
        layouts = {each: _described(archive, member) for each, member in [*members.items()][:LISTED]}
        known = {each: _told(layouts.get(each)) for each in members}
        numbers = (each for each, layout in layouts.items() if layout is not None and layout.dtype.kind in "biuf")
        found = members[chosen(path, name, "array", known, next(numbers, ""))]
    member = found
    if member.flag_bits & ENCRYPTED:
        raise DataError(f"{path}: the archive is encrypted; save it again without a password")
    if member.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DataError(
            f"{path}: the archive is compressed in a way that NumPy does not use (number {member.compress_type}); "
            "save it with numpy.savez_compressed"
        )
    return member


def _described(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Layout | None:
    """Return the layout of an array; None if its header cannot be read."""
    try:
        return parse_layout("", _start(archive, member), member.file_size)
    except (DataError, *DAMAGED):
        return None


def _told(layout: Layout | None) -> str:
    """Return the shape and the type of an array."""
    return "(not an array of numbers)" if layout is None else f"{layout.shape} {layout.kind}"


def _start(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        return stream.read(HEADER_BYTES)


def _window(file: InputFile, member: zipfile.ZipInfo) -> Member:
    header = file.read(LOCAL_HEADER_BYTES, member.header_offset)
    lengths = int.from_bytes(header[26:28], "little") + int.from_bytes(header[28:30], "little")
    offset = member.header_offset + LOCAL_HEADER_BYTES + lengths
    if member.compress_size != member.file_size or offset + member.file_size > file.size:
        raise DataError(f"{file.path}: truncated: the archive ends within an array; is it an incomplete copy?")
    return Member(file, offset, member.file_size, member.CRC)


class Member:
    """The bytes of a file in an archive that are stored as they are. See `msecli.places.base.InputFile`.

    They are compared with their checksum before the first of them are used, by the thread that is first to need them.

    Parameters
    ----------
    file : InputFile
    offset, size : int
    checksum : int
    """

    def __init__(self, file: InputFile, offset: int, size: int, checksum: int) -> None:
        self.path, self.word, self.size = file.path, file.word, size
        self._file, self._offset, self._checksum = file, offset, checksum
        self._lock, self._checked = threading.Lock(), False

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._file, self._offset, self.size, self._checksum)

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`, before they are compared with their checksum."""
        return self._file.read(max(0, min(size, self.size - offset)), self._offset + offset)

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        self._check()
        self._file.fill(buffer, self._offset + offset)

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`."""
        return offset < self.size

    def verify(self) -> None:
        """Raise `DataError` if the archive has changed since it was opened."""
        self._file.verify()

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Take notice of what will be read next."""
        self._file.expect((self._offset + begin, self._offset + end) for begin, end in ranges)

    def for_arrow(self) -> Any:
        """Return an open file of pyarrow."""
        import pyarrow as pa

        return pa.PythonFile(FileObject(self), mode="r")

    def _check(self) -> None:
        with self._lock:
            if self._checked:
                return
            found = 0
            for start in range(0, self.size, CHUNK_BYTES):
                found = zlib.crc32(self.read(CHUNK_BYTES, start), found)
            if found != self._checksum:
                raise DataError(
                    f"{self.path}: the checksum of the array is wrong: its bytes were damaged; copy it again"
                )
            self._checked = True


@contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except DataError:
        raise
    except DAMAGED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: the NPZ archive cannot be read ({reason}); is it an incomplete copy?") from error
