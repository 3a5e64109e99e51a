"""Reading a few bytes or rows at a time: the one place of these tests that knows how msecli cuts what it reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from random import Random

import pytest

Sizes = Mapping[str, int]

CONSTANTS = {
    "part": ["formats.csv.PART_BYTES", "formats.jsonl.PART_BYTES", "formats.json.CHUNK_BYTES"],
    "margin": ["text.ranges.MARGIN_BYTES"],
    "sample_rows": ["text.head.SAMPLE_ROWS", "formats.jsonl.SAMPLE_RECORDS", "formats.json.SAMPLE_RECORDS"],
    "head": ["text.head.HEAD_BYTES", "formats.jsonl.HEAD_BYTES", "formats.json.HEAD_BYTES"],
    "chunk": ["text.trail.CHUNK_BYTES"],
    "kept": ["places.stream.KEPT_BYTES"],
    "array": ["formats.stored.PART_ELEMENTS"],
    "rows": [
        "formats.excel.ROWS_PER_BLOCK",
        "formats.sqlite.ROWS_PER_BLOCK",
        "formats.parquet.ROWS_PER_BLOCK",
        "formats.columnar.ROWS_PER_BLOCK",
        "formats.arrow.ROWS_PER_PART",
        "formats.exchange.ROWS_PER_BLOCK",
        "formats.memory.ROWS_PER_BLOCK",
        "pairing.keys.ROWS_PER_BLOCK",
    ],
    "result": ["scoring.side_by_side.ROWS_PER_RESULT"],
    "held": ["formats.folder.MOST_COLUMNS"],
    "open": ["places.several.MOST_HELD"],
    "block": ["core.chunk.BLOCK", "core.exact.BLOCK"],
}
"""Where each size is kept, below `msecli`."""


def tiny(random: Random) -> Sizes:
    """Return sizes so small that a file of a few lines is cut many times, and at every byte sooner or later."""
    return {
        "part": random.choice([1, 2, 3, 5, 7, 11, 16, 24, 40, 64, 100, 300, 1 << 20]),
        "sample_rows": random.choice([1, 3, 100]),
        # No file ends its header within three bytes of the 64 KiB; of tiny heads many would.
        "head": random.choice([16, 64, 256, 1 << 16]),
        "chunk": random.choice([1, 2, 7, 1 << 20]),
        "margin": random.choice([1, 2, 7, 1 << 14]),
        "array": random.choice([1, 2, 3, 7, 1 << 18]),
        "rows": random.choice([1, 2, 3, 7, 1 << 17]),
        "result": random.choice([1, 5, 1 << 20]),
        "held": random.choice([0, 7, 1 << 15]),
        "open": random.choice([0, 1, 16]),
        "block": random.choice([1, 2, 7, 1 << 17]),
    }


@contextmanager
def reading_in(sizes: Sizes) -> Iterator[None]:
    """Have msecli read, pair, add up and write in these sizes."""
    with pytest.MonkeyPatch.context() as patch:
        for name, size in sizes.items():
            for constant in CONSTANTS[name]:
                patch.setattr(f"msecli.{constant}", size)
        yield
