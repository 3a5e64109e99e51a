"""How this process uses memory and threads: settings of the interpreter and of libraries, for a run as a whole."""

from __future__ import annotations

import gc
import os
import signal
from types import FrameType
from typing import NoReturn

OBJECTS_BEFORE_COLLECTION = 100_000
"""Above what imports make: nothing of that is garbage, and looking through it is a tenth of a short run."""

ENVIRONMENT = {
    # The threads that OpenBLAS starts at import are never used here.
    "OPENBLAS_NUM_THREADS": "1",
    # Arrow's allocator takes memory when it is needed, not much of it ahead: a tenth less at the peak.
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
}
"""Unless the user has set them."""

# From malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 256 << 20


EXIT_TERMINATED = 143

_ours = False
"""Whether the process was started for this run, which may then set how it takes signals."""


def start() -> None:
    """Set what has to be set before libraries are imported."""
    global _ours  # noqa: PLW0603 - there is one process
    _ours = True
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next block, of which there are thousands of the same size.

    Otherwise it gives blocks of this size back to the system, and takes them again page by page: a sixth of a run.
    This is for glibc; other C libraries do as they do.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES // 8)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)


def take_no_more_signals() -> None:
    """Have the run end as it is about to: what would stop it now comes too late."""
    if _ours:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def end() -> None:
    """Spare the interpreter the search for garbage when it exits: the system takes all of it back at once."""
    take_no_more_signals()
    gc.freeze()
