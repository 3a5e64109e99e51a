"""One of many files: it is open only while it is read, so that thousands can be the rows of one source."""

from __future__ import annotations

import pickle
import weakref
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from msecli.places import open_stored

if TYPE_CHECKING:
    from msecli.places.base import InputFile

T = TypeVar("T")

MOST_HELD = 16
"""Things that stay open: more than most runs have threads, and few beside the 256 files that some systems allow."""


class Reopened(Generic[T]):
    """What opens a thing whenever it is needed, and holds it while it is one of the last that were. Picklable."""

    _held: T | None = None

    @abstractmethod
    def open(self) -> T:
        """Open the thing."""

    def get(self) -> T:
        """Return the thing; it stays open for as long as it is referred to."""
        held = self._held
        if held is None:
            held = self._held = self.open()
        _last_used(self)
        return held

    def let_go(self) -> None:
        """Hold it no longer."""
        self._held = None

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the open thing."""
        return self.__dict__ | {"_held": None}


_used: dict[type, OrderedDict[int, weakref.ref[Reopened[Any]]]] = {}
_lock = Lock()


def _last_used(one: Reopened[Any]) -> None:
    with _lock:
        used = _used.setdefault(type(one), OrderedDict())
        used.pop(id(one), None)
        used[id(one)] = weakref.ref(one)
        gone = [used.popitem(last=False)[1]() for _ in range(len(used) - MOST_HELD)]
    for other in gone:
        if other is not None:
            other.let_go()


class OneOfMany(Reopened["InputFile"]):
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
        file = open_stored(path, word, shown)
        self.path, self.word, self.size = file.path, word, file.size
        self._closed = pickle.dumps(file)
        # What has no name, as a pipe, cannot be opened again once it is closed.
        self._copy = file if getattr(file, "unnamed", False) else None
        self._held = file
        _last_used(self)

    def open(self) -> InputFile:
        """Open the file again."""
        file: InputFile = self._copy or pickle.loads(self._closed)  # noqa: S301 - pickled by this very class
        return file

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the file."""
        return self.get().read(size, offset)

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        self.get().fill(buffer, offset)

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`."""
        return self.get().reaches(offset)

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was first opened."""
        self.get().verify()

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Take notice of what will be read next."""
        self.get().expect(ranges)

    def for_arrow(self) -> Any:
        """Return what pyarrow opens to read this very file."""
        return self.get().for_arrow()
