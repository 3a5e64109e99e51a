"""What a path of this machine means: a regular file, or a stream, which is read as it comes."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, cast

from msecli.errors import ReadWriteError
from msecli.places.file import STDIN, LocalFile, explained

if TYPE_CHECKING:
    from msecli.places.base import InputFile

PIPE_BYTES = 1 << 18
"""Bytes taken from a pipe at once, as far as they have come."""


def open_local(path: str, word: str = "", shown: str = "") -> InputFile:
    """Return the file of a path.

    Parameters
    ----------
    path : str
        "-" is standard input.
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
    if path != STDIN and not _is_stream(path):
        return LocalFile(path, word, shown)
    from msecli.places.stream import StreamFile

    return StreamFile(shown or path, _received(path), word, kind="stream")


def _is_stream(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False  # what is wrong with it is told where it is opened
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _received(path: str) -> Iterator[bytes]:
    """Yield what comes through a stream, as it comes."""
    with explained(path):
        if path == STDIN:
            yield from _standard_input()
        else:
            with open(path, "rb", buffering=0) as file:
                yield from iter(partial(file.read, PIPE_BYTES), b"")


def _standard_input() -> Iterator[bytes]:
    if sys.stdin is None:
        raise ReadWriteError(f"{STDIN}: cannot read: standard input is closed")
    buffer = cast("io.BufferedReader", sys.stdin.buffer)
    with contextlib.suppress(io.UnsupportedOperation):
        # Otherwise there may seem to be nothing more to read only because the writer is slow.
        os.set_blocking(buffer.fileno(), True)
    # What Python has already buffered comes first.
    if first := buffer.read1(PIPE_BYTES):
        yield first
        # A thread that waits must not hold the buffer's lock, which Python takes when it ends.
        unbuffered = cast("BinaryIO", getattr(buffer, "raw", buffer))
        yield from iter(partial(unbuffered.read, PIPE_BYTES), b"")


def files_below(folder: str, enter: Callable[[str], bool]) -> Iterator[str] | None:
    """Return the files below a folder. See `msecli.places.listing.Lister`."""
    return _files_below(folder, "", enter, ()) if os.path.isdir(folder) else None


def _files_below(
    folder: str, inside: str, enter: Callable[[str], bool], above: tuple[tuple[int, int], ...]
) -> Iterator[str]:
    """Yield the files below a folder in a folder; `above` are those that it is in, to which a link may lead back."""
    path = os.path.join(folder, inside)
    try:
        status = os.stat(path)
        with os.scandir(path) as found:
            entries = [(f"{inside}/{entry.name}" if inside else entry.name, entry.is_dir()) for entry in found]
    except OSError as error:
        raise ReadWriteError(f"{path}: cannot list the folder: {error.strerror or error}") from error
    identity = status.st_dev, status.st_ino
    for name, is_folder in entries if identity not in above else ():
        if not is_folder:
            yield name
        elif enter(name):
            yield from _files_below(folder, name, enter, (*above, identity))
