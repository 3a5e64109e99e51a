"""Settings of this process: memory, threads and signals of the interpreter and its libraries."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

OBJECTS_BEFORE_COLLECTION = 100_000
"""More objects than imports create: none of these is garbage, and scanning them takes a tenth of a short run."""

COMPLETION = "_MSECLI_COMPLETE"
"""Set by the shell's script to ask for completions, and by users to ask for the script; the name is Click's."""

ENVIRONMENT = {
    # msecli never uses the threads that OpenBLAS starts on import.
    "OPENBLAS_NUM_THREADS": "1",
    # Arrow's allocator then commits memory on demand, which lowers the peak by a tenth.
    "MIMALLOC_ARENA_EAGER_COMMIT": "0",
}
"""Environment variables to set, unless the user has."""

# From malloc.h of glibc.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 256 << 20


EXIT_TERMINATED = 143

_ours = False
"""Whether the process was started for this run, so that it may change how signals are handled."""


def start() -> None:
    """Make the process this run's: apply the settings that must precede the imports of libraries."""
    global _ours  # noqa: PLW0603 - there is one process
    _ours = True
    signal.signal(signal.SIGTERM, _terminate)
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Have glibc keep freed memory for the next block; a run allocates thousands of blocks of the same size.

    Otherwise it returns each to the system and gets the next one page by page, which takes a sixth of a run. Other C
    libraries are left alone.
    """
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_MMAP_THRESHOLD, KEPT_BYTES // 8)
        mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def _terminate(signum: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(EXIT_TERMINATED)


def take_no_more_signals() -> None:
    """Ignore signals from now on: the run is complete, and must not be reported as interrupted."""
    if _ours:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def end(code: int) -> NoReturn:
    """Exit with a code.

    A process of our own does so at once: taking down every module and object takes a thirtieth of a short run, and the
    operating system frees the memory anyway.
    """
    if not _ours:
        sys.exit(code)
    take_no_more_signals()
    atexit._run_exitfuncs()  # noqa: SLF001 - the interpreter's own way to run them
    for stream in (sys.stdout, sys.stderr):
        # What could not be written has been reported where there was a way to.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
    os._exit(code)
