"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import BinaryIO, Self

from msecli.errors import ReadWriteError, UsageError

NAME_KEPT = 40
"""Characters of an output's name in that of its temporary file: at most 160 of the 255 bytes that a name may have."""


def check_outputs(outputs: Iterable[tuple[str, str]], inputs: Iterable[str], *, overwrite: bool) -> None:
    """Refuse outputs that would destroy something: an input, each other, or a file that is not to be replaced.

    Parameters
    ----------
    outputs : iterable of (option, path)
    inputs : iterable of path
    overwrite : bool
        Whether existing files may be replaced.

    Raises
    ------
    UsageError
    ReadWriteError
        If the folder of an output is missing or may not be written to.
    """
    taken = {_identity(path): f"the input {path}" for path in inputs if os.path.exists(path)}
    for option, path in outputs:
        identity = _identity(path)
        if identity in taken and _is_replaceable(path):
            raise UsageError(f"{option} {path}: this is also {taken[identity]}; choose another name")
        if os.path.isfile(path) and not overwrite:
            raise UsageError(f"{option} {path}: the file exists; say --overwrite to replace it")
        _check_folder(path)
        taken[identity] = f"the file of {option}"


def _check_folder(path: str) -> None:
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        raise ReadWriteError(f"{path}: cannot write: this is a folder")
    if not os.path.isdir(folder):
        raise ReadWriteError(f"{path}: cannot write: there is no folder {folder}")
    if _is_replaceable(path) and not os.access(folder, os.W_OK):
        raise ReadWriteError(f"{path}: cannot write: the folder {folder} is read-only")


def _identity(path: str) -> object:
    try:
        status = os.stat(path)
    except OSError:
        return os.path.realpath(path)
    return status.st_dev, status.st_ino


def _is_replaceable(path: str) -> bool:
    """Devices and pipes are written to, not replaced."""
    return not os.path.exists(path) or os.path.isfile(path) or os.path.isdir(path)


class Staging:
    """Writes files beside their final names, and gives them these names together at the end of the block.

    Where the block fails nothing is left behind, and files that were there before are as they were.
    """

    def __init__(self) -> None:
        self._staged: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                while self._staged:
                    temporary, final = self._staged[0]
                    with _explained(final):
                        os.replace(temporary, final)
                    del self._staged[0]
        finally:
            for temporary, _ in self._staged:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)

    @contextlib.contextmanager
    def open(self, path: str) -> Iterator[BinaryIO]:
        """Open a file to be written; it takes its name when the staging ends well."""
        if not _is_replaceable(path):
            with _explained(path), open(path, "wb") as stream:
                yield stream
            return
        final = os.path.realpath(path)
        with _explained(path):
            temporary = _beside(final)
            # Remembered before it exists, so that a signal in between cannot leave it behind.
            self._staged.append((temporary, final))
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as stream:
                os.fchmod(descriptor, _mode(final))
                yield stream


def _beside(path: str) -> str:
    """Return a new name in the same folder, no longer than names may be."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f".{name[:NAME_KEPT]}.{os.urandom(4).hex()}")


def _mode(path: str) -> int:
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask


@contextlib.contextmanager
def _explained(path: str) -> Iterator[None]:
    try:
        yield
    except ReadWriteError:
        raise
    except OSError as error:
        raise ReadWriteError(f"{path}: cannot write: {error.strerror or error}") from error
