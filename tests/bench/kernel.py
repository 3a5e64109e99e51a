"""Time the functions of the kernels, by value and by element.

    python tests/bench/kernel.py                     every kernel there is, on one thread and on two
    python tests/bench/kernel.py --rows 200000       less of it

Prints a Markdown table of nanoseconds by field or element, the least of some rounds; two threads each do the whole job.
"""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from msecli import kernel
from msecli.kernel import python
from msecli.kernel.interface import Dialect, Kernel, Kind, Wanted

ROUNDS = 5
PART, MARGIN = 2 << 20, 1 << 14
"""Text is read in parts of this size, as files are; at the end of one, a record may be cut off."""


class Job(NamedTuple):
    """Something to time: what it is called, how many fields or elements it has, and how a kernel does it."""

    name: str
    size: int
    run: Callable[[Kernel], object]


def scan_job(name: str, columns: Iterable[Iterable[str]], *wanted: tuple[int, Kind], delimiter: str = ",") -> Job:
    """Return the job of reading some columns of a text part by part."""
    table = [list(column) for column in columns]
    text = memoryview("".join(f"{delimiter.join(row)}\n" for row in zip(*table, strict=True)).encode())
    dialect = Dialect(len(table), delimiter, decimal="," if delimiter == ";" else ".", missing=("", "NA", "nan"))
    places = [Wanted(column, kind) for column, kind in wanted]

    def run(chosen: Kernel) -> None:
        start = rows = 0
        while start < len(text):
            part = text[start : start + PART]
            part = part[: chosen.border(part, dialect, max(0, len(part) - MARGIN), last=start + PART >= len(text))]
            found = chosen.scan(part, dialect, places)
            assert found.fault is None
            start, rows = start + len(part), rows + found.rows
        assert rows == len(table[0])

    return Job(name, len(table[0]) * len(wanted), run)


def border_job(name: str, text: bytes) -> Job:
    """Return the job of finding where the last record of a text ends, by byte."""
    return Job(name, len(text), lambda chosen: chosen.border(text, Dialect(2), len(text)))


def jobs(rows: int) -> list[Job]:
    """Return everything that is timed."""
    make = np.random.default_rng(1)
    one, other = ([repr(value) for value in make.random(rows).tolist()] for _ in range(2))
    groups = [f"group {code}" for code in make.integers(0, 100, rows).tolist()]
    quoted = [f'"{word}, ""x""\nand more"' for word in groups]
    number, label = Kind.NUMBER, Kind.TEXT
    few = max(1, rows // 10)
    p, t, w = make.standard_normal((3, rows))
    codes, weight, out = make.integers(0, 100, rows), np.abs(w), np.empty(rows)
    return [
        scan_job("numbers of 18 digits", (one, other), (0, number), (1, number)),
        scan_job("numbers of 6 digits", ((v[:8] for v in one), (v[:8] for v in other)), (0, number), (1, number)),
        scan_job(
            "decimal commas",
            ([v.replace(".", ",") for v in c] for c in (one, other)),
            (0, number),
            (1, number),
            delimiter=";",
        ),
        scan_job("quoted numbers", ((f'"{v}"' for v in one), (f'"{v}"' for v in other)), (0, number), (1, number)),
        scan_job("missing numbers", (["", "NA"] * (rows // 2), other[: rows // 2 * 2]), (0, number)),
        scan_job("2 of 30 columns", (c[:few] for c in [one, other] * 15), (3, number), (20, number)),
        scan_job("numbers beside quoted text", (quoted, one), (1, number)),
        scan_job("integer labels", (map(str, range(rows)), one), (0, Kind.INTEGER)),
        scan_job("text labels", (groups, one), (0, label)),
        scan_job("quoted text labels", (quoted, one), (0, label)),
        border_job("border, by byte of text without quotes", "\n".join(one).encode()),
        border_job("border, by byte of quoted text", "\n".join(quoted).encode()),
        Job("squared error", rows, lambda chosen: chosen.squared_error(p, t)),
        Job(
            "squared error, in cache",
            rows,
            lambda chosen: [chosen.squared_error(p[:8192], t[:8192]) for _ in range(rows // 8192 + 1)],
        ),
        Job("weighted squared error", rows, lambda chosen: chosen.squared_error(p, t, weight)),
        Job("gradient", rows, lambda chosen: chosen.gradient(p, t, None, 3.0, out)),
        Job("exact sum", rows, lambda chosen: chosen.exact_sum(p)),
        Job("sums of 100 slots", rows, lambda chosen: chosen.sums_by_slot(p, codes, 100)),
        Job("squared error of 100 slots", rows, lambda chosen: chosen.squared_error_by_slot(p, t, None, codes, 100)),
    ]


def timed(job: Job, chosen: Kernel, threads: int) -> float:
    """Return the nanoseconds by field or element on some threads that each do the whole job."""
    least = float("inf")
    for _ in range(ROUNDS):
        workers = [threading.Thread(target=job.run, args=(chosen,)) for _ in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        least = min(least, time.perf_counter() - began)
    return least / job.size / threads * 1e9


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    arguments = parser.parse_args()
    kernels: dict[str, Kernel] = {"native": kernel.chosen()} if kernel.name() == "native" else {}
    kernels["python"] = python
    columns = [(name, threads) for name in kernels for threads in (1, 2)]
    print("| nanoseconds |", *(f"{name}, {threads} thread{'s' * (threads > 1)} |" for name, threads in columns))
    print("|---|" + "---|" * len(columns))
    for job in jobs(arguments.rows):
        print(
            f"| {job.name} |", *(f"{timed(job, kernels[name], threads):.2f} |" for name, threads in columns), flush=True
        )


if __name__ == "__main__":
    main()
