"""Parquet files.

Expected values are the Python values that were written; damaged files are made by changing bytes of
good ones, and must give the same number as before or an error, never another number.
"""

from __future__ import annotations

import datetime as dt
import math
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from msecli.api import score
from msecli.errors import DataError
from msecli.formats.base import Block
from tests.files import blocks, opened, parquet_bytes, write

ROWS = 40


def put(folder: Path, content: bytes) -> Path:
    return write(folder / "x.parquet", content)


def read(path: Path, *names: str, labels: tuple[str, ...] = (), jobs: int = 1) -> list[Block]:
    return blocks(opened(path), names, labels, jobs)


def values(found: list[Block], name: str) -> list[float | None]:
    numbers = [value for block in found for value in block.numbers[name].tolist()]
    return [None if math.isnan(value) else value for value in numbers]


def refusal(path: Path, *names: str) -> str:
    with pytest.raises(DataError) as caught:
        read(path, *names)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float16(), pa.float32(), pa.float64()]
DECIMALS = [pa.decimal32(9, 2), pa.decimal64(18, 2), pa.decimal128(38, 2), pa.decimal256(76, 2)]


@pytest.mark.parametrize("options", [{}, {"use_dictionary": False}, {"data_page_version": "2.0"}], ids=str)
@pytest.mark.parametrize("kind", [*INTEGERS, *FLOATS, *DECIMALS], ids=str)
def test_any_number_type_is_read_with_its_nulls(tmp_path: Path, kind: Any, options: dict[str, Any]) -> None:
    expected = [1.0, None, 100.0, 3.0, None] * 7
    make = {"halffloat": np.float16}.get(str(kind), Decimal if pa.types.is_decimal(kind) else int)
    column = pa.array([None if value is None else make(value) for value in expected], kind)
    assert values(read(put(tmp_path, parquet_bytes({"v": column}, **options)), "v"), "v") == expected


@pytest.mark.parametrize("kind", [pa.int64(), pa.float64(), pa.bool_()], ids=str)
def test_a_dictionary_of_numbers_is_read(tmp_path: Path, kind: Any) -> None:
    column = pa.array([1, 0, None, 1]).cast(kind).dictionary_encode()
    assert values(read(put(tmp_path, parquet_bytes({"v": column})), "v"), "v") == [1.0, 0.0, None, 1.0]


def test_truth_values_are_zero_and_one(tmp_path: Path) -> None:
    column = pa.array([True, None, False] * 9)
    assert values(read(put(tmp_path, parquet_bytes({"v": column})), "v"), "v") == [1.0, None, 0.0] * 9


def test_a_column_of_nulls_is_missing_throughout(tmp_path: Path) -> None:
    assert values(read(put(tmp_path, parquet_bytes({"v": pa.nulls(3)})), "v"), "v") == [None] * 3


def test_nan_is_missing_and_infinity_is_not(tmp_path: Path) -> None:
    found = read(put(tmp_path, parquet_bytes({"v": [math.nan, math.inf, -math.inf]})), "v")
    assert values(found, "v") == [None, math.inf, -math.inf]


def test_decimals_are_rounded_once(tmp_path: Path) -> None:
    # The nearest float64 by Python's correctly rounded conversion; double rounding would give others.
    cells = [Decimal("0.1"), Decimal("123456789012345678901234567890.12345678"), Decimal("9007199254740992.50000001")]
    column = pa.array(cells, pa.decimal128(38, 8))
    assert values(read(put(tmp_path, parquet_bytes({"v": column})), "v"), "v") == [float(cell) for cell in cells]


@pytest.mark.parametrize(
    ("cells", "kind", "rounded"),
    [
        ([2**53 + 1, 2**53, None], pa.int64(), 1),
        ([2**64 - 1, 2**53 + 1, 2**63], pa.uint64(), 2),
        ([-(2**53) - 1, -(2**63)], pa.int64(), 1),
        ([None, None, 1], pa.int64(), 0),
    ],
)
def test_integers_that_were_rounded_are_counted(
    tmp_path: Path, cells: list[int | None], kind: Any, rounded: int
) -> None:
    found = read(put(tmp_path, parquet_bytes({"v": pa.array(cells, kind)})), "v")
    assert values(found, "v") == [None if cell is None else float(cell) for cell in cells]
    assert [warning.count for block in found for warning in block.warnings] == [rounded] * bool(rounded)
    assert all("'v'" in warning.where for block in found for warning in block.warnings)


REFUSED = [
    (pa.array(["1"]), "text is not a number"),
    (pa.array(["1"], pa.large_string()), "text is not a number"),
    (pa.array(["1"], pa.string_view()), "text is not a number"),
    (pa.array(["1"]).dictionary_encode(), "text is not a number"),
    (pa.array([b"1"]), "bytes are not numbers"),
    (pa.array([b"1"], pa.binary(1)), "bytes are not numbers"),
    (pa.array([["1"]]), "one number per row"),
    (pa.array([[{"a": 1.0}]]), "one number per row"),
    (pa.array([{"a": 1.0}]), "one number per row"),
    (pa.array([[("a", 1.0)]], pa.map_(pa.string(), pa.float64())), "one number per row"),
    (pa.array([dt.date(2020, 1, 1)]), "dates and times"),
    (pa.array([dt.datetime(2020, 1, 1)]), "dates and times"),  # noqa: DTZ001
    (pa.array([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)]), "dates and times"),
    (pa.array([dt.time(1)]), "dates and times"),
    (pa.array([dt.timedelta(1)]), "dates and times"),
]


@pytest.mark.parametrize(("column", "words"), REFUSED, ids=lambda value: str(getattr(value, "type", "")))
def test_a_column_that_is_no_number_is_refused_and_no_candidate(tmp_path: Path, column: Any, words: str) -> None:
    path = put(tmp_path, parquet_bytes({"v": column}))
    message = refusal(path, "v")
    assert "'v'" in message
    assert words in message
    assert not any(entry.data for entry in opened(path).columns or ())


@pytest.mark.parametrize("names", [("y.hat",), ("y",), ("y.hat", "y")])
def test_names_with_dots_are_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = read(put(tmp_path, parquet_bytes({"y.hat": [1.0, 2.0], "y": [3.0, 4.0]})), *names)
    expected = {"y.hat": [1.0, 2.0], "y": [3.0, 4.0]}
    assert [values(found, name) for name in names] == [expected[name] for name in names]


@pytest.mark.parametrize("name", ["", " v ", "é", "a,b", 'a"b', "list.element"])
def test_odd_names_are_names(tmp_path: Path, name: str) -> None:
    assert values(read(put(tmp_path, parquet_bytes({name: [1.0], "z": [2.0]})), name), name) == [1.0]


@pytest.mark.parametrize(("group", "jobs"), [(1, 2), (7, 1), (7, 5), (1000, 2)])
def test_row_groups_of_any_size_are_read_in_order(tmp_path: Path, group: int, jobs: int) -> None:
    path = put(tmp_path, parquet_bytes({"v": np.arange(100.0)}, row_group_size=group))
    assert values(read(path, "v", jobs=jobs), "v") == np.arange(100.0).tolist()


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("nulls", [False, True])
def test_a_row_group_larger_than_a_block_is_read_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nulls: bool, jobs: int
) -> None:
    monkeypatch.setattr("msecli.formats.parquet.ROWS_PER_BLOCK", 64)
    expected = [None if nulls and number % 3 == 0 else float(number) for number in range(1000)]
    path = put(tmp_path, parquet_bytes({"v": pa.array(expected, pa.float64())}, row_group_size=700))
    found = read(path, "v", jobs=jobs)
    assert values(found, "v") == expected
    assert max(block.rows for block in found) <= 64


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    "column",
    [pa.array([True, None, False, True] * 250), pa.array([1, None, 2, 3] * 250).dictionary_encode(), pa.nulls(1000)],
    ids=lambda column: str(column.type),
)
def test_blocks_of_packed_columns_are_read_from_where_they_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: Any, jobs: int
) -> None:
    monkeypatch.setattr("msecli.formats.parquet.ROWS_PER_BLOCK", 13)
    expected = [None if cell is None else float(cell) for cell in column.to_pylist()]
    path = put(tmp_path, parquet_bytes({"v": column}, row_group_size=300))
    assert values(read(path, "v", jobs=jobs), "v") == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array([1, 2], pa.int32()), [1, 2]),
        (pa.array([1, 2**64 - 1], pa.uint64()), [1, 2**64 - 1]),
        (pa.array(["a", None]), ["a", None]),
        (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([dt.date(2020, 1, 2)] * 2), ["2020-01-02"] * 2),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_labels_of_any_type_can_be_compared(tmp_path: Path, column: Any, expected: list[Any]) -> None:
    found = read(put(tmp_path, parquet_bytes({"i": column, "v": [1.0, 2.0]})), "v", labels=("i",))
    assert found[0].labels["i"].tolist() == expected


OPTIONS: dict[str, dict[str, Any]] = {
    "snappy": {"compression": "snappy"},
    "plain": {"compression": "none", "use_dictionary": False},
    "zstd": {"compression": "zstd", "row_group_size": 20},
    "v2": {"compression": "gzip", "data_page_version": "2.0"},
}
GOOD = {
    name: parquet_bytes(
        {
            "yhat": np.random.default_rng(0).normal(size=ROWS),
            "y": np.arange(ROWS),
            "n": [f"row {number}" for number in range(ROWS)],
        },
        **options,
    )
    for name, options in OPTIONS.items()
}


def loss_or_error(path: Path) -> float | None:
    """Return the loss, or None for an error."""
    try:
        return score(path, jobs=1).loss
    except DataError:
        return None


@pytest.mark.slow
@pytest.mark.parametrize("name", GOOD)
def test_a_changed_byte_never_gives_another_number(tmp_path: Path, name: str) -> None:
    good = GOOD[name]
    expected = loss_or_error(put(tmp_path, good))
    chance = random.Random(name)  # noqa: S311 - the same bytes in every run
    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= chance.randrange(1, 256)
        assert loss_or_error(put(tmp_path, bytes(changed))) in (None, expected), f"{place}: {changed[place]}"


@pytest.mark.parametrize("name", GOOD)
def test_many_changed_bytes_never_give_another_number(tmp_path: Path, name: str) -> None:
    good = GOOD[name]
    expected = loss_or_error(put(tmp_path, good))
    chance = random.Random(name)  # noqa: S311 - the same bytes in every run
    for _ in range(300):
        changed = bytearray(good)
        for place in chance.sample(range(4, len(good) - 4), chance.choice([2, 8, 50])):
            changed[place] = chance.randrange(256)
        assert loss_or_error(put(tmp_path, bytes(changed))) in (None, expected)


@pytest.mark.parametrize("name", GOOD)
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, name: str) -> None:
    good = GOOD[name]
    for size in range(1, len(good), 7):
        assert loss_or_error(put(tmp_path, good[:size])) is None


@pytest.mark.parametrize("name", GOOD)
def test_a_hole_of_zeros_is_refused(tmp_path: Path, name: str) -> None:
    good = GOOD[name]
    expected = loss_or_error(put(tmp_path, good))
    for start in range(4, len(good) - 68, 16):
        assert loss_or_error(put(tmp_path, good[:start] + bytes(64) + good[start + 64 :])) in (None, expected)


def test_fewer_rows_in_a_row_group_than_in_the_file_is_refused(tmp_path: Path) -> None:
    # The footer counts rows twice, in the file and in its row groups, as zigzag varints: 40 is 0x50, 32 is 0x40.
    good = GOOD["plain"]
    expected = loss_or_error(put(tmp_path, good))
    footer = len(good) - 8 - int.from_bytes(good[-8:-4], "little")
    places = [place for place in range(footer, len(good)) if good[place] == 2 * ROWS]
    assert len(places) >= 2
    for place in places:
        content = good[:place] + bytes([2 * (ROWS - 8)]) + good[place + 1 :]
        assert loss_or_error(put(tmp_path, content)) in (None, expected)


def test_a_changed_value_is_found_by_its_checksum(tmp_path: Path) -> None:
    good = parquet_bytes({"yhat": np.arange(64.0), "y": np.zeros(64)}, compression="none", use_dictionary=False)
    place = good.index(np.float64(17.0).tobytes())
    changed = good[:place] + np.float64(18.0).tobytes() + good[place + 8 :]
    assert "CRC" in refusal(put(tmp_path, changed), "yhat")


@pytest.mark.parametrize(
    "content",
    [
        b"PAR1",
        b"PAR1PAR1",
        b"PAR1\0\0\0\0PAR1",
        b"PAR1" + b"x" * 100 + b"PAR1",
        b"PAR1" + bytes(100) + b"\x64\0\0\0PAR1",
        b"PAR1" + b"\xff" * 100 + b"\x64\0\0\0PAR1",
        b"PAR1" + b"\xff" * 100 + b"\xff\xff\xff\xffPAR1",
        b"PAR1" + GOOD["plain"][4:-4] + b"PARE",
        GOOD["plain"] + b"\n",
        b"\n" + GOOD["plain"],
        GOOD["plain"] + GOOD["snappy"],
    ],
    ids=lambda content: f"{len(content)} {content[:6]!r}",
)
def test_what_only_looks_like_parquet_is_refused_or_read(tmp_path: Path, content: bytes) -> None:
    expected = loss_or_error(put(tmp_path, GOOD["plain"]))
    assert loss_or_error(put(tmp_path, content)) in (None, expected)


def test_a_file_cut_off_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = put(tmp_path, parquet_bytes({"v": np.arange(1000.0)}))
    source = opened(path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(DataError, match=r"x\.parquet"):
        blocks(source, ["v"])


def test_a_file_replaced_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    path = put(tmp_path, parquet_bytes({"v": [1.0, 2.0]}))
    source = opened(path)
    other = tmp_path / "other.parquet"
    other.write_bytes(parquet_bytes({"v": [3.0]}))
    other.replace(path)
    found = blocks(source, ["v"])
    assert values(found, "v") == [1.0, 2.0]
