"""Sinks for values of elements; a gradient waits here until its divisor is known."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import IO, TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from msecli.arrays import FloatArray
from msecli.core.wide import Wide
from msecli.errors import ReadWriteError
from msecli.results.values import Keys, Layout

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Sink(Protocol):
    """Receives values, some rows at a time."""

    def begin(self, layout: Layout) -> None:
        """Prepare for values of this layout."""
        ...

    def append(self, block: FloatArray, keys: Keys) -> None:
        """Receive values, shape (rows, ...)."""
        ...


@runtime_checkable
class PartedSink(Protocol):
    """Where values go that are not to come here: other machines write them in parts. Picklable once it has begun."""

    def begin(self, layout: Layout) -> None:
        """Prepare for values of this layout."""
        ...

    def part(self, number: int) -> AbstractContextManager[Callable[[FloatArray, Keys], None]]:
        """Return a context of what takes the values of a part, which is there as a whole when the context ends.

        It is the same part, and replaced, if it is there already.
        """
        ...

    def finish(self, parts: int) -> None:
        """Mark the values as complete.

        Raises
        ------
        ReadWriteError
            If there are not so many parts.
        """
        ...


class ArraySink:
    """Keeps values in memory."""

    def __init__(self) -> None:
        self._item: tuple[int, ...] = ()
        self._blocks: list[FloatArray] = []

    def begin(self, layout: Layout) -> None:
        """Note the shape of a row."""
        self._item = layout.item

    def append(self, block: FloatArray, keys: Keys) -> None:
        """Keep values."""
        self._blocks.append(block)

    def array(self) -> FloatArray:
        """Return all values in one array."""
        return np.concatenate([np.empty((0, *self._item)), *self._blocks])


class Gradient:
    """Passes the gradient with respect to the prediction to its sink, and its negative to the target's.

    Undivided gradients wait in an unnamed temporary file until `finish` supplies the divisor.

    Parameters
    ----------
    sinks : mapping of str to Sink
        Receive "grad" and "grad_target".
    """

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        self._sinks = sinks
        self._kept: list[tuple[tuple[int, ...], bool, Keys]] = []
        self._file: IO[bytes] | None = None

    def append(self, block: FloatArray | Wide, keys: Keys) -> None:
        """Receive the gradient of some rows; if it is `Wide`, it is still undivided."""
        if not isinstance(block, Wide):
            self._hand_on(block, keys)
            return
        self._kept.append((block.values.shape, block.exponent is not None, keys))
        with _explained():
            if self._file is None:
                # Loaded only here: it takes some milliseconds.
                from tempfile import TemporaryFile

                self._file = TemporaryFile()  # noqa: SIM115 - closed with the gradient
                weakref.finalize(self, self._file.close)
            for array in (block.values, block.exponent):
                if array is not None:
                    self._file.write(np.ascontiguousarray(array).reshape(-1).data.cast("B"))

    def finish(self, divisor: int) -> None:
        """Divide the waiting gradients by a divisor in units of 2**-1074, and pass them on."""
        if self._file is None:
            return
        self._file.seek(0)
        for shape, scaled, keys in self._kept:
            values = self._read(shape, np.float64)
            exponent = self._read(shape, np.int64) if scaled else None
            self._hand_on(Wide(values, exponent).over(divisor), keys)

    def _read(self, shape: tuple[int, ...], dtype: type[Any]) -> NDArray[Any]:
        size = math.prod(shape)
        with _explained():
            data = b"" if self._file is None else self._file.read(8 * size)
        return np.frombuffer(data, dtype=dtype, count=size).reshape(shape)

    def _hand_on(self, block: FloatArray, keys: Keys) -> None:
        for name, values in handed_on(block):
            if name in self._sinks:
                self._sinks[name].append(values, keys)


def handed_on(gradient: FloatArray) -> Iterator[tuple[str, FloatArray]]:
    """Yield the gradients with respect to the prediction and the target."""
    yield "grad", gradient
    # 0 - x rather than -x, so that 0 does not become -0.
    yield "grad_target", 0.0 - gradient


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ReadWriteError(f"a temporary file cannot be written or read: {error.strerror or error}") from error
