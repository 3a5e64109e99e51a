"""The protocol of input files, wherever their bytes lie."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

AHEAD_BYTES = 32 << 20
"""The most that is fetched ahead of a reader: what is under way on a fast, long line."""


class InputFile(Protocol):
    """Bytes that can be read at any offset from any thread. Picklable.

    Attributes
    ----------
    path : str
        As the user wrote it, for messages.
    word : str
        What settings call the file, if there are others.
    """

    path: str
    word: str

    @property
    def size(self) -> int:
        """The number of bytes."""
        ...

    def read(self, size: int, offset: int) -> bytes:
        """Return up to `size` bytes from `offset`; fewer only at the end of the file.

        Raises
        ------
        DataError
            If the file has become shorter.
        """
        ...

    def fill(self, buffer: memoryview, offset: int) -> None:
        """Fill the whole buffer from `offset`."""
        ...

    def reaches(self, offset: int) -> bool:
        """Tell whether there is a byte at `offset`."""
        ...

    def verify(self) -> None:
        """Raise `DataError` if the file has changed since it was opened."""
        ...

    def expect(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Take notice of the first bytes, and the ends, of what will be read next, in this order.

        Where reading takes long to begin, the file fetches some of it ahead.
        """
        ...

    def for_arrow(self) -> Any:
        """Return what pyarrow opens to read this very file: a path, or an open file of pyarrow."""
        ...


class Store(Protocol):
    """Where an output goes in a place that is no folder of this machine.

    Attributes
    ----------
    path : str
        As the user wrote it, for messages.
    identity : str
        The same for every spelling of the path.
    """

    path: str
    identity: str

    def exists(self) -> bool:
        """Tell whether there is a file.

        Raises
        ------
        ReadWriteError
            If there cannot be one.
        """
        ...

    def put(self, content: str) -> None:
        """Write a file with the content of a local one, whole or not at all, and replace one that is there.

        Raises
        ------
        ReadWriteError
        """
        ...

    def remove(self) -> None:
        """Remove the file.

        Raises
        ------
        ReadWriteError
        """
        ...
