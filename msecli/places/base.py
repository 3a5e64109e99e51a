"""The protocol of input files, wherever their bytes lie."""

from __future__ import annotations

from typing import Any, Protocol


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

    def for_arrow(self) -> Any:
        """Return what pyarrow opens to read this very file: a path, or an open file of pyarrow."""
        ...
