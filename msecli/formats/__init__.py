"""The table of input formats, and the choice of one by content, then by suffix.

A format is a module whose opener turns a file into a `Source`; see `msecli.formats.base`.
"""

from __future__ import annotations

import os
from typing import Any

from msecli.errors import DataError, UsageError, Warned, about_file, not_one_of
from msecli.formats.base import Format, Source
from msecli.places import name_in, open_input, split_inner
from msecli.text.reading import Reading

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
        Format("npy", "NumPy array", (".npy",), "npy", "NpySource", magic=b"\x93NUMPY"),
    )
}

START_BYTES = 512
"""Bytes to recognise a file by."""


def open_source(data: Any, reading: Reading, name: str, word: str = "") -> Source:
    """Open a file of any known format, or data in memory.

    The content of a file decides its format, then its suffix; otherwise it is CSV.

    Parameters
    ----------
    data : str, or data in memory
        The path of a file, "-" for standard input; or a DataFrame, a pyarrow Table or an array-like.
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
    if not isinstance(data, str):
        from msecli.formats.memory import open_memory

        return open_memory(data, name)
    with about_file(word):
        return _open_file(data, reading, word)


def _open_file(path: str, reading: Reading, word: str) -> Source:
    from msecli.text.foreign import check_kind

    _check_name(reading.format)
    outer, inner = split_inner(path)
    file = open_input(outer, word, path)
    start = file.read(START_BYTES, 0)
    path, name = file.path, name_in(outer)
    format = FORMATS[reading.format] if reading.format else detect(name, start)
    if format.magic and not format.recognises(start):
        check_kind(path, start)
        raise DataError(
            f"{path}: not a {format.name} file: it begins with {start[:8]!r}, not with the magic number "
            f"{format.magic!r}; if it is text, use `input_format=csv`"
        )
    source = format.open(file, reading, inner)
    expected = by_suffix(name)
    if reading.format is None and expected is not None and expected.magic != format.magic:
        suffix = os.path.splitext(name)[1]
        meaning = f"the name ends in {suffix}, but the content is {format.name}; read as {format.name}"
        source.warnings = (*source.warnings, Warned("content_differs_from_suffix", path, meaning))
    return source


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
