"""The same jobs done with other tools: `python peers.py PEER FILE...`.

FILE... is one file with the columns pred and target, or the file of pred and the file of target; a peer that writes
an array takes the path of its output last. Each peer imports what it needs itself, so that it pays for nothing else.

A peer prints what msecli prints into a pipe: the value, or lines of a label, a tab and a value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

COLUMNS = ("pred", "target")


def _wanted(files: tuple[str, ...]) -> list[tuple[str, list[str]]]:
    """Return each file with the columns to read from it."""
    if len(files) == 1:
        return [(files[0], list(COLUMNS))]
    return [(file, [column]) for file, column in zip(files, COLUMNS, strict=True)]


def _is_parquet(file: str) -> bool:
    return file.endswith(".parquet")


def pandas_sklearn(*files: str) -> float:
    """Read with pandas and score with scikit-learn."""
    from sklearn.metrics import mean_squared_error

    frames = [_pandas(file, columns) for file, columns in _wanted(files)]
    return float(mean_squared_error(frames[-1]["target"], frames[0]["pred"]))


def _pandas(file: str, columns: list[str]) -> pd.DataFrame:
    import pandas as pd

    return pd.read_parquet(file, columns=columns) if _is_parquet(file) else pd.read_csv(file, usecols=columns)


def polars(*files: str) -> float:
    """Scan lazily, side by side where there are two files, and collect with the streaming engine."""
    import polars as pl

    frames = [_polars(file) for file in files]
    frame = frames[0] if len(frames) == 1 else pl.concat(frames, how="horizontal")
    loss = ((pl.col("pred") - pl.col("target")) ** 2).mean()
    return float(frame.select(loss).collect(engine="streaming").item())


def _polars(file: str) -> pl.LazyFrame:
    import polars as pl

    return pl.scan_parquet(file) if _is_parquet(file) else pl.scan_csv(file)


def duckdb(*files: str) -> float:
    """Aggregate in SQL; the rows of two files are paired by position."""
    import duckdb

    table = " POSITIONAL JOIN ".join(map(_duckdb, files))
    query = f"SELECT avg((pred - target) * (pred - target)) FROM {table}"
    # Not duckdb.sql(): its relation examines a CSV file once when it is made and again when it is run.
    row = duckdb.connect().execute(query, list(files)).fetchone()
    return float(row[0]) if row else float("nan")


def _duckdb(file: str) -> str:
    return "read_parquet(?)" if _is_parquet(file) else "read_csv(?)"


def pyarrow(*files: str) -> float:
    """Read with the threaded readers of pyarrow and compute with its kernels."""
    import pyarrow.compute as pc

    tables = [_pyarrow(file, columns) for file, columns in _wanted(files)]
    difference = pc.subtract(tables[0]["pred"], tables[-1]["target"])
    return float(pc.mean(pc.multiply(difference, difference)).as_py())


def _pyarrow(file: str, columns: list[str]) -> pa.Table:
    if _is_parquet(file):
        import pyarrow.parquet as pq

        # Not read_table(): it imports pyarrow.dataset, and that imports pandas.
        return pq.ParquetFile(file).read(columns)
    import pyarrow.csv as pa_csv

    return pa_csv.read_csv(file, convert_options=pa_csv.ConvertOptions(include_columns=columns))


def pandas_merge(pred: str, target: str) -> float:
    """Join two files by their column id, and take the mean."""
    frames = (_pandas(file, ["id", column]) for file, column in zip((pred, target), COLUMNS, strict=True))
    both = next(frames).merge(next(frames), on="id", validate="one_to_one")
    return float(((both["pred"] - both["target"]) ** 2).mean())


def polars_join(pred: str, target: str) -> float:
    """Join two files by their column id, with the streaming engine."""
    import polars as pl

    both = _polars(pred).join(_polars(target), on="id", validate="1:1")
    return float(both.select(((pl.col("pred") - pl.col("target")) ** 2).mean()).collect(engine="streaming").item())


def duckdb_join(pred: str, target: str) -> float:
    """Join two files by their column id, in SQL."""
    import duckdb

    joined = f"{_duckdb(pred)} AS p JOIN {_duckdb(target)} AS t ON p.id = t.id"
    query = f"SELECT avg((pred - target) * (pred - target)) FROM {joined}"
    row = duckdb.connect().execute(query, [pred, target]).fetchone()
    return float(row[0]) if row else float("nan")


def pandas_groups(file: str) -> None:
    """Print the loss of every group, of all rows, and the mean of the groups' losses."""
    frame = _pandas(file, ["group", *COLUMNS])
    squares = (frame["pred"] - frame["target"]) ** 2
    _print_groups(squares.groupby(frame["group"]).mean().items(), float(squares.mean()))


def polars_groups(file: str) -> None:
    """Print the same, with the streaming engine."""
    import polars as pl

    squares = ((pl.col("pred") - pl.col("target")) ** 2).mean().alias("loss")
    found = _polars(file).group_by("group").agg(squares, pl.len()).sort("group").collect(engine="streaming")
    _print_counted(found.rows())


def duckdb_groups(file: str) -> None:
    """Print the same, in SQL."""
    import duckdb

    loss = "avg((pred - target) * (pred - target))"
    query = f'SELECT "group", {loss}, count(*) FROM {_duckdb(file)} GROUP BY 1 ORDER BY 1'
    _print_counted(duckdb.connect().execute(query, [file]).fetchall())


def _print_counted(rows: Sequence[tuple[Any, float, int]]) -> None:
    pooled = sum(loss * count for _, loss, count in rows) / sum(count for _, _, count in rows)
    _print_groups([(group, loss) for group, loss, _ in rows], pooled)


def _print_groups(losses: Iterable[tuple[Any, float]], pooled: float) -> None:
    found = list(losses)
    macro = sum(loss for _, loss in found) / len(found)
    lines = [*found, ("pooled", pooled), ("macro", macro)]
    sys.stdout.write("".join(f"{label}\t{float(value)!r}\n" for label, value in lines))


def numpy(pred: str, target: str) -> float:
    """Load both arrays and take the mean."""
    import numpy as np

    return float(np.mean((np.load(pred) - np.load(target)) ** 2))


def numpy_losses(pred: str, target: str, output: str) -> None:
    """Save the loss of every element."""
    import numpy as np

    np.save(output, (np.load(pred) - np.load(target)) ** 2)


def numpy_gradient(pred: str, target: str, output: str) -> float:
    """Save the gradient of the mean, and return the mean."""
    import numpy as np

    difference = np.load(pred) - np.load(target)
    np.save(output, difference * (2 / difference.size))
    return float(np.mean(difference**2))


PEERS: dict[str, Callable[..., Any]] = {
    "pandas+scikit-learn": pandas_sklearn,
    "polars": polars,
    "duckdb": duckdb,
    "pyarrow": pyarrow,
    "pandas-merge": pandas_merge,
    "polars-join": polars_join,
    "duckdb-join": duckdb_join,
    "pandas-groups": pandas_groups,
    "polars-groups": polars_groups,
    "duckdb-groups": duckdb_groups,
    "numpy": numpy,
    "numpy-losses": numpy_losses,
    "numpy-gradient": numpy_gradient,
}


def main(peer: str, *files: str) -> None:
    """Run one peer and print its answer, if it has one."""
    answer = PEERS[peer](*files)
    if answer is not None:
        sys.stdout.write(f"{answer!r}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
