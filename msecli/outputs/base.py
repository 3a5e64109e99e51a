"""The protocols of output formats."""

from __future__ import annotations

from collections.abc import Container
from importlib import import_module
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from msecli.errors import escaped
from msecli.tuples import NamedTuple

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
    """A line of the `RENDERERS` table.

    Parameters
    ----------
    name, meaning : str
    suffix : str, optional
    module, writer : str
        A module of `msecli.outputs`, loaded when something is written in the format, and the function in it that writes
        a result.
    values_writer : str, optional
        The callable in it that makes a `ValuesWriter`; None for a format without a place for values of elements.
    binary : bool
        Whether the format is for files only.
    whole : bool
        Whether it holds the metrics beside the values of elements.
    rounded : bool
        Whether numbers are rounded to `Style.precision`.
    beside : bool
        Whether it may be written to standard output besides the result.
    lines : bool
        Whether another result can be added to a file.
    """

    name: str
    meaning: str
    suffix: str | None
    module: str
    writer: str
    values_writer: str | None
    binary: bool = False
    whole: bool = False
    rounded: bool = False
    beside: bool = False
    lines: bool = False

    def result(self, stream: BinaryIO, report: Report, style: Style) -> None:
        """Write a result."""
        self._named(self.writer)(stream, report, style)

    def values(self, stream: BinaryIO, layout: Layout, style: Style) -> ValuesWriter:
        """Return a writer of values of elements, if the format has a place for them."""
        writer: ValuesWriter = self._named(str(self.values_writer))(stream, layout, style)
        return writer

    def _named(self, name: str) -> Any:
        return getattr(import_module(f"msecli.outputs.{self.module}"), name)
