"""The files of the benchmark: written before it, compared after it.

    python data.py write FOLDER ROWS FILE...    write those of FILES that FOLDER lacks
    python data.py difference A.npy B.npy       print the largest relative difference of two elements

Both work on small blocks, so that they need the same little memory for any number of rows; only shuffled files are
made whole.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_ROWS = 1 << 16
ROW_GROUP_BLOCKS = 16
"""A row group of 1 048 576 rows, which is what pyarrow and pandas write by themselves."""
SMALL_ROWS = 100
SHARE = 5
"""Wide and shuffled files have a fifth of the rows."""
MULTIPLE, PARQUET_MULTIPLE = 6, 4
"""Large arrays have six times the rows, large Parquet files four times."""
GROUPS = 100
GZIP_LEVEL = 6

TEXTS = {
    "region": ("north", "east", "south", "west"),
    "city": ("Bergen", '"Portland, Oregon"', '"Paris, Texas"', "Lima", "Kyoto"),
    "model": ("baseline", "ridge", "gbm-v2"),
    "remark": ('"re-run, see log"', '"called ""final"""', '""', '"ok"'),
    "day": ("2024-02-28", "2024-02-29", "2024-03-01"),
}
"""Text columns of the wide file, as their cells are written; no quoted cell holds a newline."""
REMARKS = ('"looks right"', '"two lines,\nsee ""notes"""', '"no, not this one"')
"""Cells of quoted text; one of them holds a line end."""
FEATURES = 23
FEATURE_DECIMALS = 6

Block = dict[str, "pa.Array"]


@dataclass(frozen=True, slots=True)
class File:
    """How a file is made: its writer, its columns, where these are from, and its rows if not those of all."""

    write: Callable[[BinaryIO, Iterator[Block], int], None]
    columns: tuple[str, ...]
    source: Callable[[int], Iterator[Block]]
    rows: Callable[[int], int] = int


def pairs(rows: int) -> Iterator[Block]:
    """Yield blocks of the columns pred and target; a shorter file holds the first rows of a longer one."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(0)
    for start in range(0, rows, BLOCK_ROWS):
        count = min(BLOCK_ROWS, rows - start)
        # Row by row, so that the numbers do not depend on the blocks.
        target, error = random.normal(size=(count, 2)).T
        yield {"pred": pa.array(target + 0.1 * error), "target": pa.array(np.ascontiguousarray(target))}


def wide(rows: int) -> Iterator[Block]:
    """Yield the blocks of `pairs` among text columns and rounded features."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(1)
    for block in pairs(rows):
        count = len(block["pred"])
        for name, cells in TEXTS.items():
            block[name] = pa.array(cells).take(pa.array(random.integers(len(cells), size=count)))
        for number in range(FEATURES):
            block[f"f{number}"] = pa.array(np.round(random.normal(size=count), FEATURE_DECIMALS))
        yield block


def grouped(rows: int) -> Iterator[Block]:
    """Yield the blocks of `pairs` with the group of each row."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(2)
    for block in pairs(rows):
        yield {"group": pa.array(random.integers(GROUPS, size=len(block["pred"]))), **block}


def numbered(rows: int) -> Iterator[Block]:
    """Yield the blocks of `pairs` with the number of each row."""
    import numpy as np
    import pyarrow as pa

    start = 0
    for block in pairs(rows):
        yield {"id": pa.array(np.arange(start, start := start + len(block["pred"]))), **block}


def grouped_text(rows: int) -> Iterator[Block]:
    """Yield the blocks of `grouped` with text for groups."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for block in grouped(rows):
        number = pc.utf8_lpad(block["group"].cast(pa.string()), width=3, padding="0")
        yield {**block, "group": pc.binary_join_element_wise("group", number, "-")}


def quoted(rows: int) -> Iterator[Block]:
    """Yield the blocks of `pairs` beside quoted text, of which a third holds line ends."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(5)
    for block in pairs(rows):
        text = pa.array(REMARKS).take(pa.array(random.integers(len(REMARKS), size=len(block["pred"]))))
        yield {"pred": block["pred"], "remark": text, "target": block["target"]}


def shuffled(column: str, seed: int) -> Callable[[int], Iterator[Block]]:
    """Return what yields one of the columns of `pairs`, with the numbers of the rows, in another order."""

    def blocks(rows: int) -> Iterator[Block]:
        import numpy as np
        import pyarrow as pa

        order = np.random.default_rng(seed).permutation(rows)
        values = np.concatenate([np.asarray(block[column]) for block in pairs(rows)])[order]
        for start in range(0, rows, BLOCK_ROWS):
            taken = slice(start, start + BLOCK_ROWS)
            yield {"id": pa.array(order[taken]), column: pa.array(values[taken])}

    return blocks


def write_csv(stream: BinaryIO, blocks: Iterator[Block], rows: int) -> None:
    """Write the columns of a block joined to lines; numbers in the shortest form that reads back the same."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for number, block in enumerate(blocks):
        if number == 0:
            stream.write(",".join(block).encode() + b"\n")
        cells = [column.cast(pa.string()) for column in block.values()]
        records = pc.binary_join_element_wise(*cells, ",") if len(cells) > 1 else cells[0]
        lines = pc.binary_join_element_wise(records, "", "\n")
        # The values of a string array lie one after the other: they are the text of the file.
        stream.write(lines.buffers()[2][: pc.sum(pc.binary_length(lines)).as_py()])


def write_gzip(stream: BinaryIO, blocks: Iterator[Block], rows: int) -> None:
    """Write what `write_csv` does, compressed as the program `gzip` does by default."""
    import gzip

    with gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=GZIP_LEVEL, mtime=0) as packed:
        write_csv(packed, blocks, rows)  # type: ignore[arg-type] # a file open for writing


def write_npy(stream: BinaryIO, blocks: Iterator[Block], rows: int) -> None:
    """Write the one column of the blocks as a one-dimensional array."""
    import numpy as np

    np.lib.format.write_array_header_1_0(stream, {"descr": "<f8", "fortran_order": False, "shape": (rows,)})
    for block in blocks:
        (column,) = block.values()
        stream.write(np.asarray(column).tobytes())


def write_parquet(stream: BinaryIO, blocks: Iterator[Block], rows: int) -> None:
    """Write row groups of the default size, everything else by default too."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer: Any = None
    while batches := [pa.record_batch(block) for block in islice(blocks, ROW_GROUP_BLOCKS)]:
        writer = writer or pq.ParquetWriter(stream, batches[0].schema)
        writer.write_table(pa.Table.from_batches(batches).combine_chunks())
    writer.close()


def _small(rows: int) -> int:
    return SMALL_ROWS


def _fewer(rows: int) -> int:
    return max(1, rows // SHARE)


def _half(rows: int) -> int:
    return max(1, rows // 2)


def _more(rows: int) -> int:
    return rows * MULTIPLE


def _many(rows: int) -> int:
    return rows * PARQUET_MULTIPLE


WIDE_COLUMNS = (
    *("region", "city", *(f"f{number}" for number in range(10)), "pred", "model", "remark"),
    *(*(f"f{number}" for number in range(10, FEATURES)), "target", "day"),
)
FILES = {
    "pred.csv": File(write_csv, ("pred",), pairs),
    "target.csv": File(write_csv, ("target",), pairs),
    "both.csv": File(write_csv, ("pred", "target"), pairs),
    "wide.csv": File(write_csv, WIDE_COLUMNS, wide, _fewer),
    "grouped.csv": File(write_csv, ("group", "pred", "target"), grouped_text),
    "quoted.csv": File(write_csv, ("pred", "remark", "target"), quoted),
    "shuffled_pred.csv": File(write_csv, ("id", "pred"), shuffled("pred", 3), _fewer),
    "shuffled_target.csv": File(write_csv, ("id", "target"), shuffled("target", 4), _fewer),
    **{
        f"numbered_{column}.{suffix}": File(writer, ("id", column), numbered, _fewer)
        for suffix, writer in (("csv", write_csv), ("parquet", write_parquet))
        for column in ("pred", "target")
    },
    "both.parquet": File(write_parquet, ("pred", "target"), pairs),
    "pred.parquet": File(write_parquet, ("pred",), pairs),
    "target.parquet": File(write_parquet, ("target",), pairs),
    "large_pred.parquet": File(write_parquet, ("pred",), pairs, _many),
    "large_target.parquet": File(write_parquet, ("target",), pairs, _many),
    "grouped.parquet": File(write_parquet, ("group", "pred", "target"), grouped),
    "shuffled_pred.parquet": File(write_parquet, ("id", "pred"), shuffled("pred", 3), _fewer),
    "shuffled_target.parquet": File(write_parquet, ("id", "target"), shuffled("target", 4), _fewer),
    "pred.npy": File(write_npy, ("pred",), pairs),
    "target.npy": File(write_npy, ("target",), pairs),
    "large_pred.npy": File(write_npy, ("pred",), pairs, _more),
    "large_target.npy": File(write_npy, ("target",), pairs, _more),
    "pred.csv.gz": File(write_gzip, ("pred",), pairs, _half),
    "target.csv.gz": File(write_gzip, ("target",), pairs, _half),
    "small_pred.csv": File(write_csv, ("pred",), pairs, _small),
    "small_target.csv": File(write_csv, ("target",), pairs, _small),
}


def write(folder: Path, rows: int, names: list[str]) -> None:
    """Write the files that the folder lacks; an interrupted one does not count as there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        if not (folder / name).exists():
            sys.stderr.write(f"writing {folder / name}\n")
            _write_one(folder / name, FILES[name], FILES[name].rows(rows))


def _write_one(path: Path, file: File, rows: int) -> None:
    blocks = ({name: block[name] for name in file.columns} for block in file.source(rows))
    partial = path.with_name(f"{path.name}.part")
    with partial.open("wb") as stream:
        file.write(stream, blocks, rows)
        stream.flush()
        # Written out now, not by the kernel while the first job is timed.
        os.fsync(stream.fileno())
    partial.rename(path)


def difference(first: Path, second: Path) -> float:
    """Return the largest relative difference of two elements; infinity for arrays of different shapes or with NaN."""
    import numpy as np

    left, right = np.load(first, mmap_mode="r"), np.load(second, mmap_mode="r")
    if left.shape != right.shape:
        return float("inf")
    largest = 0.0
    for start in range(0, len(left), BLOCK_ROWS):
        a, b = left[start : start + BLOCK_ROWS], right[start : start + BLOCK_ROWS]
        scale = np.maximum(np.abs(a), np.abs(b))
        relative = np.abs(a - b) / np.where(scale == 0, 1, scale)
        largest = max(largest, float(np.nan_to_num(relative, nan=np.inf).max()))
    return largest


def main(command: str, *arguments: str) -> None:
    """Run one of the two commands above."""
    if command == "write":
        folder, rows, *names = arguments
        write(Path(folder), int(rows), names)
    else:
        first, second = arguments
        sys.stdout.write(f"{difference(Path(first), Path(second))!r}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
