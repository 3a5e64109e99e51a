"""Calls for files on other machines, which mostly wait, made several at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextvars import copy_context
from typing import TypeVar

from msecli.places import LOCAL, place_of

T = TypeVar("T")

CALLS_AHEAD = 16
"""As many as fit the connections that are open to another machine at once."""


def ahead(paths: Sequence[str], calls: Iterable[Callable[[], T]]) -> Iterator[Callable[[], T]]:
    """Yield what returns the result of a call for each path; if some are elsewhere, calls are made ahead of that.

    A call for a file on another machine mostly waits.
    """
    if all(place_of(path) is LOCAL for path in paths):
        yield from calls
        return
    from concurrent.futures import Future, ThreadPoolExecutor

    threads = ThreadPoolExecutor(CALLS_AHEAD, "msecli-ahead")
    try:
        waiting: deque[Future[T]] = deque()
        for call in calls:
            waiting.append(threads.submit(copy_context().run, call))
            if len(waiting) == CALLS_AHEAD:
                yield waiting.popleft().result
        while waiting:
            yield waiting.popleft().result
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
