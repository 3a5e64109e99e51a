"""Files to blocks of rows: the table of formats, and the choice of one by content, then by suffix."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msecli.errors import DataError, UsageError
from msecli.sources.base import Format, Note, Reading, Source

if TYPE_CHECKING:
    from msecli.sources.file import InputFile


def _open_csv(file: InputFile, reading: Reading) -> Source:
    from msecli.sources.csv import CsvSource

    return CsvSource(file, reading)


def _open_tsv(file: InputFile, reading: Reading) -> Source:
    from msecli.sources.csv import open_tsv

    return open_tsv(file, reading)


def _open_parquet(file: InputFile, reading: Reading) -> Source:
    from msecli.sources.parquet import ParquetSource

    return ParquetSource(file, reading)


def _open_npy(file: InputFile, reading: Reading) -> Source:
    from msecli.sources.npy import NpySource

    return NpySource(file, reading)


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("csv", "comma-separated text, or with --delimiter", (".csv", ".txt", ".dat"), _open_csv),
        Format("tsv", "tab-separated text", (".tsv", ".tab"), _open_tsv),
        Format("parquet", "Apache Parquet", (".parquet", ".pq", ".parq"), _open_parquet, magic=b"PAR1"),
        Format("npy", "NumPy array", (".npy",), _open_npy, magic=b"\x93NUMPY"),
    )
}

START_BYTES = 64
"""Of a file's start; the longest magic number of a known kind of file has 6."""


def open_source(path: str | os.PathLike[str], reading: Reading | None = None) -> Source:
    """Open a file of any known format: the content decides, then the suffix, and CSV is what is left.

    Parameters
    ----------
    path : str or path-like
        "-" is standard input.
    reading : Reading, optional

    Raises
    ------
    ReadWriteError
        If the file cannot be read.
    DataError
        If its content is damaged or not what it should be.
    """
    from msecli.sources.encoding import check_magic
    from msecli.sources.file import InputFile

    reading = reading or Reading()
    _check_name(reading.format)
    name = os.fspath(path)
    file = InputFile(name)
    start = file.read(START_BYTES, 0)
    format = FORMATS[reading.format] if reading.format else detect(name, start)
    if format.magic and not start.startswith(format.magic):
        check_magic(name, start)
        raise DataError(
            f"{name}: this is no file of format {format.name}: it begins with {start[:8]!r}, not with the magic number "
            f"{format.magic!r}; if it is text, say --input-format csv"
        )
    source = format.open(file, reading)
    expected = by_suffix(name)
    if reading.format is None and expected is not None and expected.magic != format.magic:
        meaning = (
            f"the name ends in {os.path.splitext(name)[1]}, but the content is {format.name}; read as {format.name}"
        )
        source.notes = (*source.notes, Note("content_differs_from_suffix", name, meaning, 1))
    return source


def detect(name: str, start: bytes) -> Format:
    """Return the format that the first bytes of a file are of, or else the one of its suffix, or else CSV."""
    for format in FORMATS.values():
        if format.magic and start.startswith(format.magic):
            return format
    return by_suffix(name) or FORMATS["csv"]


def by_suffix(name: str) -> Format | None:
    """Return the format of a file name's suffix, if it has a known one."""
    suffix = os.path.splitext(name)[1].lower()
    return next((format for format in FORMATS.values() if suffix in format.suffixes), None)


def _check_name(format: str | None) -> None:
    if format is None or format in FORMATS:
        return
    import difflib

    near = difflib.get_close_matches(format, FORMATS, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise UsageError(f"--input-format: {format!r} is not one of {', '.join(FORMATS)}{hint}")
