"""The table of input formats, and the choice of one by content, then by suffix.

A format is a module whose opener turns a file into a `Source`; see `msecli.formats.base`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from msecli.errors import DataError, UsageError, Warned, about_file, not_one_of
from msecli.formats.base import Format, Source
from msecli.places import alternatives, is_path, listed, name_in, open_input, split_inner
from msecli.places.base import InputFile
from msecli.places.compressed import without_suffix
from msecli.text.foreign import JSON_ARRAY, JSON_LINES
from msecli.text.reading import Reading

XLSX = rb".{30}(?:\[Content_Types\]\.xml|_rels/|docProps/|xl/|customXml/)"
ODS = rb".{30}mimetypeapplication/vnd\.oasis\.opendocument\.spreadsheet"
"""How the archives of workbooks begin."""

FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format(
            "csv",
            "comma-separated text, or with --delimiter",
            (".csv", ".txt", ".dat"),
            "csv",
            "CsvSource",
            delimited=True,
        ),
        Format("tsv", "tab-separated text", (".tsv", ".tab"), "csv", "open_tsv", delimited=True),
        Format("parquet", "Apache Parquet", (".parquet", ".pq", ".parq"), "parquet", "ParquetSource", magic=b"PAR1"),
        Format(
            "arrow", "Apache Arrow file, Feather 2", (".arrow", ".feather", ".ipc"), "arrow", "ArrowSource", b"ARROW1"
        ),
        Format(
            "arrows",
            "Apache Arrow stream",
            (".arrows",),
            "arrow",
            "open_stream",
            b"\xff\xff\xff\xff",
        ),
        Format("json", "a JSON array of records", (".json",), "json", "JsonSource", b"", 0, JSON_ARRAY),
        Format(
            "jsonl",
            "JSON Lines: a record on each line",
            (".jsonl", ".ndjson", ".json"),
            "jsonl",
            "JsonLinesSource",
            b"",
            0,
            JSON_LINES,
        ),
        Format(
            "sqlite",
            "SQLite database",
            (".db", ".sqlite", ".sqlite3"),
            "sqlite",
            "SqliteSource",
            magic=b"SQLite format 3\0",
            inner="a table",
        ),
        Format(
            "xlsx",
            "Excel workbook",
            (".xlsx", ".xlsm"),
            "excel",
            "ExcelSource",
            magic=b"PK\3\4",
            pattern=XLSX,
            inner="a sheet",
            extra="excel",
        ),
        Format(
            "xls",
            "workbook of Excel 97",
            (".xls",),
            "excel",
            "open_xls",
            magic=b"\xd0\xcf\x11\xe0",
            inner="a sheet",
            extra="excel",
        ),
        Format(
            "ods",
            "OpenDocument spreadsheet",
            (".ods",),
            "excel",
            "open_ods",
            magic=b"PK\3\4",
            pattern=ODS,
            inner="a sheet",
            extra="excel",
        ),
        Format("npy", "NumPy array", (".npy",), "npy", "open_npy", magic=b"\x93NUMPY", inner="a field of records"),
        Format(
            "npz",
            "NumPy archive of arrays",
            (".npz",),
            "npz",
            "open_npz",
            magic=b"PK\x03\x04",
            pattern=rb".{30}[^\0-\x1f]+?\.npy",
            inner="an array",
        ),
        Format(
            "safetensors",
            "tensors of safetensors",
            (".safetensors",),
            "safetensors",
            "open_safetensors",
            magic=b"\0\0\0{",
            at=5,
            inner="a tensor",
        ),
        Format(
            "hdf5",
            "HDF5",
            (".h5", ".hdf5", ".hdf"),
            "hdf5",
            "open_hdf5",
            magic=b"\x89HDF\r\n\x1a\n",
            inner="a dataset or a group",
            extra="hdf5",
        ),
    )
}

START_BYTES = 512
"""Bytes to recognise a file by."""


def open_source(data: Any, reading: Reading, name: str, word: str = "") -> Source:
    """Open a file of any known format, or data in memory.

    The content of a file decides its format, then its suffix; otherwise it is CSV.

    Parameters
    ----------
    data : str, tuple of str, or data in memory
        The path of a file, of a folder or a pattern of files, "-" for standard input; several paths; or a table or an
        array-like; see `open_memory`.
    reading : Reading
    name : str
        The name of data in memory in messages.
    word : str
        What settings call the file, if there are others.

    Raises
    ------
    ReadWriteError
        If the file cannot be read.
    DataError
        If its content is damaged or not of the requested format.
    """
    if not is_path(data):
        from msecli.formats.memory import open_memory

        return open_memory(data, name, beside=bool(word))
    _check_name(reading.format)
    with about_file(word):
        return _open_paths(data, reading, word)


def _open_paths(data: str | tuple[str, ...], reading: Reading, word: str) -> Source:
    paths = alternatives(data) if isinstance(data, str) else data
    found = [listed(split_inner(path)[0]) for path in paths]
    if len(paths) == 1 and found[0] is None:
        return _open_file(reading, word, paths[0])
    from msecli.formats.folder import open_several

    name = data if isinstance(data, str) else f"{paths[0]}, … ({len(paths):,} paths)"
    opener = partial(_open_file, reading, word)
    return open_several(list(zip(paths, found, strict=True)), name, opener, reading)


def _open_file(
    reading: Reading, word: str, path: str, opened: Callable[[str, str, str], InputFile] = open_input
) -> Source:
    from msecli.text.foreign import check_kind

    outer, inner = split_inner(path)
    file = opened(outer, word, path)
    start = file.read(START_BYTES, 0)
    path, name = file.path, without_suffix(name_in(outer))
    format = FORMATS[reading.format] if reading.format else detect(name, start)
    if format.magic and not format.recognises(start):
        check_kind(path, start)
        raise DataError(
            f"{path}: not a {format.name} file: it begins with {start[:8]!r}, not with the magic number "
            f"{format.magic!r}; if it is text, use `input_format=csv`"
        )
    source = format.open(file, reading, inner)
    expected, suffix = by_suffix(name), os.path.splitext(name)[1]
    # Formats of one module, such as files and streams of Arrow, go by each other's names.
    differs = expected is not None and expected.module != format.module and suffix.lower() not in format.suffixes
    if reading.format is None and differs:
        meaning = f"the name ends in {suffix}, but the content is {format.name}; read as {format.name}"
        source.warnings = (*source.warnings, Warned("content_differs_from_suffix", path, meaning))
    return source


def names_inside(path: str) -> Sequence[str]:
    """Return the names of what a file holds: of arrays, tables or sheets; none if only one thing can be in it.

    Raises
    ------
    MsecliError
    """
    file = open_input(path)
    return detect(without_suffix(name_in(path)), file.read(START_BYTES, 0)).names(file)


def detect(path: str, start: bytes) -> Format:
    """Return the format of a file by its first bytes, otherwise by its suffix, otherwise CSV."""
    for format in FORMATS.values():
        if format.recognises(start):
            return format
    return by_suffix(path) or FORMATS["csv"]


def by_suffix(path: str) -> Format | None:
    """Return the format of a path's suffix, or None if it is unknown."""
    suffix = os.path.splitext(path)[1].lower()
    return next((format for format in FORMATS.values() if suffix in format.suffixes), None)


def _check_name(format: str | None) -> None:
    if format is not None and format not in FORMATS:
        raise UsageError(f"`input_format`: {not_one_of(format, FORMATS)}")
