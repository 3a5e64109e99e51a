"""Files of every format, made of columns or of an array, and what a source holds: the one place where tests do this."""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pyarrow import ipc

from msecli.engines import engine_named
from msecli.errors import Warned
from msecli.formats import FORMATS, open_source
from msecli.formats.base import ARRAY, Block, Selection, Source
from msecli.scoring.side_by_side import blocks_of
from msecli.text.reading import AS_FILES_SAY, Reading
from tests.spreadsheets import ods_bytes, xls_bytes, xlsx_bytes

Columns = Mapping[str, Any]
"""Sequences, NumPy or Arrow arrays by the names of the columns; None and NaN are missing."""
Data = Columns | NDArray[Any]


def text_bytes(data: Data, *, delimiter: str = ",", line_end: str = "\n") -> bytes:
    """Return delimited text; the columns of an array are called c0, c1, and so on."""
    columns = {name: _values(column) for name, column in as_columns(data).items()}
    rows = [list(columns), *zip(*columns.values(), strict=True)]
    lines = (delimiter.join(_field(value, delimiter) for value in row) + line_end for row in rows)
    return "".join(lines).encode()


def _field(value: Any, delimiter: str) -> str:
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return ""
    text = str(int(value)) if isinstance(value, bool | np.bool_) else str(value)
    quoted = any(mark in text for mark in (delimiter, '"', "\n", "\r"))
    return '"' + text.replace('"', '""') + '"' if quoted else text


def parquet_bytes(data: Data | pa.Table, **options: Any) -> bytes:
    """Return a Parquet file with checksums; the options are those of `pyarrow.parquet.write_table`."""
    if not isinstance(data, pa.Table):
        data = pa.table({name: _native(values) for name, values in as_columns(data).items()})
    stream = io.BytesIO()
    pq.write_table(data, stream, write_page_checksum=True, **options)
    return stream.getvalue()


def arrow_bytes(data: Data | pa.Table, *, stream: bool = False, rows: int = 7, **options: Any) -> bytes:
    """Return an Arrow file, or a stream, of batches of so many rows; the options are those of `IpcWriteOptions`."""
    if not isinstance(data, pa.Table):
        data = pa.table({name: _native(values) for name, values in as_columns(data).items()})
    sink = io.BytesIO()
    opened = ipc.new_stream if stream else ipc.new_file
    with opened(sink, data.schema, options=ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(data, max_chunksize=rows)
    return sink.getvalue()


def records_of(data: Data) -> list[dict[str, Any]]:
    """Return columns as records, with None for what is missing."""
    columns = {name: _values(column) for name, column in as_columns(data).items()}
    rows = zip(*columns.values(), strict=True)
    return [{name: None if value != value else value for name, value in zip(columns, row, strict=True)} for row in rows]  # noqa: PLR0124


def jsonl_bytes(data: Data) -> bytes:
    """Return a line for each record, as Python writes it."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records_of(data)).encode()


def sqlite_bytes(data: Data, table: str = "scores") -> bytes:
    """Return a database of one table, whose columns have no declared types, in the smallest pages."""
    columns = as_columns(data)
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    rows = [[_storable(value) for value in record.values()] for record in records_of(data)]
    with closing(sqlite3.connect(":memory:")) as database:
        database.execute("PRAGMA page_size = 512")
        database.execute(f'CREATE TABLE "{table}" ({names})')
        database.executemany(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(columns))})', rows)
        database.commit()
        return database.serialize()


def _storable(value: Any) -> Any:
    """Return a value that SQLite can store: its integers have 64 bits and a sign."""
    return float(value) if isinstance(value, int) and abs(value) >= 1 << 63 else value


def rows_of(data: Data) -> list[list[Any]]:
    """Return the names of the columns, and the values of each row."""
    return [[*as_columns(data)], *([*record.values()] for record in records_of(data))]


def npy_bytes(data: Data, *, version: tuple[int, int] | None = None) -> bytes:
    """Return an NPY file: an array as it is, objects included; columns side by side."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, as_array(data), version=version)
    return stream.getvalue()


def npz_bytes(data: Data, *, compressed: bool = False) -> bytes:
    """Return an NPZ archive of one array."""
    stream = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(stream, as_array(data))
    return stream.getvalue()


def safetensors_bytes(data: Data) -> bytes:
    """Return a file of one tensor, as the format's own library writes it."""
    safetensors = pytest.importorskip("safetensors.numpy", reason="safetensors is not installed")
    return bytes(safetensors.save({"x": np.ascontiguousarray(as_array(data))}))


def hdf5_bytes(data: Data) -> bytes:
    """Return an HDF5 file of one dataset, in compressed chunks of 7 rows."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    array, stream = as_array(data), io.BytesIO()
    chunks = (min(7, len(array)), *array.shape[1:]) if array.size else None
    with h5py.File(stream, "w") as file:
        file.create_dataset("x", data=array, chunks=chunks, compression="gzip" if chunks else None)
    return stream.getvalue()


def as_array(data: Data) -> NDArray[Any]:
    """Return an array as it is; columns side by side."""
    return data if isinstance(data, np.ndarray) else np.column_stack([_plain(values) for values in data.values()])


def _plain(values: Any) -> NDArray[Any]:
    found = _values(values)
    return np.array([np.nan if value is None else value for value in found]) if None in found else np.array(values)


def _native(values: Any) -> Any:
    """Return values in the byte order of this machine: Arrow has no other."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        values = values.astype(values.dtype.newbyteorder("="))
        return values.astype(np.float64) if values.dtype.itemsize > 8 else values
    return values


def _values(column: Any) -> list[Any]:
    """Return values as Python's, which are written with all their digits."""
    if isinstance(column, pa.Array):
        return list(column.to_pylist())
    if isinstance(column, np.ndarray):
        return list((column.astype(np.float64) if column.dtype.kind == "f" else column).tolist())
    return list(column)


def as_columns(data: Data) -> Columns:
    """Return the columns of an array by the names c0, c1, and so on; columns as they are."""
    if not isinstance(data, np.ndarray):
        return data
    columns = data.reshape(len(data), -1)
    return {f"c{number}": columns[:, number] for number in range(columns.shape[1])}


class Writer(NamedTuple):
    """How files of a format are made.

    Parameters
    ----------
    content : callable
        From columns or an array to the bytes of a file.
    named : bool
        Whether columns have names, and may hold text; otherwise they are those of an array.
    whole : bool
        Whether the file knows how much it holds, so that it cannot be cut off anywhere without a word.
    counted : bool
        Whether the number of rows is known before they are read.
    first_line, lines : int
        The line on which the first row of two columns begins, or 0 if the format has no lines, and the lines of a row.
    divided : bool
        Whether a larger file is read in several parts.
    signed_zero : bool
        Whether a zero keeps its sign.
    """

    content: Callable[[Data], bytes]
    named: bool = True
    whole: bool = True
    counted: bool = True
    first_line: int = 0
    lines: int = 1
    divided: bool = True
    signed_zero: bool = True


WRITERS: dict[str, Writer] = {
    "csv": Writer(text_bytes, whole=False, counted=False, first_line=2),
    "tsv": Writer(lambda data: text_bytes(data, delimiter="\t"), whole=False, counted=False, first_line=2),
    "parquet": Writer(lambda data: parquet_bytes(data, row_group_size=7)),
    "arrow": Writer(arrow_bytes),
    "arrows": Writer(lambda data: arrow_bytes(data, stream=True), counted=False, divided=False),
    "jsonl": Writer(jsonl_bytes, whole=False, counted=False, first_line=1),
    "json": Writer(
        lambda data: json.dumps(records_of(data), indent=1).encode(),
        counted=False,
        first_line=2,
        lines=4,
        divided=False,
    ),
    "sqlite": Writer(sqlite_bytes, divided=False),
    "xlsx": Writer(lambda data: xlsx_bytes({"Sheet1": rows_of(data)})),
    "xls": Writer(lambda data: xls_bytes(rows_of(data)), signed_zero=False),
    "ods": Writer(lambda data: ods_bytes(rows_of(data))),
    "npy": Writer(npy_bytes, named=False),
    "npz": Writer(npz_bytes, named=False),
    "safetensors": Writer(safetensors_bytes, named=False),
    "hdf5": Writer(hdf5_bytes, named=False),
}
"""How files of each format are made: a test says that none is left out."""


def suffix(format: str) -> str:
    """Return the first suffix of a format."""
    return FORMATS[format].suffixes[0]


def write(path: Path, data: Data | bytes | str) -> Path:
    """Write a file of the format of its suffix, and return its path; bytes and text are written as they are."""
    if isinstance(data, bytes | str):
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path
    format = next(name for name, format in FORMATS.items() if path.suffix in format.suffixes)
    path.write_bytes(WRITERS[format].content(data))
    return path


def shards(folder: Path, format: str, data: Data, count: int = 3) -> Path:
    """Write the rows of data to so many files of a new folder, or to one for each row, and return its path."""
    rows = len(data if isinstance(data, np.ndarray) else next(iter(data.values())))
    cuts = [rows * number // count for number in range(count + 1)] if rows > count else [*range(rows + 1)] or [0, 0]
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    for number, (start, stop) in enumerate(pairwise(cuts if rows else [0, 0])):
        # The last ones are in order as numbers alone.
        write(folder / f"part-{9 + number}{suffix(format)}", sliced(data, start, stop))
    return folder


def sliced(data: Data, start: int, stop: int) -> Data:
    """Return some rows of data."""
    if isinstance(data, np.ndarray):
        return data[start:stop]
    return {name: values[start:stop] for name, values in data.items()}


class Held(NamedTuple):
    """What a source holds: numbers and labels of all rows, and what was warned of."""

    numbers: dict[str | None, NDArray[np.float64]]
    labels: dict[str, list[Any]]
    warnings: list[Warned]
    blocks: list[Block]

    @property
    def array(self) -> NDArray[np.float64]:
        """The numbers of a nameless array."""
        return self.numbers[ARRAY]


def blocks(source: Source, numbers: Sequence[str] = (), labels: Sequence[str] = (), jobs: int = 1) -> list[Block]:
    """Return the blocks of a source."""
    with engine_named("local").start(jobs) as engine:
        found = list(blocks_of(source, Selection(tuple(numbers), tuple(labels)), engine))
    source.verify()
    return found


def held(source: Source, numbers: Sequence[str] = (), labels: Sequence[str] = (), jobs: int = 1) -> Held:
    """Return what a source holds in these columns."""
    found = blocks(source, numbers, labels, jobs)
    return Held(
        {name: np.concatenate([block.numbers[name] for block in found]) for name in found[0].numbers},
        {name: [label for block in found for label in block.labels[name].tolist()] for name in labels},
        [warning for block in found for warning in block.warnings],
        found,
    )


def opened(path: Path | str, reading: Reading | None = None) -> Source:
    """Return the source of a file."""
    return open_source(str(path), reading or AS_FILES_SAY, "data")
