"""One of many files: it is open only while it is read, so that thousands can be the rows of one source."""

from __future__ import annotations

import pickle
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING, Any

from msecli.places import open_input

if TYPE_CHECKING:
    from msecli.places.base import InputFile

MOST_OPEN = 16
"""Files that stay open: more than most runs have threads, and few beside the 256 that some systems allow."""


class OneOfMany:
    """A file that is opened whenever it is read. See `msecli.places.base.InputFile`.

    In between only the pickled form is held, which refuses to be opened again once the file has changed.

    Parameters
    ----------
    path, word, shown : str
        As for `msecli.places.open_input`.

    Raises
    ------
    MsecliError
        As `msecli.places.open_input` does.
    """

    def __init__(self, path: str, word: str = "", shown: str = "") -> None:
        file = open_input(path, word, shown)
        self.path, self.word, self.size = file.path, word, file.size
        self._closed = pickle.dumps(file)
        # A copy without a name, as of a pipe, cannot be opened again once it is closed.
        self._copy = file if getattr(file, "unnamed", False) else None
        _keep_open(self._closed, file)

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the file."""
        return self._opened().read(size, offset)

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        self._opened().fill(buffer, offset)

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`."""
        return self._opened().reaches(offset)

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was first opened."""
        self._opened().verify()

    def for_arrow(self) -> Any:
        """Return what pyarrow opens to read this very file."""
        return self._opened().for_arrow()

    def _opened(self) -> InputFile:
        with _lock:
            known = _open.get(self._closed)
            if known is not None:
                _open.move_to_end(self._closed)
                return known
        file: InputFile = pickle.loads(self._closed)  # noqa: S301 - pickled by this very class
        _keep_open(self._closed, file)
        return file


_open: OrderedDict[bytes, InputFile] = OrderedDict()
"""The files that were used last; another one closes when nobody uses it any more."""
_lock = Lock()


def _keep_open(closed: bytes, file: InputFile) -> None:
    with _lock:
        _open[closed] = file
        _open.move_to_end(closed)
        gone = [_open.popitem(last=False)[1] for _ in range(len(_open) - MOST_OPEN)]
    del gone  # closes files, outside of the lock
