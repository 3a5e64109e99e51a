"""What a Dask cluster costs: for each part, beside the local engine, and of memory of the client; and what follows.

    python -m tests.bench.cluster parts [N...]    so many parts without work: seconds, and the memory of the client
    python -m tests.bench.cluster files [ROWS]    files of so many rows, by the local engine and by two workers
    python -m tests.bench.cluster table           what the constants below make of larger data, on paper

The scheduler, the workers and the client are processes of their own on this machine. The constants are those of the
figures in CONTRIBUTING.md.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from math import ceil
from operator import add, methodcaller
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from tests.engines.cluster import Cluster, cluster_of

WORKERS = 2
RUNS = 5

START_SECONDS = 0.01
"""A run of no rows over a connection that is there: plan, one task, its result."""
PART_SECONDS = 0.0016
"""The time of the scheduler for a part and its share of the joins, measured with parts without work."""
ROWS_PER_SECOND = 80e6
"""Rows of two columns of float64 that a core reads from Parquet, scores and sums."""
BYTES_PER_ROW = 16
"""Of the same file, uncompressed."""
STATE_BYTES = 1400
"""A state as it travels between workers: of a loss; each metric adds a few hundred bytes, a group as much as all."""
ITEM_BYTES = 1000
"""The description of a part, as it travels to a worker."""
CLIENT_BYTES = 85e6
"""Peak memory of the client, whatever the number of parts."""
FOOTER_BYTES = 400
"""What a row group of a Parquet file adds to it."""
GROUP_ROWS = 1 << 20
"""Rows of a row group."""
NETWORK = 1.25e9
"""Bytes a second of the network of a machine with `CORES` cores, which reads from elsewhere: 10 Gbit/s."""
CORES = 16
KEYED_ROWS = 2_000_000
"""Rows that are paired by a key, shuffled in one of the files."""
JOINED = 8
"""Results that a task joins."""


class Counted:
    """So many items, each made when it is drawn; to iterate over one is the work on it."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[tuple[int]]:
        return repeat((1,), self._number)


def client(address: str, number: int) -> None:
    """Run so many parts; print the seconds, the number of results, and the peak memory in MB before and after."""
    from msecli.engines import Workers, engine_named

    with engine_named("dask").start(None, Workers(address)) as engine:
        work, join = methodcaller("__iter__"), add  # which the workers have, too
        list(engine.run(work, Counted(100), join))
        before, begun = peak(), time.perf_counter()
        found = list(engine.run(work, Counted(number), join))
        print(time.perf_counter() - begun, sum(found), before, peak())


def peak() -> float:
    """Return the peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


class Measured(NamedTuple):
    """What a client has measured: seconds, results, and its peak memory in MB, before and after."""

    seconds: float
    results: int
    before: float
    after: float


def measured(cluster: Cluster, number: int) -> Measured:
    """Return what a client of its own measures with so many parts."""
    words = [sys.executable, "-m", "tests.bench.cluster", "client", cluster.address, str(number)]
    ran = subprocess.run(words, capture_output=True, check=True, text=True, cwd=Path(__file__).parents[2])
    seconds, results, before, after = ran.stdout.split()
    return Measured(float(seconds), int(results), float(before), float(after))


def parts(numbers: Sequence[int]) -> None:
    """Print what parts without work cost."""
    print("| parts | seconds | ms per part | client MB before | after |\n|--:|--:|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder, cluster_of(Path(folder), WORKERS) as cluster:
        for number in numbers:
            seconds, results, before, after = measured(cluster, number)
            assert results == number
            print(
                f"| {number:,} | {seconds:.2f} | {1000 * seconds / number:.2f} | {before:.0f} | {after:.0f} |",
                flush=True,
            )


def files(rows: int) -> None:
    """Print what files cost by two threads of this process, and by two workers."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    import msecli

    random = np.random.default_rng(1)
    print("| file | local s | two workers s | ratio |\n|---|--:|--:|--:|")
    with tempfile.TemporaryDirectory() as folder, cluster_of(Path(folder) / "c", WORKERS) as cluster:
        values = [random.normal(size=rows) for _ in range(2)]
        paths = [str(Path(folder, f"{name}.npy")) for name in "pt"]
        for path, each in zip(paths, values, strict=True):
            np.save(path, each)
        table = pa.table(dict(zip(("pred", "target"), values, strict=True)))
        pq.write_table(table, Path(folder, "x.parquet"), row_group_size=GROUP_ROWS // 4)
        from pyarrow.csv import write_csv

        write_csv(table, Path(folder, "x.csv"))
        small = str(Path(folder, "s.npy"))
        np.save(small, np.zeros(10))
        keyed = {kind: [str(Path(folder, f"{name}k.{kind}")) for name in "pt"] for kind in ("parquet", "csv")}
        ids = np.arange(min(rows, KEYED_ROWS)), random.permutation(min(rows, KEYED_ROWS))
        for number, (name, values_of) in enumerate(zip(("pred", "target"), values, strict=True)):
            part = pa.table({"id": ids[number], name: values_of[ids[number]]})
            pq.write_table(part, keyed["parquet"][number], row_group_size=GROUP_ROWS // 4)
            write_csv(part, keyed["csv"][number])
        import distributed

        sides: dict[str, tuple[list[str], dict[str, Any]]] = {
            "two NPY files": (paths, {}),
            "Parquet": ([str(Path(folder, "x.parquet"))], {}),
            "CSV": ([str(Path(folder, "x.csv"))], {}),
            f"Parquet, {len(ids[0]):,} rows by key": (keyed["parquet"], {"on": "id"}),
            f"CSV, {len(ids[0]):,} rows by key": (keyed["csv"], {"on": "id"}),
            "ten rows": ([small, small], {}),
        }
        connect: Any = distributed.Client
        with connect(cluster.address):
            for name, (data, more) in sides.items():
                local, far = list[float](), list[float]()
                found = set[float]()
                for _ in range(RUNS):
                    for times, engine in ((local, "local"), (far, "dask")):
                        begun = time.perf_counter()
                        found.add(msecli.score(*data, engine=engine, **more).loss or 0.0)
                        times.append(time.perf_counter() - begun)
                assert len(found) == 1
                here, there = median(local), median(far)
                print(f"| {name} | {here:.3f} | {there:.3f} | {there / here:.2f} |", flush=True)
        path = str(Path(folder, "state"))
        msecli.score(*paths, save_state=path)
        print(f"\na state takes {Path(path).stat().st_size:,} bytes as it is saved")


class Row(NamedTuple):
    """A line of the table on paper; seconds are those that each of three things takes if the others take none."""

    rows: float
    cores: int
    tasks: int
    bytes: float
    seconds: dict[str, float]
    client: float
    sent: float

    @property
    def whole(self) -> float:
        """The seconds of the run: they overlap, so the longest decide."""
        return START_SECONDS + max(self.seconds.values())


def on_paper(rows: float, cores: int) -> Row:
    """Return what so many rows cost on so many cores, by the constants above."""
    from msecli.scoring.spans import VALUES_PER_SECOND, number_of

    tasks = number_of(2 * rows / VALUES_PER_SECOND, cores)
    size = rows * BYTES_PER_ROW
    seconds = {
        "cores": ceil(tasks / cores) * rows / tasks / ROWS_PER_SECOND,
        "network": size / (ceil(cores / CORES) * NETWORK),
        "scheduler": tasks * PART_SECONDS,
    }
    client = CLIENT_BYTES + FOOTER_BYTES * rows / GROUP_ROWS
    sent = tasks * (ITEM_BYTES + STATE_BYTES * (1 + 1 / JOINED))
    return Row(rows, cores, tasks, size, seconds, client, sent)


def table() -> None:
    """Print the table on paper."""
    print("| rows | cores | tasks | read | cores s | network s | scheduler s | run s | client MB | sent |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for rows in (1e9, 1e10, 1e12):
        for cores in (10, 100, 1000):
            row = on_paper(rows, cores)
            seconds = " | ".join(f"{each:,.1f}" for each in (*row.seconds.values(), row.whole))
            print(
                f"| 10^{len(str(int(rows))) - 1} | {cores:,} | {row.tasks:,} | {_size(row.bytes)} | {seconds} "
                f"| {row.client / 1e6:,.0f} | {_size(row.sent)} |"
            )


def _size(number: float) -> str:
    unit = next(unit for unit in ("TB", "GB", "MB", "kB") if number >= UNITS[unit])
    return f"{number / UNITS[unit]:,.3g} {unit}"


UNITS = {"TB": 1e12, "GB": 1e9, "MB": 1e6, "kB": 1e3}


def main() -> None:
    """Do what the first word says."""
    what, *more = sys.argv[1:] or ["table"]
    numbers = [int(word) for word in more if word.isdigit()]
    actions: dict[str, Callable[[], None]] = {
        "client": lambda: client(more[0], numbers[-1]),
        "parts": partial(parts, numbers or [1000, 10_000, 100_000]),
        "files": partial(files, *(numbers or [10_000_000])),
        "table": table,
    }
    actions[what]()


if __name__ == "__main__":
    main()
