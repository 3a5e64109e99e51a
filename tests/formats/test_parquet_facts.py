"""What the footers of Parquet files tell of columns is what pyarrow reads in them, and what the rows hold.

The expected values are those of the rows that were written, and of `pyarrow.parquet` (26.0.1), whose accessors end the
process on some damaged footers; here the files are whole.
"""

from __future__ import annotations

import datetime as dt
import io
import math
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msecli.formats.base import Facts, facts_of
from msecli.formats.parquet_facts import facts_in
from tests.files import opened, parquet_bytes

NAN = math.nan


def facts(folder: Path, table: Mapping[str, Any] | pa.Table, **options: Any) -> dict[str | None, Facts]:
    path = folder / "x.parquet"
    path.write_bytes(parquet_bytes(table if isinstance(table, pa.Table) else pa.table(dict(table)), **options))
    return dict(facts_of(opened(path)))


def footer(content: bytes) -> bytes:
    return content[-8 - int.from_bytes(content[-8:-4], "little") : -8]


COLUMNS: dict[str, tuple[pa.Array, Any, Any]] = {
    "int8": (pa.array([3, -7, 5], pa.int8()), -7, 5),
    "uint8": (pa.array([3, 200, 5], pa.uint8()), 3, 200),
    "int64 beyond float64": (pa.array([2**60 + 1, 5, -(2**63)]), -(2**63), 2**60 + 1),
    "uint64": (pa.array([2**64 - 1, 7, 9], pa.uint64()), 7, 2**64 - 1),
    "float32": (pa.array([0.5, -2.25, 8], pa.float32()), -2.25, 8.0),
    "float16": (pa.array([0.5, -2.25, 8], pa.float16()), -2.25, 8.0),
    "double": (pa.array([0.1, 0.3, -1e300]), -1e300, 0.3),
    "zeros": (pa.array([0.0, -0.0, 0.0]), 0.0, 0.0),
    "bool": (pa.array([True, False, True]), 0, 1),
    "decimal": (pa.array([Decimal("-1.25"), Decimal("100.50"), Decimal(3)], pa.decimal128(9, 2)), -1.25, 100.5),
    "wide decimal": (pa.array([Decimal("-1.1"), Decimal("7.3"), Decimal(0)], pa.decimal256(50, 5)), -1.1, 7.3),
    "dictionary": (pa.array([3, 1, 2]).dictionary_encode(), 1, 3),
    "date": (pa.array([dt.date(2024, 2, 29), dt.date(1969, 1, 1), None]), "1969-01-01", "2024-02-29"),
    "text": (pa.array(["b", "ä", "a"]), "a", "ä"),
    "timestamp": (pa.array([0, 1, 2], pa.timestamp("us")), None, None),
    "list": (pa.array([[1], [2], [3]]), None, None),
    "binary": (pa.array([b"a", b"b", b"c"]), None, None),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("rows", [1, 3])
def test_the_smallest_and_the_largest_value_of_every_type(name: str, rows: int, tmp_path: Path) -> None:
    array, low, high = COLUMNS[name]
    found = facts(tmp_path, {"x": array}, row_group_size=rows).get("x", Facts())
    assert (repr(found.minimum), repr(found.maximum)) == (repr(low), repr(high))


def test_missing_values_are_counted_except_of_floats_which_may_be_nan(tmp_path: Path) -> None:
    table = {"i": pa.array([1, None, None]), "f": [1.5, NAN, None], "s": ["a", None, "b"]}
    found = facts(tmp_path, table, row_group_size=1)
    assert {name: each.missing for name, each in found.items()} == {"i": 2, "f": None, "s": 1}
    assert (found["f"].minimum, found["f"].maximum) == (None, None)  # one row group holds only NaN


def test_a_row_group_of_missing_values_does_not_hide_the_others(tmp_path: Path) -> None:
    found = facts(tmp_path, {"x": pa.array([None, None, 4, 2])}, row_group_size=2)
    assert found["x"] == Facts(None, 2, 2, 4)
    assert facts(tmp_path, {"x": pa.array([None, None], pa.int64())})["x"] == Facts(None, 2, None, None)


def test_nothing_is_told_of_columns_without_statistics(tmp_path: Path) -> None:
    found = facts(tmp_path, {"a": [1, 2], "b": [1, 2]}, write_statistics=["b"])
    assert found == {"a": Facts(), "b": Facts(None, 0, 1, 2)}
    assert set(facts(tmp_path, {"a": [1, 2]}, write_statistics=False).values()) == {Facts()}


def test_fields_of_structs_have_paths_and_lists_are_left_out(tmp_path: Path) -> None:
    inner = pa.array([{"u": 1, "v": [1, 2]}, {"u": None, "v": []}, None])
    found = facts(tmp_path, {"out": inner, "x": [7, 8, 9], "l": [[1], [2], [3]], "y": [4, 5, 6]})
    assert found["out.u"] == Facts(None, 2, 1, 1)
    assert (found["x"], found["y"]) == (Facts(None, 0, 7, 9), Facts(None, 0, 4, 6))
    assert {"l", "out.v"}.isdisjoint(found)


def test_the_facts_are_those_that_pyarrow_reads(tmp_path: Path) -> None:
    random_numbers = np.random.default_rng(5)
    table = pa.table({"i": random_numbers.integers(-99, 99, 500), "f": random_numbers.normal(size=500)})
    found = facts(tmp_path, table, row_group_size=64)
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    for number, name in enumerate(("i", "f")):
        groups = [metadata.row_group(group).column(number).statistics for group in range(metadata.num_row_groups)]
        assert found[name].minimum == min(each.min for each in groups)
        assert found[name].maximum == max(each.max for each in groups)


def test_text_that_may_be_shortened_is_not_told(tmp_path: Path) -> None:
    """Older writers do not say whether a text in the statistics is whole; here the flags are taken away."""
    stream = io.BytesIO()
    pq.write_table(pa.table({"s": ["a", "b"], "i": [1, 2]}), stream)
    whole = footer(stream.getvalue())
    # Fields 7 and 8 of the statistics, both true: the last of their struct, behind the values.
    assert whole.count(b"\x11\x11") >= 1
    shortened = whole.replace(b"\x11\x11", b"\x12\x12")
    assert facts_in(whole)["s",] == Facts(None, 0, "a", "b")
    assert facts_in(shortened)["s",] == Facts(None, 0)


def test_a_footer_that_is_damaged_anywhere_tells_something_or_nothing_but_never_fails() -> None:
    table = {name.replace(" ", "_"): array for name, (array, _, _) in COLUMNS.items()}
    whole = footer(parquet_bytes(pa.table(table), row_group_size=2))
    assert len(facts_in(whole)) == len(COLUMNS) - 1
    for place in range(len(whole)):
        facts_in(whole[:place])
    flips = np.random.default_rng(3)
    for _ in range(3000):
        damaged = bytearray(whole)
        for place in flips.integers(len(whole), size=flips.integers(1, 5)):
            damaged[place] = flips.integers(256)
        facts_in(bytes(damaged))


def test_formats_that_know_nothing_tell_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("a,b\n1,2\n")
    assert facts_of(opened(path)) == {}
