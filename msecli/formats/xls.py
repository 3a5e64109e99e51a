"""The records of XLS files, looked at before calamine sees them.

Calamine takes memory for whatever rows and columns a damaged file tells, and takes cells with errors for empty ones.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

from msecli.errors import DataError
from msecli.tuples import NamedTuple

SECTOR = 512
"""The unit of the size of the file."""
LAST_SECTOR = 0xFFFFFFFA
"""From here on numbers of sectors are marks, such as that of the end of a chain."""
ENTRY = 128
SMALL_STREAM = 4096
"""Smaller streams share a stream of their own, in smaller sectors."""

BOUND_SHEET, END, PASSWORD, DIMENSIONS, FORMULA, ERROR = 0x85, 0xA, 0x2F, 0x200, 0x6, 0x205
SEVERAL = (0xBD, 0xBE)
"""The records of several cells of a row, whose last column comes at the end."""
CELLS = (FORMULA, ERROR, *SEVERAL, 0x201, 0x203, 0x204, 0x27E, 0xFD)
MOST_ROWS, MOST_COLUMNS = 1 << 16, 1 << 8

ERRORS = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}

Errors = Mapping[tuple[int, int], str]


class Stream(NamedTuple):
    """A stream of the file, as its directory tells."""

    start: int
    size: int


def errors_of(path: str, content: bytes) -> list[Errors]:
    """Return the errors in the cells of each sheet, by their rows and columns.

    Raises
    ------
    DataError
        If the file is cut off, is no workbook or protected, or tells impossible rows and columns.
    """
    if len(content) % SECTOR:
        raise DataError(
            f"{path}: the workbook has {len(content)} bytes, no multiple of {SECTOR}; is it an incomplete copy?"
        )
    try:
        stream = _workbook(path, content)
        whole = list(_records(stream, 0))
        if any(kind == PASSWORD for kind, _ in whole):
            raise _protected(path)
        sheets = [struct.unpack_from("<I", data)[0] for kind, data in whole if kind == BOUND_SHEET]
        return [_errors(path, _records(stream, sheet)) for sheet in sheets]
    except (struct.error, IndexError) as error:
        raise DataError(f"{path}: the workbook is damaged; copy or save it again") from error


def _errors(path: str, records: Iterator[tuple[int, bytes]]) -> Errors:
    """Return the errors in the cells of a sheet."""
    found: dict[tuple[int, int], str] = {}
    for kind, data in records:
        if kind == DIMENSIONS or kind in CELLS:
            _check_place(path, kind, data)
        if kind in {FORMULA, ERROR} and (error := _error(kind, data)):
            found[struct.unpack_from("<HH", data)] = error
    return found


def _protected(path: str) -> DataError:
    return DataError(f"{path}: the workbook is protected by a password; save it without one")


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the kind of each record from a place to the end of its part, and what it holds."""
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        if kind == END:
            return
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _check_place(path: str, kind: int, data: bytes) -> None:
    """Refuse the size of a sheet, or a cell, that cannot be."""
    if kind == DIMENSIONS:
        # Older files tell rows in two bytes.
        above, rows, left, columns = struct.unpack_from("<IIHH" if len(data) >= 14 else "<HHHH", data)
    else:
        above = left = 0
        rows, columns = (number + 1 for number in struct.unpack_from("<HH", data))
        columns = max(columns, struct.unpack_from("<H", data, len(data) - 2)[0] + 1) if kind in SEVERAL else columns
    if not (above <= rows <= MOST_ROWS and left <= columns <= MOST_COLUMNS):
        raise DataError(f"{path}: a sheet is said to have {rows} rows, {columns} columns; is it damaged?")


def _error(kind: int, data: bytes) -> str:
    """Return the error in a cell, "" if there is none."""
    if kind == ERROR:
        code, is_error = data[6], data[7] == 1
    else:
        code, is_error = data[8], data[6] == 2 and data[12:14] == b"\xff\xff"
    return ERRORS.get(code, f"error {code}") if is_error else ""


def _workbook(path: str, content: bytes) -> bytes:
    """Return the stream of the records."""
    sector = 1 << min(content[30], 12)
    first, small_first = struct.unpack_from("<I8xI", content, 48)
    table = _table(content, sector)
    directory = _joined(content, table, first, sector, sector)
    streams: dict[str, Stream] = {}
    for at in range(0, len(directory) - ENTRY + 1, ENTRY):
        (length,) = struct.unpack_from("<H", directory, at + 64)
        name = directory[at : at + max(0, min(length, 64) - 2)].decode("utf-16-le", "replace")
        streams[name] = Stream(*struct.unpack_from("<II", directory, at + 116))
    if "EncryptedPackage" in streams:
        raise _protected(path)
    found = streams.get("Workbook", streams.get("Book"))
    if found is None:
        raise DataError(f"{path}: the file holds no workbook; it is a document of another program, or damaged")
    if found.size >= SMALL_STREAM:
        return _joined(content, table, found.start, sector, sector)[: found.size]
    whole = _joined(content, table, streams["Root Entry"].start, sector, sector) if "Root Entry" in streams else b""
    small = _numbers(_joined(content, table, small_first, sector, sector))
    return _joined(whole, small, found.start, 1 << min(content[32], 12), 0)[: found.size]


def _table(content: bytes, sector: int) -> list[int]:
    """Return the sector that follows each one; the sectors of this table are listed in the header and behind it."""
    listed = _numbers(content[76:SECTOR])
    following, most = struct.unpack_from("<I", content, 68)[0], len(content) // sector
    for _ in range(most):
        if following >= LAST_SECTOR:
            break
        *more, following = _numbers(_sector(content, following, sector, sector)) or [LAST_SECTOR]
        listed += more
    return [number for each in listed[:most] if each < LAST_SECTOR
            for number in _numbers(_sector(content, each, sector, sector))]  # fmt: skip


def _joined(content: bytes, table: list[int], start: int, sector: int, header: int) -> bytes:
    """Return the sectors of a chain, up to its end or to where it would begin anew."""
    pieces: list[bytes] = []
    while start < LAST_SECTOR and len(pieces) <= len(table):
        pieces.append(_sector(content, start, sector, header))
        start = table[start]
    return b"".join(pieces)


def _sector(content: bytes, number: int, sector: int, header: int) -> bytes:
    start = header + number * sector
    return content[start : start + sector]


def _numbers(data: bytes) -> list[int]:
    return list(struct.unpack(f"<{len(data) // 4}I", data[: len(data) // 4 * 4]))
