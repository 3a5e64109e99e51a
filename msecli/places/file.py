"""Regular files of this machine: open them, read at an offset, notice that one has changed."""

from __future__ import annotations

import contextlib
import os
import stat
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import BinaryIO, Protocol, Self

from msecli.errors import DataError, ReadWriteError, UsageError, meant
from msecli.places import split_inner

COPYING, READING = "copying", "reading"


class Copied(Protocol):
    """Is told of a stream."""

    def __call__(self, path: str, size: int, doing: str = COPYING) -> None:
        """Learn how many bytes of a stream have come so far, and what is done with them."""
        ...


def _nobody(path: str, size: int, doing: str = COPYING) -> None:
    """Tell nobody."""


copied: ContextVar[Copied] = ContextVar("copied", default=_nobody)
"""Called as a stream comes of which it is not known how long it is.

A run that shows its progress sets it; otherwise every function from the command to here would have to pass it on.
"""

STDIN = "-"
CHUNK_BYTES = 1 << 20

SMALL_BYTES = 1 << 15
"""Files up to this size are read at once."""


class LocalFile:
    """A regular file, open for reads at any offset from any thread. See `msecli.places.base.InputFile`.

    An `unnamed` one is a copy in a temporary file, of what can be read only once.
    Unpickling opens the file again, which must not have changed; an `unnamed` one must still be open somewhere.

    Parameters
    ----------
    path : str
    word : str
        What settings call the file, if there are others.
    shown : str
        As the user wrote it, if that is more than the path.

    Raises
    ------
    ReadWriteError
        If the file does not exist or cannot be read.
    DataError
        If it is empty.
    """

    word = ""

    def __init__(self, path: str, word: str = "", shown: str = "") -> None:
        self.path, self.word = shown or path, word
        with explained(path):
            self._adopt(_opened(path))

    def __reduce__(self) -> tuple[Callable[[str, str, int, int], LocalFile], tuple[str, str, int, int]]:
        # An unnamed file can only be reached through the descriptor of the process that has it open.
        real = f"/proc/{os.getpid()}/fd/{self._file.fileno()}"
        with contextlib.suppress(OSError):
            real = os.path.realpath(real) if os.path.exists(os.path.realpath(real)) else real
        return _reopened, (self.path, real, self.size, self._modified)

    @classmethod
    def of(cls, path: str, file: BinaryIO, word: str = "") -> Self:
        """Return an input file that has this path in messages and reads from an open regular file."""
        made = cls.__new__(cls)
        made.path, made.word = path, word
        made._adopt(file)  # noqa: SLF001 - of this very class
        return made

    def _adopt(self, file: BinaryIO) -> None:
        self._file = file
        self._content = b""
        # Parts hold this object, so the file stays open while they are read.
        weakref.finalize(self, file.close)
        status = os.fstat(file.fileno())
        self.size = status.st_size
        self.unnamed = status.st_nlink == 0
        self._modified = status.st_mtime_ns
        if self.size == 0:
            raise DataError(f"{self.path}: the file is empty (0 bytes)")

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the file."""
        with explained(self.path):
            if self.size <= SMALL_BYTES:
                # Read once, whatever is asked for: a call costs more than the bytes.
                self._content = self._content or os.pread(self._file.fileno(), self.size, 0)
                data = self._content[offset : offset + size]
            else:
                data = os.pread(self._file.fileno(), size, offset)
        if len(data) < min(size, self.size - offset):
            raise changed(self.path)
        return data

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        done = 0
        while done < len(buffer):
            with explained(self.path):
                count = os.preadv(self._file.fileno(), [buffer[done:]], offset + done)
            if count == 0:
                raise changed(self.path)
            done += count

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`."""
        return offset < self.size

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        with explained(self.path):
            status = os.fstat(self._file.fileno())
        if (status.st_size, status.st_mtime_ns) != (self.size, self._modified):
            raise changed(self.path)

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Do nothing: the operating system reads ahead."""

    def for_arrow(self) -> Descriptor:
        """Return a path that opens this very file, even if another file has taken its name."""
        return Descriptor.of(self, self._file.fileno())


def changed(path: str) -> DataError:
    """Return an error about a file that is no longer the one that was opened."""
    return DataError(f"{path}: the file was changed while it was read; run again once it is complete")


class Descriptor(str):
    """The path of a descriptor of a file, which stays open for as long as the path is there."""

    __slots__ = ("file",)

    file: LocalFile

    @classmethod
    def of(cls, file: LocalFile, number: int) -> Self:
        """Return the path of a file's descriptor."""
        path = cls(f"/dev/fd/{number}")
        path.file = file
        return path


_open_files: weakref.WeakValueDictionary[tuple[str, int, int], LocalFile] = weakref.WeakValueDictionary()
"""The unpickled files still in use, so that the parts of a file share one descriptor."""


def _reopened(path: str, real: str, size: int, modified: int) -> LocalFile:
    """Open a file again that another process has pickled; `real` is its resolved path.

    Raises
    ------
    DataError
        If it has changed since.
    """
    known = real, size, modified
    file = _open_files.get(known)
    if file is None:
        with explained(path):
            file = LocalFile.of(path, open(real, "rb", buffering=0))  # noqa: SIM115 - kept open while it is in use
        if (file.size, file._modified) != (size, modified):  # noqa: SLF001 - of this very module
            raise changed(path)
        _open_files[known] = file
    return file


def check_streams(paths: Iterable[str]) -> None:
    """Refuse to read one stream under two names: each would miss what the other reads.

    Raises
    ------
    UsageError
    """
    seen: dict[tuple[int, int], str] = {}
    for path in (split_inner(path)[0] for path in paths):
        try:
            status = os.fstat(0) if path == STDIN else os.stat(path)
        except OSError:
            continue
        readable_again = stat.S_ISREG(status.st_mode) and path != STDIN
        if readable_again or stat.S_ISDIR(status.st_mode):
            continue
        identity = status.st_dev, status.st_ino
        if identity in seen:
            raise UsageError(
                f"{seen[identity]} and {path} are the same stream, which can be read only once; write it to a file"
            )
        seen[identity] = path


def _opened(path: str) -> BinaryIO:
    return open(path, "rb", buffering=0)


def spooled(path: str, chunks: Iterable[bytes]) -> LocalFile:
    """Return an input file whose bytes are these chunks, kept in an unnamed temporary file.

    Raises
    ------
    ReadWriteError
        If the copy cannot be written; what `chunks` raise is the caller's to explain.
    """
    import tempfile

    with copying(path):
        # Buffered, because an unbuffered write may silently write only some of the bytes.
        spool = tempfile.TemporaryFile()  # noqa: SIM115 - kept open for as long as the source is used
    try:
        tell, size = copied.get(), 0
        for chunk in chunks:
            with copying(path):
                size += spool.write(chunk)
            tell(path, size)
        with copying(path):
            spool.flush()
    except BaseException:
        with contextlib.suppress(OSError):
            spool.close()
        raise
    return LocalFile.of(path, spool)


@contextlib.contextmanager
def copying(path: str) -> Iterator[None]:
    """Turn an error of the system into one that says which file cannot be copied to a temporary one, and why.

    Raises
    ------
    ReadWriteError
    """
    try:
        yield
    except ReadWriteError:
        raise
    except OSError as error:
        reason = error.strerror or error
        raise ReadWriteError(f"{path}: cannot be copied to a temporary file: {reason}; see TMPDIR") from error


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """Turn an error of the system into one that says which file cannot be read, and why.

    Raises
    ------
    ReadWriteError
    """
    try:
        yield
    except ReadWriteError:
        raise
    except IsADirectoryError as error:
        raise ReadWriteError(f"{path}: this is a folder, not a file") from error
    except FileNotFoundError as error:
        raise ReadWriteError(f"{path or repr(path)}: no such file{_near(path)}") from error
    except OSError as error:
        raise ReadWriteError(f"{path}: cannot read: {error.strerror or error}") from error


def _near(path: str) -> str:
    """Return which file of the folder was probably meant: one of a similar name, or of the same with another suffix."""
    folder, name = os.path.split(path)
    stem, suffix = os.path.splitext(name)
    try:
        names = os.listdir(folder or ".")
    except OSError:
        return f"; the folder {folder} does not exist either" if folder else ""
    stems = {os.path.splitext(each)[0]: each for each in names}
    alike = [each for each, whole in stems.items() if os.path.splitext(whole)[1] == suffix]
    known = [stem] if stem in stems else alike
    return meant(stem, known, spelled=lambda near: os.path.join(folder, stems[near]))
