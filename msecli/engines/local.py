"""Threads of this process: results come in order, and only a bounded number of them waits."""

from __future__ import annotations

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

from msecli.engines import untold

T = TypeVar("T")
Item = TypeVar("Item")

Task = Callable[[], Iterator[T]]
"""The work on one item, which yields its results."""

RESULTS_PER_LANE = 2
"""Results of a task that may wait. A task with more is paused, and frees its thread meanwhile."""


PATIENCE_SECONDS = 1.0
"""How long a failed or interrupted run waits for its threads: one may wait for a pipe to which nobody writes."""

END = object()
"""Marks the end of the items; any value, None included, may be an item."""


class Pool:
    """Threads that run submitted calls in order; the calls must not raise.

    `concurrent.futures` imports logging, which costs every run some milliseconds.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[Thread] = []
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, call: Callable[[], None]) -> None:
        """Run the call in the next free thread."""
        self._calls.put(call)
        if len(self._threads) < self._most:
            self._threads.append(Thread(target=self._run, name=f"msecli-{len(self._threads)}", daemon=True))
            self._threads[-1].start()

    def close(self, patience: float | None = None) -> None:
        """Drop the calls that have not begun, and wait for the others, in all so many seconds at most."""
        with contextlib.suppress(Empty):
            while True:
                self._calls.get_nowait()
        for _ in self._threads:
            self._calls.put(None)
        end = None if patience is None else time.monotonic() + patience
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class Lane(Generic[T]):
    """A task in progress: its waiting results, and whether a thread is running it.

    A thread leaves the lane when enough results wait, and the consumer restarts it when it takes one. So threads never
    block, and any number of lanes may share a few of them.
    """

    def __init__(self, task: Task[T]) -> None:
        self._task: Task[T] | None = task
        self._results: deque[T] = deque()
        self._iterator: Iterator[T] | None = None
        self._error: BaseException | None = None
        self._condition = Condition()
        self._running = False
        self._ended = False

    def start(self, pool: Pool) -> None:
        """Have a thread of the pool produce results, unless one already does or enough are waiting."""
        with self._condition:
            if self._running or self._ended or len(self._results) >= RESULTS_PER_LANE // 2:
                return
            self._running = True
        pool.submit(self._advance)

    def take(self, pool: Pool) -> tuple[T] | None:
        """Return the next result in a tuple, or None after the last one."""
        self.start(pool)
        with self._condition:
            self._condition.wait_for(lambda: self._results or self._ended)
            if self._results:
                return (self._results.popleft(),)
        if self._error is not None:
            raise self._error
        return None

    def _advance(self) -> None:
        try:
            self._produce()
        except BaseException as error:  # noqa: BLE001 - handed over to the consumer, who raises it
            self._end(error)

    def _produce(self) -> None:
        if self._iterator is None and self._task is not None:
            self._iterator = self._task()
            self._task = None
        for result in self._iterator or ():
            with self._condition:
                self._results.append(result)
                self._running = len(self._results) < RESULTS_PER_LANE
                self._condition.notify()
                if not self._running:
                    return
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        with self._condition:
            self._error, self._ended, self._running, self._iterator = error, True, False, None
            self._condition.notify()


class LocalEngine:
    """Runs tasks in `jobs` threads, or without threads for one job.

    Parameters
    ----------
    jobs : int, optional
        By default the cores that this process may use.

    Examples
    --------
    >>> with LocalEngine(jobs=2) as engine:
    ...     list(engine.run(lambda n: iter([n, n * n]), range(3)))
    [0, 0, 1, 1, 2, 4]
    """

    distributed = False

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or available_cores()
        self._pool = Pool(self.jobs) if self.jobs > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.close(None if kind is None else PATIENCE_SECONDS)

    def checked(self, probe: Callable[[], None]) -> Self:
        """Return the same engine: this process sees what it sees."""
        return self

    def run(
        self,
        work: Callable[[Item], Iterator[T]],
        items: Iterable[Item],
        join: Callable[[T, T], T] | None = None,
        progress: Callable[[float], None] = untold,
        *,
        stepwise: bool = False,
    ) -> Iterator[T]:
        """Yield what `work` yields for each item; results stay as they are. See `msecli.engines.Engine`."""
        if self._pool is None:
            for item in items:
                yield from work(item)
            return
        waiting = iter(items)
        lanes: deque[Lane[T]] = deque()
        failure: Exception | None = None
        while True:
            try:
                # One more lane than threads, so that no thread waits for the consumer.
                while failure is None and len(lanes) <= self.jobs and (due := next(waiting, END)) is not END:
                    lanes.append(Lane(partial(work, due)))  # type: ignore[arg-type]
                    lanes[-1].start(self._pool)
            except Exception as error:  # noqa: BLE001 - raised again in its turn
                failure = error
            if not lanes:
                break
            while (result := lanes[0].take(self._pool)) is not None:
                yield result[0]
            lanes.popleft()
        if failure is not None:
            raise failure


def available_cores() -> int:
    """Count the cores that this process may use, by its affinity and its control group's limit."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed
