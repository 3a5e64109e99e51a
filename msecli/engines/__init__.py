"""The table of engines, which decide where parts are folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from types import TracebackType
from typing import NamedTuple, Protocol, Self, TypeVar

from msecli.errors import UsageError, meant

Item = TypeVar("Item")
Found = TypeVar("Found")


class Engine(Protocol):
    """Runs the same work on many items, and yields the results in the order of the items.

    Attributes
    ----------
    jobs : int
        How many items it works on at once.
    """

    jobs: int

    def run(self, work: Callable[[Item], Iterator[Found]], items: Iterable[Item]) -> Iterator[Found]:
        """Yield what `work` yields for each item, item after item.

        Items are drawn as results are taken. An error from the work on an item, or from drawing one, is raised after
        the results of the items before it. Work, items and results may have to be pickled.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class EngineEntry(NamedTuple):
    """A line of the `ENGINES` table: the engine's name, its meaning, and its module and class."""

    name: str
    meaning: str
    home: str
    maker: str

    def start(self, jobs: int | None) -> Engine:
        """Return an engine that runs `jobs` items at once; by default it decides how many."""
        engine: Engine = getattr(import_module(self.home), self.maker)(jobs)
        return engine


ENGINES: dict[str, EngineEntry] = {
    entry.name: entry
    for entry in (EngineEntry("local", "threads of this process", "msecli.engines.local", "LocalEngine"),)
}


def engine_named(name: str) -> EngineEntry:
    """Return the engine of a name.

    Raises
    ------
    UsageError
        For an unknown name.
    """
    if name not in ENGINES:
        raise UsageError(f"unknown engine {name!r}; choose from {', '.join(ENGINES)}{meant(name, ENGINES)}")
    return ENGINES[name]
