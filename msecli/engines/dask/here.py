"""Workers of a cluster on this machine, just for a run: processes that Dask's own command starts.

They are no children that import what this process runs: a script that starts them needs no `if __name__ ==
"__main__"`. And they are in a session of their own, so that Ctrl-C reaches only this process, which then ends them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from msecli.errors import ReadWriteError

START_SECONDS = 60
"""After so many seconds without the scheduler, a worker ends: nobody is left to end it."""
ALONE = "127.0.0.1"
"""Where others do not reach them."""


@contextmanager
def workers_here(scheduler: str, number: int, folder: str) -> Iterator[Callable[[], None]]:
    """Start so many workers of one thread, each of which is started again if it ends; end them all at the end.

    Parameters
    ----------
    scheduler : str
        Its address.
    number : int
    folder : str
        Where they may write.

    Yields
    ------
    callable
        Raises `ReadWriteError` if they cannot be started.
    """
    options = {
        "nworkers": number, "nthreads": 1, "host": ALONE, "memory-limit": 1 / number, "local-directory": folder,
        "death-timeout": START_SECONDS,
    }  # fmt: skip
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    # What this process imports, wherever that is.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    log = Path(folder, "log")
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - this very Python
            [sys.executable, "-m", "dask", "worker", scheduler, "--no-dashboard", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
        )

    def check() -> None:
        if process.poll() is not None:
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise ReadWriteError(f"the workers that `local` starts have ended (code {process.returncode}): {last}")

    try:
        yield check
    finally:
        # The whole session: a worker is a child of the process that starts it again.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
