"""A Dask cluster of real processes on the loopback device, as one is started by hand."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

PATIENCE = 90
"""Seconds after which something that should have happened is given up; the machine may be busy."""
TLS = "DASK_DISTRIBUTED__COMM__TLS__CA_FILE"
"""Set where the processes of a cluster know each other by certificates."""
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "ignore", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "20s"}


NOTHING: Mapping[str, str] = MappingProxyType({})

SMALL = {
    "msecli.formats.csv.PART_BYTES": 2_000,
    "msecli.formats.csv.RANGES_SURVEYED": 3,
    "msecli.formats.stored.PART_ELEMENTS": 200,
    "msecli.scoring.spans.BYTES_PER_SECOND": 5_000,
    "msecli.scoring.spans.VALUES_PER_SECOND": 200,
}
"""Constants by which small files are cut into many parts and some tasks, and text into many stretches."""


class Cluster:
    """A scheduler and its workers, each a process of its own.

    Parameters
    ----------
    folder : Path
        Where the processes write.
    preload : Path, optional
        What workers load as they start.
    more : mapping of str to str
        Added to the environment of the processes.
    """

    def __init__(self, folder: Path, preload: Path | None = None, more: Mapping[str, str] = NOTHING) -> None:
        self.folder, self.file, self._preload = folder, folder / "scheduler.json", preload
        self.more, self.environment = more, {**ENVIRONMENT, **more}
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start(
            "scheduler",
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            *self._protocol,
            "--no-dashboard",
            "--no-show",
            "--scheduler-file",
            self.file,
        )
        wait_until(lambda: self.file.exists() and self.file.read_text().rstrip().endswith("}"))
        self.address: str = json.loads(self.file.read_text())["address"]

    @property
    def _protocol(self) -> tuple[str, str]:
        return ("--protocol", "tls" if TLS in self.environment else "tcp")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()

    def add(self, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start a worker of one thread, without a nanny that would start it again; `before` are words before it."""
        words = (
            "worker", self.address, "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard",
            "--memory-limit", "0", "--local-directory", self.folder, *self._protocol,
        )  # fmt: skip
        more = () if self._preload is None else ("--preload", self._preload)
        self.workers.append(self._start(*words, *more, before=before))
        return self.workers[-1]

    def _start(self, *words: object, before: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        command = [*before, sys.executable, "-m", "dask", *map(str, words)]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=self.environment, cwd=self.folder)


def wait_until(happened: object) -> None:
    """Wait until a function returns what is true."""
    until = time.monotonic() + PATIENCE
    while not happened():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.05)


@contextmanager
def cluster_of(
    folder: Path, workers: int, preload: Path | None = None, more: Mapping[str, str] = NOTHING
) -> Iterator[Cluster]:
    """Yield a cluster with so many workers, all of them connected."""
    import distributed

    folder.mkdir(exist_ok=True)
    with Cluster(folder, preload, more) as cluster:
        for _ in range(workers):
            cluster.add()
        if not workers:
            yield cluster
            return
        connect: Any = distributed.Client
        with connect(cluster.address, set_as_default=False, timeout=PATIENCE) as client:
            wait_until(lambda: len(client.nthreads()) == workers)
        yield cluster
