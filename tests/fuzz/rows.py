"""Random tables of predictions, targets, keys, groups and weights, and ways to score them."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.fuzz.sizes import Sizes, tiny

NAN = math.nan
Columns = dict[str, list[Any]]


class RowsCase(NamedTuple):
    """Tables by the names of their files, and how they are scored.

    The prediction's table is the first, the target's the last; p0, … and t0, … are to be scored, w is the weight,
    k0, … are keys and g0, … groups.
    """

    tables: dict[str, Columns]
    weights: tuple[str, list[list[float]]] | None
    """A file of weights, one for each row or for each element."""
    width: int
    on: list[str]
    skip: bool
    by: list[str]
    batch: tuple[int, int | None, bool] | None
    """Size, seed and whether the last one is dropped."""
    axis: int | None
    reduction: str
    metrics: list[str]
    policies: dict[str, str]
    ignore: list[float]
    gradient: bool
    row_group: int
    sizes: Sizes
    jobs: int


METRICS = ["mse", "rmse", "mae", "max_error", "bias", "r2", "sse", "l1", "l2", "linf"]
POLICIES = ["raise", "omit", "omit", "omit", "propagate"]
WEIGHTS = [0.0, 0.0, 0.1, 1.0, 1.0, 2.0, 3.0, 1e-9, 1e9]
GROUPS: list[list[Any]] = [[1, 2, 3], [-5, 10**15], ["a", "b"], ["a", "7", "007", "b,c"], ["7", "8"], ["é", " 7", "x"]]
KEYS: list[Callable[[int], Any]] = [
    lambda number: number,
    lambda number: -3 * number,
    lambda number: number * 10**15,
    lambda number: f"k{number}",
    lambda number: f"{number:05d}",
    lambda number: number if number % 2 else f"a,{number}",
    str,
]


def rows_case(random: Random) -> RowsCase:
    """Return a case."""
    count, width = random.choice([1, 2, 3, 5, 8, 13, 40]), random.choice([1, 1, 2, 3])
    keyed = random.random() < 0.4
    two = keyed or random.random() < 0.6
    values = _values(random, count, width)
    prediction, target = ({f"{name}{number}": column for number, column in enumerate(side)} for name, side in values)
    by = _add_groups(random, random.choice([prediction, target]), count)
    weighted = random.choice(["no", "no", "column", "column", "file"])
    weights = None
    if weighted == "column" or (keyed and weighted == "file"):
        random.choice([prediction, target])["w"] = _weights(random, count)
    elif weighted == "file":
        each = random.choice([1, width])
        weights = (f"w.{random.choice(['csv', 'parquet', 'npy'])}", [_weights(random, count) for _ in range(each)])
    on = _add_keys(random, prediction, target, count) if keyed else []
    if not keyed and random.random() < 0.03 and two:
        target = {name: column[:-1] for name, column in target.items()}
    tables = [_shuffled(random, table) for table in ([prediction, target] if two else [prediction | target])]
    reduction = random.choice(["mean", "mean", "sum", "batchmean", "none"])
    axis = batch = None
    if reduction == "none":
        by = []
    elif width > 1 and not by and reduction != "batchmean" and random.random() < 0.4:
        axis = random.choice([0, 1])
    elif random.random() < 0.4:
        seed = random.choice([None, random.randrange(1 << 40)])
        batch = (random.randrange(1, count + 3), seed, random.random() < 0.3)
    suffixes = [_suffix(random, table, alone=not two) for table in tables]
    return RowsCase(
        tables={f"{name}.{suffix}": table for name, suffix, table in zip("xt", suffixes, tables, strict=False)},
        weights=weights,
        width=width,
        on=on,
        skip=keyed and random.random() < 0.7,
        by=by,
        batch=batch,
        axis=axis,
        reduction=reduction,
        metrics=random.sample(METRICS, random.randrange(len(METRICS))),
        policies={"nan_target": random.choice(POLICIES), "nan_prediction": random.choice(POLICIES)},
        ignore=[random.choice([*values[1][1][0], NAN, -1.0]) for _ in range(random.choice([0, 0, 0, 1, 2]))],
        gradient=reduction != "none" and axis is None and random.random() < 0.5,
        row_group=random.choice([1, 2, 3, 7, 1 << 20]),
        sizes=tiny(random),
        jobs=random.choice([1, 2, 3]),
    )


def _values(random: Random, count: int, width: int) -> list[tuple[str, list[list[float]]]]:
    number: Callable[[], float] = random.choice(
        [
            lambda: random.randrange(-40, 40) / 4,
            lambda: float(random.randrange(-9, 9)),
            lambda: round(random.uniform(-1e3, 1e3), 3),
            lambda: math.ldexp(random.uniform(-1, 1), random.randrange(-60, 60)),
            lambda: random.choice([0.0, -0.0, 1e15, 1e100, -1e-100, 0.1, 1 / 3]),
        ]
    )
    if random.random() < 0.03:
        # Squares that float64 cannot hold, alone or beside others.
        scale, spread = random.choice([(-20, 520), (-560, 20), (520, 20)])
        number = lambda: math.ldexp(random.uniform(-1, 1), scale + random.randrange(-spread, spread))  # noqa: E731
    special = random.choice([0.0, 0.0, 0.1, 0.3])
    specials = [NAN, NAN, NAN, NAN, NAN, -1.0, -1.0] + [math.inf, -math.inf] * (random.random() < 0.1)

    def value() -> float:
        return random.choice(specials) if random.random() < special else number()

    return [(name, [[value() for _ in range(count)] for _ in range(width)]) for name in "pt"]


def _weights(random: Random, count: int) -> list[float]:
    weights = random.choices(WEIGHTS, k=count)
    if random.random() < 0.05:
        weights[random.randrange(count)] = random.choice([-1.0, NAN, math.inf])
    return weights


def _add_groups(random: Random, table: Columns, count: int) -> list[str]:
    names = [f"g{number}" for number in range(random.choice([0, 0, 0, 1, 1, 2]))]
    for name in names:
        table[name] = random.choices(random.choice(GROUPS) + [None] * (random.random() < 0.3), k=count)
    return names


def _add_keys(random: Random, prediction: Columns, target: Columns, count: int) -> list[str]:
    """Add keys to both tables, put the target's rows in another order, and leave some without a partner."""
    kinds = random.choices(KEYS, k=random.choice([1, 1, 2]))
    numbers = random.sample(range(4 * count), count)
    for number, kind in enumerate(kinds):
        # The second of two keys is the same in many rows.
        keys = [kind(key if number == 0 else key % 3) for key in numbers]
        prediction[f"k{number}"], target[f"k{number}"] = keys.copy(), keys.copy()
    if random.random() < 0.1 and kinds == [str]:
        target["k0"] = numbers.copy()
    order = random.sample(range(count), count)
    for column in target.values():
        column[:] = [column[row] for row in order]
    for table in (prediction, target):
        for _ in range(random.choice([0, 0, 1, 3]) if count > 3 else 0):
            row = random.randrange(len(table["k0"]))
            for column in table.values():
                del column[row]
        if random.random() < 0.1:
            table["k0"][0] = random.choice([None, table["k0"][-1]])
    return [f"k{number}" for number in range(len(kinds))]


def _shuffled(random: Random, table: Columns) -> Columns:
    return {name: table[name] for name in random.sample(list(table), len(table))}


def _suffix(random: Random, table: Columns, *, alone: bool) -> str:
    """Return what a table is written as: as the columns of an array have no names, it has labels only if alone."""
    plain = all(name[0] in "pt" for name in table)
    array = plain or (alone and (_whole(table) or not any(name[0] == "g" for name in table)))
    return random.choice(["csv", "parquet", *["npy"] * array])


def _whole(table: Mapping[str, Sequence[Any]]) -> bool:
    """Tell whether all values are whole numbers: then an array has labels that are, too."""
    values = [value for column in table.values() for value in column]
    return all(isinstance(value, int | float) and value % 1 == 0 and abs(value) < 2**53 for value in values)


def write(case: RowsCase, folder: Path) -> list[str]:
    """Write the files, and return the arguments of the command that scores them."""
    names: dict[str, str] = {}
    for file, table in case.tables.items():
        _write(folder / file, table, case.row_group)
        array = file.endswith(".npy")
        names |= {name: str(number) if array else name for number, name in enumerate(table)}
    words = [str(folder / file) for file in case.tables]
    for number in range(case.width):
        words += ["-p", names[f"p{number}"], "-t", names[f"t{number}"]]
    if case.weights is not None:
        file, weights = case.weights
        _write(folder / file, {f"w{number}": column for number, column in enumerate(weights)}, case.row_group)
        words += ["--weight-file", str(folder / file)]
    elif "w" in names:
        words += ["-w", names["w"]]
    by = [names[name] for name in case.by]
    for option, values in (("--on", case.on), ("--by", by), ("--ignore-index", case.ignore)):
        words += [word for value in values for word in (option, str(value))]
    words += ["--unmatched", "skip"] if case.skip else []
    words += ["--axis", str(case.axis)] if case.axis is not None else []
    if case.batch is not None:
        size, seed, drop_last = case.batch
        words += ["--batch-size", str(size), *([] if seed is None else ["--shuffle", str(seed)])]
        words += ["--drop-last"] if drop_last else []
    words += ["-m", ",".join(case.metrics)] if case.metrics else []
    words += ["-r", case.reduction, "--nan-policy", case.policies["nan_target"]]
    return [*words, "--nan-pred", case.policies["nan_prediction"], "--jobs", str(case.jobs)]


def _write(path: Path, table: Mapping[str, Sequence[Any]], row_group: int) -> None:
    if path.suffix == ".npy":
        kind = np.int64 if _whole(table) else np.float64
        np.save(path, np.column_stack([np.array(column, dtype=kind) for column in table.values()]))
    elif path.suffix == ".parquet":
        # Numbers beside text are text. Every other file has NaN where the others have null.
        texts = [
            [None if v is None else str(v) for v in column] if any(isinstance(v, str) for v in column) else column
            for column in table.values()
        ]
        arrays = [pa.array(column, from_pandas=row_group % 2 == 0) for column in texts]
        pq.write_table(pa.table(arrays, names=list(table)), path, row_group_size=row_group, data_page_size=64)
    else:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(table)
            for row in zip(*table.values(), strict=True):
                writer.writerow(["" if value is None or value != value else value for value in row])  # noqa: PLR0124
            # Blank lines below a table are no rows; there may be more of them than fit in a part.
            file.write("\n" * 40 if row_group == 7 and len(table) > 1 else "")
