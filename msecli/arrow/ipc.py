"""Where the record batches of an Arrow file are, and how many rows each has.

pyarrow tells neither without reading the batches, so the footer of the file and the headers of the batches are looked
up here. Both are FlatBuffers, in which a table is a position, and its fields are found through its "vtable".

References
----------
The Arrow columnar format, https://arrow.apache.org/docs/format/Columnar.html: "IPC File Format" and "Encapsulated
message format"; the tables are those of its File.fbs and Message.fbs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from msecli.tuples import NamedTuple

MAGIC = b"ARROW1"
TRAILER_BYTES = 4 + len(MAGIC)
"""The footer's length, and the magic number again."""

CONTINUES = 0xFFFFFFFF
"""What precedes the length of every message since Arrow 0.15."""

DICTIONARIES, BATCHES = 2, 3
"""The fields of the footer that list blocks."""

HEADER = 2
"""The field of a message that is its header."""

LENGTH, NODES = 0, 1
"""The fields of a batch's header that are the number of rows, and what there is of each column."""

BLOCK = struct.Struct("<qixxxxq")
"""A block of the footer: where it begins, the length of its metadata, and that of the body behind them."""

Read = Callable[[int, int], bytes]
"""Returns so many bytes from an offset."""


class LayoutError(ValueError):
    """A file is not laid out as an Arrow file."""


class Block(NamedTuple):
    """Where a message is in the file."""

    begin: int
    header: int
    body: int

    @property
    def end(self) -> int:
        """The byte after the body."""
        return self.begin + self.header + self.body


class Batch(NamedTuple):
    """A record batch: where it is, and its number of rows."""

    block: Block
    rows: int


def batches_of(read: Read, size: int) -> list[Batch]:
    """Return the record batches of an Arrow file, in order.

    Parameters
    ----------
    read : callable
    size : int
        The number of bytes of the file.

    Raises
    ------
    LayoutError
        If it is damaged: blocks overlap, leave something out, or go beyond the file.
    """
    try:
        footer_bytes, magic = struct.unpack("<i6s", read(TRAILER_BYTES, size - TRAILER_BYTES))
        footer = size - TRAILER_BYTES - footer_bytes
        if magic != MAGIC or not len(MAGIC) < footer < size - TRAILER_BYTES:
            raise LayoutError("it does not end as an Arrow file does")
        data = read(footer_bytes, footer)
        root = _table(data, 0)
        batches, others = _blocks(data, root, BATCHES), _blocks(data, root, DICTIONARIES)
        _check_blocks([*batches, *others], footer)
        return [Batch(block, _rows(read, block)) for block in batches]
    except (struct.error, MemoryError) as error:
        raise LayoutError(f"its metadata are damaged: {error}") from error


LARGEST_GAP = 64
"""Bytes between blocks, by which they are aligned, and before the footer the mark of the end."""


def _check_blocks(blocks: list[Block], footer: int) -> None:
    """Refuse blocks that do not lie end to end: the rows between them, or those of a file joined to it, would be lost.

    In files joined by `cat`, the last footer would be applied to the first file.
    """
    end = len(MAGIC)
    for number, block in enumerate(sorted(blocks)):
        # Before the first block lies the schema.
        if block.begin < end or min(block.header, block.body) < 0 or (number and block.begin - end > LARGEST_GAP):
            raise LayoutError("its record batches do not lie end to end")
        end = block.end
    if end > footer or (blocks and footer - end > LARGEST_GAP):
        raise LayoutError("its record batches do not end where its footer begins; were several files joined?")


def _rows(read: Read, block: Block) -> int:
    """Return the number of rows of a record batch, from its header."""
    data = read(block.header, block.begin)
    start = 8 if struct.unpack_from("<I", data)[0] == CONTINUES else 4
    if not 0 < struct.unpack_from("<i", data, start - 4)[0] <= block.header - start:
        raise LayoutError("a record batch does not begin where the footer says")
    message = _table(data, start)
    place = _field(data, message, HEADER)
    if not place:
        raise LayoutError("a record batch has no header")
    header = _table(data, place)
    length, nodes = (_field(data, header, number) for number in (LENGTH, NODES))
    rows = int(struct.unpack_from("<q", data, length)[0]) if length else 0
    vector = _table(data, nodes) if nodes else 0
    if vector and struct.unpack_from("<I", data, vector)[0]:
        # The length is there again for each column: a damaged one would claim any number of rows.
        (first,) = struct.unpack_from("<q", data, vector + 4)
        if first != rows:
            raise LayoutError(f"a record batch has {rows} rows, its first column {first}")
    if rows < 0:
        raise LayoutError(f"a record batch has {rows} rows")
    return rows


def _table(data: bytes, position: int) -> int:
    """Return the position of the table that the offset at this position leads to."""
    return int(position + struct.unpack_from("<I", data, position)[0])


def _field(data: bytes, table: int, number: int) -> int:
    """Return the position of a field of a table; 0 if it has none."""
    vtable = table - struct.unpack_from("<i", data, table)[0]
    if vtable < 0:
        raise LayoutError("its metadata are damaged")
    size = struct.unpack_from("<H", data, vtable)[0]
    place = 4 + 2 * number
    offset = struct.unpack_from("<H", data, vtable + place)[0] if place + 2 <= size else 0
    return int(table + offset) if offset else 0


def _blocks(data: bytes, footer: int, number: int) -> list[Block]:
    """Return the blocks of a field of the footer."""
    field = _field(data, footer, number)
    if not field:
        return []
    vector = _table(data, field)
    count = struct.unpack_from("<I", data, vector)[0]
    if vector + 4 + count * BLOCK.size > len(data):
        raise LayoutError("its metadata are damaged")
    return [Block(*BLOCK.unpack_from(data, vector + 4 + place * BLOCK.size)) for place in range(count)]
