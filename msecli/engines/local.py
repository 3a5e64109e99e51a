"""Work in threads of this process, with results in order and a bounded number of them waiting."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

Task = Callable[[], Iterator[T]]
"""Work that yields results one after another."""

RESULTS_PER_LANE = 2
"""Results of one task that may wait: a task with more is paused, and does not hold its thread meanwhile."""


class Instead(Exception):  # noqa: N818 - not an error, but a change of plan
    """Raised by a task: other tasks take the place of it, as if it had had no results, and of all behind it."""

    def __init__(self, tasks: Iterable[Task[Any]]) -> None:
        super().__init__(tasks)
        self.tasks = tasks


class Pool:
    """Threads that run calls, which never raise, in the order in which they were submitted.

    The executor of the standard library does more, and imports logging with it: some milliseconds of every run.
    """

    def __init__(self, threads: int) -> None:
        self._most = threads
        self._threads: list[Thread] = []
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def submit(self, call: Callable[[], None]) -> None:
        """Have a thread run the call as soon as one is free."""
        self._calls.put(call)
        if len(self._threads) < self._most:
            self._threads.append(Thread(target=self._run, name=f"msecli-{len(self._threads)}"))
            self._threads[-1].start()

    def close(self) -> None:
        """Drop the calls that no thread has begun, and wait for the others."""
        with contextlib.suppress(Empty):
            while True:
                self._calls.get_nowait()
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            call()


class Lane(Generic[T]):
    """One task on its way: its waiting results, and whether a thread is at work on it.

    The thread that runs `advance` leaves when enough results wait; the consumer that takes one asks for more. So
    threads never block, and any number of lanes may share a few of them.
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
        """Have a thread of the pool produce results, unless one does or enough are waiting."""
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
        The cores this process may use.

    Examples
    --------
    >>> with LocalEngine(jobs=2) as engine:
    ...     list(engine.run(lambda n=n: iter([n, n * n]) for n in range(3)))
    [0, 0, 1, 1, 2, 4]
    """

    def __init__(self, jobs: int | None = None) -> None:
        self.jobs = jobs or available_cores()
        self._pool = Pool(self.jobs) if self.jobs > 1 else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.close()

    def run(self, tasks: Iterable[Task[T]]) -> Iterator[T]:
        """Yield the results of all tasks, in the order of the tasks; `tasks` is drawn from as results are taken.

        An error of a task, or in drawing one, is raised behind the results of the tasks before it. A task that
        raises `Instead` before its first result changes what comes from there on.
        """
        while True:
            try:
                yield from self._in_order(tasks)
            except Instead as change:
                tasks = change.tasks
            else:
                return

    def _in_order(self, tasks: Iterable[Task[T]]) -> Iterator[T]:
        if self._pool is None:
            for task in tasks:
                yield from task()
            return
        waiting = iter(tasks)
        lanes: deque[Lane[T]] = deque()
        failure: Exception | None = None
        while True:
            try:
                # One more than there are threads, so that none waits for the consumer.
                while failure is None and len(lanes) <= self.jobs and (due := next(waiting, None)) is not None:
                    lanes.append(Lane(due))
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
    """Return the number of cores this process may use, by affinity and by the limit of its control group."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        with open("/sys/fs/cgroup/cpu.max", encoding="ascii") as file:
            quota, period = file.read().split()
        return allowed if quota == "max" else max(1, min(allowed, int(quota) // int(period)))
    except (OSError, ValueError):
        return allowed
