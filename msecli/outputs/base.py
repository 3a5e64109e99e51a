"""The protocols of output formats."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, Protocol

from msecli.errors import escaped

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from msecli.results.base import Report
    from msecli.results.values import Keys, Layout


class Style(NamedTuple):
    """The look of tables.

    Parameters
    ----------
    precision : int
        Significant digits.
    width : int, optional
        Width in characters; None for the terminal's.
    color : bool
    terminal : bool
        Whether somebody reads it at a terminal, where the signature is short.
    time : str, optional
        When the result was computed, for a line of a history.
    """

    precision: int = 6
    width: int | None = 80
    color: bool = False
    terminal: bool = False
    time: str | None = None


def data_label(label: str, reserved: Container[str]) -> str:
    """Escape a label, so that it adds no fields or lines and cannot be mistaken for one of msecli's own."""
    text = escaped(label)
    if text in reserved:
        return f'"{text}"'
    return f"\\{text}" if text.startswith('"') else text


class ValuesWriter(Protocol):
    """Writes values to a seekable stream, some rows at a time."""

    def append(self, block: NDArray[np.float64], keys: Keys) -> None:
        """Write values, shape (rows, ...), beside the keys of their rows, if there are any."""
        ...

    def close(self, report: Report | None) -> None:
        """Write what follows the values; for losses, the rest of their result."""
        ...


class Renderer(NamedTuple):
    """A line of the `RENDERERS` table: functions that write a result, and values of elements, to a stream.

    A format without a function for values has no place for them. `binary` formats are for files only. `whole` formats
    hold the metrics beside the values of elements. Numbers are rounded to `Style.precision` only in `rounded` formats.
    What is `beside` may be written to standard output besides the result. To `lines` another result can be added.
    """

    name: str
    meaning: str
    suffix: str | None
    result: Callable[[BinaryIO, Report, Style], None]
    values: Callable[[BinaryIO, Layout, Style], ValuesWriter] | None
    binary: bool = False
    whole: bool = False
    rounded: bool = False
    beside: bool = False
    lines: bool = False
