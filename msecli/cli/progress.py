"""A progress bar on standard error, for runs long enough to need one."""

from __future__ import annotations

import sys
import time
from contextvars import Token
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Self

from msecli.cli.colors import is_terminal
from msecli.errors import visible
from msecli.places.file import COPYING, READING, Copied, copied

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 1.0
INTERVAL_SECONDS = 0.1


class ProgressBar:
    """Shows the share of work done when called with it, and how much of a stream of unknown length has come.

    Only on a terminal, and not in the first second.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted and is_terminal(sys.stderr)
        self._began = time.monotonic()
        self._due = self._began + PATIENCE_SECONDS
        self._doing = ""
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._token: Token[Copied] | None = None
        self._read: dict[str, int] = {}
        self._lock = Lock()

    def __enter__(self) -> Self:
        if self._wanted:
            self._token = copied.set(self._copied)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._token is not None:
            copied.reset(self._token)
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, share: float) -> None:
        """Show that this share of the work is done, and how long the rest will take at this speed."""
        with self._lock:
            seconds = self._seconds("reading")
            if share < 1 and self._is_due():
                left = f"  {time_text(seconds * (1 - share) / share)} left" if share > 0 < seconds else ""
                self._show(f"{share:.0%}{left}", share)

    def _copied(self, path: str, size: int, doing: str = COPYING) -> None:
        """Show that this many bytes of a stream have been copied or read, and how fast."""
        with self._lock:  # several threads may read streams
            if doing == READING:
                self._read[path] = size
                path, size = " and ".join(self._read), sum(self._read.values())
            seconds = self._seconds(f"{doing} {path}")
            if self._is_due():
                rate = f"  {size_text(size / seconds)}/s" if seconds > 0 else ""
                self._show(f"{size_text(size)}{rate}", None)

    def _seconds(self, doing: str) -> float:
        """Return how long this has been done; what was done before it has ended."""
        now = time.monotonic()
        if doing != self._doing:
            # The first thing began with the run.
            self._began = now if self._doing else self._began
            self._doing = doing
            if self._bar is not None and self._task is not None:
                self._bar.remove_task(self._task)
                self._task = None
        return now - self._began

    def _is_due(self) -> bool:
        now = time.monotonic()
        if not self._wanted or now < self._due:
            return False
        self._due = now + INTERVAL_SECONDS
        return True

    def _show(self, told: str, share: float | None) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn

            self._bar = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[told]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        if self._task is None:
            total = None if share is None else 1.0
            self._task = self._bar.add_task(visible(self._doing), total=total, told=told)
        self._bar.update(self._task, completed=share, told=told)


def time_text(seconds: float) -> str:
    """Return a time for people.

    Examples
    --------
    >>> time_text(7.2), time_text(75), time_text(3700)
    ('0:08', '1:15', '1:01:40')
    """
    minutes, rest = divmod(int(-(-seconds // 1)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size_text(size: float) -> str:
    """Return a number of bytes for people.

    Examples
    --------
    >>> size_text(512), size_text(1_234_567), size_text(2.5e12)
    ('512 B', '1.2 MB', '2,500.0 GB')
    """
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= factor:
            return f"{size / factor:,.1f} {unit}"
    return f"{size:.0f} B"
