"""Processes that tests start and act upon while they run."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def child(command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[Any]]:
    """Start a process that ends with the block: a failing test must not wait for one that is stopped or stuck."""
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.kill()
