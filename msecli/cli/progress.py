"""A progress bar on standard error, for runs long enough to need one."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from msecli.cli.colors import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 1.0
INTERVAL_SECONDS = 0.1


class ProgressBar:
    """Shows the share of work done when called with it; only on a terminal, and not in the first second."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted and is_terminal(sys.stderr)
        self._due = time.monotonic() + PATIENCE_SECONDS
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, share: float) -> None:
        """Show that this share of the work is done."""
        if not self._wanted or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + INTERVAL_SECONDS
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("reading", total=1.0)
            self._bar.start()
        if self._task is not None:
            self._bar.update(self._task, completed=share)
