"""What changes with the content of a file, without reading it."""

from __future__ import annotations

import os
import stat

from msecli.errors import ReadWriteError
from msecli.places import is_url, local_path, open_stored
from msecli.tuples import NamedTuple


class FileState(NamedTuple):
    """What tells a file from others, and changes with its content.

    Parameters
    ----------
    path : str
        Its real path, or its URL.
    size : int
        In bytes.
    version : int or str
        When it was changed, in nanoseconds, or what a server tells in place of that.
    """

    path: str
    size: int
    version: int | str


def file_state(path: str) -> FileState | None:
    """Return the state of a file; None if it is a stream, or its server does not tell when it changes.

    Raises
    ------
    ReadWriteError
        If there is no such file.
    """
    local = local_path(path)
    if is_url(local):
        opened = open_stored(local)
        version = getattr(opened, "version", "")
        return FileState(local, opened.size, version) if version else None
    try:
        status = os.stat(local)
    except OSError as error:
        raise ReadWriteError(f"{path}: cannot read: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileState(os.path.realpath(local), status.st_size, status.st_mtime_ns)
