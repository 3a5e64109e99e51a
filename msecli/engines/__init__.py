"""The table of engines, which decide where parts are folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar, runtime_checkable

from msecli.errors import ReadWriteError, UsageError, meant
from msecli.tuples import NamedTuple

Item = TypeVar("Item")
Found = TypeVar("Found")
Told = TypeVar("Told")


def untold(share: float) -> None:
    """Tell nobody of progress."""


class Workers(NamedTuple):
    """Where the workers of a distributed engine are: at most one of the first three is given.

    Parameters
    ----------
    scheduler : str, optional
        The address of their scheduler.
    scheduler_file : str, optional
        A file that the scheduler has written, with its address.
    local : int, optional
        How many to start on this machine, just for this run.
    timeout : float
        How many seconds to wait for one.
    """

    scheduler: str | None = None
    scheduler_file: str | None = None
    local: int | None = None
    timeout: float = 30.0


class Engine(Protocol):
    """Runs the same work on many items, and yields the results in the order of the items.

    Attributes
    ----------
    jobs : int
        How many items it works on at once.
    distributed : bool
        Whether other machines do the work. Items are then to be large, and results small, because both travel.
    """

    jobs: int
    distributed: bool

    def run(
        self,
        work: Callable[[Item], Iterator[Found]],
        items: Iterable[Item],
        join: Callable[[Found, Found], Found] | None = None,
        progress: Callable[[float], None] = untold,
        *,
        stepwise: bool = False,
    ) -> Iterator[Found]:
        """Yield what `work` yields for each item, item after item.

        Items are drawn as results are taken. An error from the work on an item, or from drawing one, is raised after
        the results of the items before it. Work, items and results may have to be pickled.

        Parameters
        ----------
        work : callable
        items : iterable
        join : callable, optional
            From a result and the next one to one of both; it is associative. A distributed engine joins the results
            where they are, and yields one at most.
        progress : callable
            Called with the share of the items that are done by an engine that joins their results.
        stepwise : bool
            Whether a distributed engine yields what it has joined now and then, not once; each result is then of the
            items that follow those of the one before.
        """
        ...

    def checked(self, probe: Callable[[], None]) -> Engine:
        """Return the same engine, but for machines that call `probe` before they do any work.

        An error of the probe names the machine, and is then raised by `run`.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Exchange(NamedTuple, Generic[Told]):
    """Pieces that were dealt into buckets, and stay where they are until they are worked on.

    Parameters
    ----------
    told : object
        What is told of all items together.
    buckets : int
    run : callable
        As `Engine.run`, with the pieces of a bucket, in the order of the items, as an item.
    exchange : callable
        As `Exchanger.exchange`, with these pieces as the items.

    One of them is called, once, without items: the pieces are then given up.
    """

    told: Told
    buckets: int
    run: Callable[..., Iterator[Any]]
    exchange: Callable[..., Exchange[Any]]


@runtime_checkable
class Exchanger(Protocol):
    """An engine that deals what is made of items into buckets, wherever it works on them."""

    def exchange(
        self,
        deal: Callable[[Item], tuple[Told, Sequence[Any]]],
        items: Sequence[Item],
        join: Callable[[Told, Told], Told],
        buckets: int,
        progress: Callable[[float], None] = untold,
    ) -> Exchange[Told]:
        """Deal all items.

        Parameters
        ----------
        deal : callable
            From an item to what is told of it, and a piece for each bucket, None for one that gets nothing.
        items : sequence
        join : callable
            From what is told of an item and of the next one to one of both; it is associative.
        buckets : int
        progress : callable
            Called with the share of the items that are dealt.

        Raises
        ------
        MsecliError
            The first error of `deal`, in the order of the items.
        """
        ...


NOWHERE = Workers()
"""Nothing says where workers are."""


class EngineEntry(NamedTuple):
    """A line of the `ENGINES` table: the engine's name, its meaning, and its module and class."""

    name: str
    meaning: str
    home: str
    maker: str
    extra: str = ""
    """The extra of msecli that installs what a distributed engine needs; no other engine has one."""

    @property
    def distributed(self) -> bool:
        """Whether other machines do the work."""
        return bool(self.extra)

    def start(self, jobs: int | None, workers: Workers = NOWHERE) -> Engine:
        """Return an engine that runs `jobs` items at once; by default it decides how many.

        Raises
        ------
        UsageError
            If nothing says where the workers of a distributed engine are.
        ReadWriteError
            If a library is missing.
        """
        try:
            maker = getattr(import_module(self.home), self.maker)
        except ModuleNotFoundError as error:
            if not self.extra:
                raise
            raise ReadWriteError(
                f"the engine {self.name!r} needs another library; run: pip install 'msecli[{self.extra}]'"
            ) from error
        engine: Engine = maker(workers) if self.distributed else maker(jobs)
        return engine


ENGINES: dict[str, EngineEntry] = {
    entry.name: entry
    for entry in (
        EngineEntry("local", "threads of this process", "msecli.engines.local", "LocalEngine"),
        EngineEntry("dask", "the workers of a Dask cluster", "msecli.engines.dask", "DaskEngine", extra="dask"),
    )
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
