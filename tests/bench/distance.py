"""Time scores of files on a server that is far away, beside the time that their bytes take on the line.

    python -m tests.bench.distance FOLDER

FOLDER holds the files that `tests/bench/data.py` writes. The server waits 100 ms before each answer, and sends as many
bytes a second as its line is said to carry, over all connections together. It runs in a process of its own.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.places.servers import Files, Server

DELAY_SECONDS = 0.1
LINES = (5e6, 25e6, 100e6)
"""Bytes a second."""
RUNS = 3
MOST_SECONDS = 15.0
"""Jobs that would take longer on a line are left out."""
JOBS = {
    "two CSV files": (("pred.csv", "target.csv"), ()),
    "two columns of Parquet": (("both.parquet",), ()),
    "two NPY files": (("pred.npy", "target.npy"), ()),
}
"""By their names, the files of jobs and their options."""


def serve(folder: str, bandwidth: str) -> None:
    """Serve the files of a folder, and print where, until standard input ends."""
    names = {name for files, _ in JOBS.values() for name in files}
    files = Files({f"/{name}": (Path(folder) / name).read_bytes() for name in names})
    with Server(files, delay=DELAY_SECONDS, bandwidth=float(bandwidth)).running() as server:
        print(server.url, flush=True)
        for _ in sys.stdin:
            print(server.sent, flush=True)
            server.forget()


@contextmanager
def served(folder: str, bandwidth: float) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Yield the address of a server, and its process."""
    command = [sys.executable, "-m", "tests.bench.distance", "serve", folder, str(bandwidth)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
        process.communicate()


def measured(url: str, process: subprocess.Popen[str], files: tuple[str, ...], options: tuple[str, ...]) -> list[float]:
    """Return the seconds of a job, and the bytes that the server sent."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "msecli", "compute", *(f"{url}/{name}" for name in files), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - begun
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return [seconds, float(process.stdout.readline())]


def main(folder: str) -> None:
    """Print a Markdown table."""
    print("| job | line, MB/s | MB sent | seconds | of the line alone |")
    print("|---|---|---|---|---|")
    for bandwidth in LINES:
        with served(folder, bandwidth) as (url, process):
            for name, (files, options) in JOBS.items():
                size = sum((Path(folder) / each).stat().st_size for each in files)
                if size / bandwidth > MOST_SECONDS:
                    continue
                found = [measured(url, process, files, options) for _ in range(RUNS)]
                seconds, sent = (median(column) for column in zip(*found, strict=True))
                line = sent / bandwidth
                print(f"| {name} | {bandwidth / 1e6:g} | {sent / 1e6:.1f} | {seconds:.2f} | {seconds / line:.2f} |")


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
