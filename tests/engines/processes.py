"""An engine of processes, as short as one can be: whatever it runs has to be pickled, and is read elsewhere."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context
from types import TracebackType
from typing import Any, Self, TypeVar

from msecli.engines import untold

Item = TypeVar("Item")
Found = TypeVar("Found")

PROCESSES = 2
PATIENCE = 60
"""Seconds after which a process is given up."""
END = object()


class ProcessEngine:
    """Runs work in fresh processes that all engines share, a few items ahead. See `msecli.engines.Engine`."""

    distributed = False

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or PROCESSES
        self._ahead = self.jobs + 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def checked(self, probe: Callable[[], None]) -> Self:
        """Return the same engine: its processes are on this machine."""
        return self

    def run(
        self,
        work: Callable[[Item], Iterator[Found]],
        items: Iterable[Item],
        join: Callable[[Found, Found], Found] | None = None,
        progress: Callable[[float], None] = untold,
        *,
        stepwise: bool = False,
    ) -> Iterator[Found]:
        """Yield what `work` yields for each item, item after item."""
        waiting, running, failure = iter(items), deque[Any](), None
        while True:
            try:
                while failure is None and len(running) < self._ahead and (item := next(waiting, END)) is not END:
                    running.append(processes().submit(_found, pickle.dumps((work, item))))
            except Exception as error:  # noqa: BLE001 - raised again in its turn
                failure = error
            if not running:
                break
            found, broken = running.popleft().result(PATIENCE)
            yield from found
            if broken is not None:
                raise broken
        if failure is not None:
            raise failure


def _found(pickled: bytes) -> tuple[list[Any], Exception | None]:
    # Not unpickled by the pool: what fails to be is an error of this item, and not the end of the process.
    found: list[Any] = []
    try:
        work, item = pickle.loads(pickled)
        found.extend(work(item))
    except Exception as error:  # noqa: BLE001 - raised again by the consumer
        return found, error
    return found, None


@cache
def processes() -> ProcessPoolExecutor:
    """Return the processes, which share nothing with this one but the files."""
    return ProcessPoolExecutor(PROCESSES, get_context("spawn"))


def through_a_process(value: Item) -> Item:
    """Return a value as it comes back from another process."""
    returned: Item = processes().submit(_same, value).result(PATIENCE)
    return returned


def _same(value: Item) -> Item:
    return value
