"""Rows of two files paired by key.

Expected matches are those of a Python dict from key to row, or of `numpy.argsort`; messages are spelled out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msecli
from msecli.errors import DataError
from msecli.formats.base import Block
from msecli.pairing.keys import Held, Matched, aligned_rows, match
from msecli.pairing.position import Stream
from msecli.pairing.roles import Shared
from tests.files import write

Run = Callable[..., Any]

INT64 = st.integers(-(2**63), 2**63 - 1)
NEAR = st.integers(-20, 20)


def _columns(label: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[list[Any], list[Any]]]:
    """Return two columns of keys, each with any number of missing ones but no duplicates."""
    column = st.lists(st.none() | label, min_size=1, unique_by=lambda key: object() if key is None else key)
    return st.tuples(column, column)


NEAR_KEYS, FAR_KEYS, TEXT_KEYS = _columns(NEAR), _columns(INT64), _columns(st.text("ab07 ,é\0", max_size=3))


def held(columns: Mapping[str, Any], path: str = "p.csv", blocks: int = 1) -> Held:
    """Return rows in memory with these keys, and their row numbers as the only numbers."""
    arrays = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    rows = len(next(iter(arrays.values())))
    block = Block(rows, {"row": np.arange(rows, dtype=np.float64)}, arrays)
    borders = np.linspace(0, rows, blocks + 1).astype(int).tolist()
    parts = [block.slice(start, stop) for start, stop in pairwise(borders)]
    return Held(Stream(path, iter(parts)))


def matched(prediction: Sequence[Any], target: Sequence[Any], *, skip: bool = False) -> Matched:
    return match(held({"id": prediction}), held({"id": target}, "t.csv"), ["id"], skip_unmatched=skip)


def by_dict(prediction: Sequence[Any], target: Sequence[Any]) -> list[int]:
    rows = {key: row for row, key in enumerate(target) if key is not None}
    return [-1 if key is None else rows.get(key, -1) for key in prediction]


@pytest.mark.parametrize(
    "key",
    [
        lambda row: row,
        lambda row: row - 50,
        lambda row: row * 10**15 - 2**62,
        lambda row: f"k{row}",
        str,
    ],
    ids=["dense", "negative", "sparse", "text", "digits"],
)
def test_rows_are_found_in_any_order(key: Callable[[int], Any]) -> None:
    order = np.random.default_rng(1).permutation(100)
    found = matched([key(int(row)) for row in order], [key(row) for row in range(100)])
    assert found.position.tolist() == order.tolist()
    assert (found.rows, found.unmatched_prediction, found.unmatched_target, found.warnings) == (100, 0, 0, ())


def test_the_ends_of_the_range_of_integers_are_keys_like_others() -> None:
    low, high = -(2**63), 2**63 - 1
    assert matched([high, low, 0], [low, 0, high]).position.tolist() == [2, 0, 1]


@pytest.mark.parametrize("key", ["text", "unsigned"])
def test_unsigned_integers_beyond_the_signed_ones_are_keys(key: str) -> None:
    large = [2**64 - 1, 2**63, 1]
    other = pa.array([1, 2**63, 2**64 - 1], pa.uint64()) if key == "unsigned" else list(map(str, reversed(large)))
    assert matched(pa.array(large, pa.uint64()), other).position.tolist() == [2, 1, 0]


def test_signed_and_unsigned_integers_are_both_integers() -> None:
    found = matched(pa.array([2, 1], pa.uint64()), [1, 2])
    assert (found.position.tolist(), found.warnings) == ([1, 0], ())


@pytest.mark.parametrize(
    ("prediction", "target"),
    [([9, 1], [1, 2]), ([1, 2], [9, 1]), (["b", "a"], ["a", "c"]), ([10**12, 1], [1, -(10**12)])],
)
def test_keys_without_a_partner_may_be_larger_or_smaller(prediction: list[Any], target: list[Any]) -> None:
    found = matched(prediction, target, skip=True)
    assert found.position.tolist() == by_dict(prediction, target)
    assert (found.rows, found.unmatched_prediction, found.unmatched_target) == (1, 1, 1)


def test_no_key_may_have_a_partner() -> None:
    found = matched([5, 6, 7], [1, 2], skip=True)
    assert (found.position.tolist(), found.rows) == ([-1, -1, -1], 0)
    assert (found.unmatched_prediction, found.unmatched_target) == (3, 2)
    with pytest.raises(DataError, match=r"p.csv: 3 of 3 keys \('id'\) have no match in t.csv: 5, 6, 7\n"):
        matched([5, 6, 7], [1, 2])


@settings(deadline=None, max_examples=300)
@given(NEAR_KEYS | FAR_KEYS | TEXT_KEYS)
def test_a_match_is_that_of_a_dict(sides: tuple[list[Any], list[Any]]) -> None:
    kind = pa.string() if any(isinstance(key, str) for side in sides for key in side) else pa.int64()
    prediction, target = sides
    found = matched(pa.array(prediction, kind), pa.array(target, kind), skip=True)
    expected = by_dict(prediction, target)
    assert found.position.tolist() == expected
    assert found.unmatched_prediction == expected.count(-1)
    assert found.unmatched_target == len(target) - found.rows
    assert found.warnings == ()


PAIRS = st.lists(st.tuples(NEAR, st.sampled_from(["a", "ab", "b", ""])), min_size=1, unique=True)


@settings(deadline=None)
@given(PAIRS, PAIRS)
def test_several_columns_are_one_key(prediction: list[tuple[int, str]], target: list[tuple[int, str]]) -> None:
    sides = [
        held({"a": [a for a, _ in rows], "b": [b for _, b in rows]}, path)
        for rows, path in ((prediction, "p.csv"), (target, "t.csv"))
    ]
    found = match(sides[0], sides[1], ["a", "b"], skip_unmatched=True)
    assert found.position.tolist() == by_dict(prediction, target)


def test_columns_of_a_key_do_not_run_into_each_other() -> None:
    prediction = held({"a": ["a", "ab"], "b": ["bc", "c"]})
    target = held({"a": ["ab", "a"], "b": ["c", "bc"]}, "t.csv")
    assert match(prediction, target, ["a", "b"], skip_unmatched=False).position.tolist() == [1, 0]


def test_text_and_numbers_are_compared_as_text_with_a_warning() -> None:
    found = matched([7, 10, 1], ["1", "10", "7"])
    assert found.position.tolist() == [2, 1, 0]
    (warning,) = found.warnings
    assert (warning.code, warning.where) == ("mixed_key_types", "p.csv")
    assert warning.meaning == "key 'id' is text in one file and numbers in the other; compared as text"


def test_numbers_are_not_texts_with_leading_zeros() -> None:
    found = matched([7, 8], ["007", "8"], skip=True)
    assert found.position.tolist() == [-1, 1]


def test_leading_zeros_make_different_keys() -> None:
    assert matched(["7", "007", "07"], ["007", "07", "7"]).position.tolist() == [2, 0, 1]


def test_duplicates_are_shown_with_their_rows() -> None:
    with pytest.raises(DataError) as raised:
        matched([1, 2, 3], ["x", "y", "x"])
    assert str(raised.value) == (
        "t.csv: 1 duplicate key in 'id': 'x' in rows 1 and 3; remove the duplicates, or add a key column with on"
    )


def test_only_the_first_duplicates_are_shown() -> None:
    twice = [*range(10), *range(10)]
    with pytest.raises(DataError) as raised:
        matched(twice, [1])
    message = str(raised.value)
    assert message.startswith("p.csv: 10 duplicate keys in 'id': 0 in rows 1 and 11, 1 in rows 2 and 12")
    assert "9 in rows" not in message


def test_a_key_that_is_there_three_times_is_one_key() -> None:
    with pytest.raises(DataError, match=r"^p.csv: 1 duplicate key in 'id': 4 in rows "):
        matched([4, 4, 4, 5], [4, 5])


def test_duplicates_are_refused_whatever_happens_to_unmatched_keys() -> None:
    for sides in (([1, 1], [1]), ([1], [1, 1]), ([3, 3, 1], [1]), ([1], [1, 3, 3])):
        with pytest.raises(DataError, match="1 duplicate key in 'id'"):
            matched(*sides, skip=True)


def test_duplicates_of_both_files_are_reported_together() -> None:
    with pytest.raises(DataError) as raised:
        matched([1, 1, 2], [2, 2, 1])
    assert "p.csv: 1 duplicate key in 'id': 1 in rows 1 and 2" in str(raised.value)
    assert "t.csv: 1 duplicate key in 'id': 2 in rows 1 and 2" in str(raised.value)


def test_duplicates_of_several_columns_are_shown_as_tuples() -> None:
    prediction = held({"a": [1, 1, 1], "b": ["x", "y", "x"]})
    with pytest.raises(DataError) as raised:
        match(prediction, held({"a": [1], "b": ["x"]}), ["a", "b"], skip_unmatched=False)
    assert str(raised.value).startswith("p.csv: 1 duplicate key in 'a' and 'b': (1, 'x') in rows 1 and 3; ")


def test_unmatched_keys_of_both_files_are_counted_and_shown() -> None:
    with pytest.raises(DataError) as raised:
        matched([1, 2, 3, 4, 5, 6], [6, 9])
    assert str(raised.value) == (
        "p.csv: 5 of 6 keys ('id') have no match in t.csv: 1, 2, 3, …\n"
        "t.csv: 1 of 2 keys ('id') has no match in p.csv: 9; to leave them out, use unmatched='skip'"
    )


def test_missing_keys_are_refused_with_their_first_row() -> None:
    with pytest.raises(DataError) as raised:
        matched([1, None, None], ["a", "b", None])
    assert str(raised.value) == (
        "p.csv: 2 rows without a key in 'id', the first in row 2\n"
        "t.csv: 1 row without a key in 'id', the first in row 3; to leave them out, use unmatched='skip'"
    )


def test_missing_keys_never_match_each_other() -> None:
    found = matched([None, 1, None], [None, None, 1], skip=True)
    assert found.position.tolist() == [-1, 2, -1]
    assert (found.unmatched_prediction, found.unmatched_target) == (2, 2)


def test_a_key_is_missing_when_one_of_its_columns_is() -> None:
    prediction = held({"a": [1, None, 2], "b": ["x", "x", None]})
    target = held({"a": [None, 2, 1], "b": ["x", None, "x"]}, "t.csv")
    found = match(prediction, target, ["a", "b"], skip_unmatched=True)
    assert found.position.tolist() == [2, -1, -1]
    with pytest.raises(DataError, match=r"p.csv: 2 rows without a key in 'a' and 'b', the first in row 2"):
        match(prediction, target, ["a", "b"], skip_unmatched=False)


def test_blocks_of_a_file_are_joined_even_if_only_some_look_like_numbers() -> None:
    blocks = [Block(2, {}, {"id": pa.array([1, 20])}), Block(1, {}, {"id": pa.array(["x3"])})]
    joined = Held(Stream("p.csv", iter(blocks)))
    assert joined.labels["id"].tolist() == ["1", "20", "x3"]


def test_a_file_without_rows_is_refused() -> None:
    with pytest.raises(DataError, match=r"^p.csv: there are no rows$"):
        Held(Stream("p.csv", iter([])))


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_rows_come_in_the_order_of_the_prediction_in_blocks(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr("msecli.pairing.keys.ROWS_PER_BLOCK", size)
    prediction, target = held({"id": [3, 9, 1, 2]}, blocks=3), held({"id": [1, 2, 3, 8]}, "t.csv", blocks=2)
    found = match(prediction, target, ["id"], skip_unmatched=True)
    aligned = list(aligned_rows(prediction, target, found))
    assert [part.first_row for part in aligned] == list(range(0, 3, size))
    rows = [[block.numbers["row"].tolist() for block in part.blocks] for part in aligned]
    assert [row for part in rows for row in part[0]] == [0, 2, 3]
    assert [row for part in rows for row in part[1]] == [2, 0, 1]
    labels = [part.blocks[0].labels["id"].tolist() for part in aligned]
    assert [label for part in labels for label in part] == [3, 1, 2]


def test_labels_of_paired_rows_that_must_agree_are_compared() -> None:
    prediction = held({"id": [1, 2, 3], "g": ["a", "b", "c"]})
    target = held({"id": [3, 2, 1], "g": ["c", "x", "a"]}, "t.csv")
    found = match(prediction, target, ["id"], skip_unmatched=False)
    with pytest.raises(DataError, match=r"column 'g' differs.*'b' in p.csv, 'x' in t.csv"):
        list(aligned_rows(prediction, target, found, [Shared(("g", "g"))]))


# The command line


KINDS: dict[str, Callable[[], pa.Array]] = {
    "int64": lambda: pa.array([3, 1, 2]),
    "uint8": lambda: pa.array([3, 1, 2], pa.uint8()),
    "uint64": lambda: pa.array([3, 1, 2], pa.uint64()),
    "string": lambda: pa.array(["3", "1", "2"]),
    "large_string": lambda: pa.array(["3", "1", "2"], pa.large_string()),
    "categories": lambda: pa.array(["3", "1", "2"]).dictionary_encode(),
    "number_categories": lambda: pa.array([3, 1, 2]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("swap", [False, True], ids=["parquet-csv", "csv-parquet"])
def test_the_type_of_a_key_does_not_matter(run: Run, tmp_path: Path, kind: str, swap: bool) -> None:
    first = write(tmp_path / "p.parquet", {"id": KINDS[kind](), "v": [3.0, 1.0, 2.0]})
    second = write(tmp_path / "t.csv", {"id": [1, 2, 3], "v": [1.0, 2.0, 6.0]})
    ran = run("compute", *((second, first) if swap else (first, second)), "--on", "id")
    assert (ran.code, ran.out) == (0, "3.0\n")
    warned = kind in ("string", "large_string", "categories")
    assert ("compared as text" in ran.err) is warned


def test_the_warning_of_mixed_types_is_in_the_document(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.parquet", {"id": [7, 8], "v": [1.0, 2.0]})
    target = write(tmp_path / "t.csv", {"id": ["8", "7", "x"], "v": [3.0, 2.0, 5.0]})
    ran = run("compute", prediction, target, "--on", "id", "--unmatched", "skip", "--format", "json")
    meaning = "key 'id' is text in one file and numbers in the other; compared as text"
    assert ran.err == f"Warning: {prediction}: {meaning}\n"
    document = json.loads(ran.out)
    assert document["loss"] == 1.0
    assert [(warning["code"], warning["meaning"]) for warning in document["warnings"]] == [("mixed_key_types", meaning)]


SPELLINGS: dict[str, Callable[[Path], Path]] = {
    "dates": lambda path: write(path.with_suffix(".csv"), {"ds": ["2024-01-01", "2024-01-02"], "v": [1.0, 2.0]}),
    "times": lambda path: write(
        path.with_suffix(".csv"), {"ds": ["2024-01-01T00:00:00", "2024-01-02T00:00:00"], "v": [1.0, 2.0]}
    ),
    **{
        kind: lambda path, kind=kind: write(  # type: ignore[misc]
            path.with_suffix(".parquet"),
            {"ds": np.array(["2024-01-01", "2024-01-02"], f"datetime64[{kind}]"), "v": np.array([1.0, 2.0])},
        )
        for kind in ("ms", "ns")
    },
}
"""Two days as keys, in four spellings."""


@pytest.mark.parametrize("first", SPELLINGS)
@pytest.mark.parametrize("second", SPELLINGS)
def test_times_of_any_spelling_are_compared_as_instants(tmp_path: Path, first: str, second: str) -> None:
    prediction, target = SPELLINGS[first](tmp_path / "p"), SPELLINGS[second](tmp_path / "t")
    result = msecli.score(prediction, target, on="ds")
    assert (result.loss, result.rows.matched) == (0.0, 2)
    assert {warning.code for warning in result.warnings} == {"equal_columns"}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (["2024-01-01T00:00:00.5"], ["2024-01-01 00:00:00.500000000"]),
        (["2024-01-01T01:00:00+01:00"], ["2024-01-01T00:00:00Z"]),
        (["2024-01-01 01:00:00+0100"], ["2024-01-01 00:00Z"]),
        (["3.0", "1.0"], ["3", "1"]),
        (["3.50"], ["3.5"]),
        (["-0.0"], ["0"]),
        ([3, 1], ["3.0", "1.0"]),
    ],
)
def test_keys_of_equal_value_match(ours: list[Any], theirs: list[Any]) -> None:
    found = matched(ours, theirs)
    assert found.position.tolist() == list(range(len(ours)))
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("ours", "theirs", "difference"),
    [
        (["3.0", "x"], ["3", "x"], "in how numbers are written: '3.0' against '3'"),
        ([" 1", "2"], ["1", "2"], "in blanks around them: ' 1' against '1'"),
        (["A", "2"], ["a", "2"], "in upper and lower case: 'A' against 'a'"),
        (["007", "2"], ["7", "2"], "in leading zeros: '007' against '7'"),
        (
            ["2024-01-01 00:00:00Z"],
            ["2024-01-01 00:00:00"],
            "in the time zone: UTC or an offset against no time zone: '2024-01-01 00:00:00Z' against '2024-01-01 00:00:00'",  # noqa: E501
        ),
    ],
)
def test_keys_that_differ_in_spelling_are_told_so(ours: list[str], theirs: list[str], difference: str) -> None:
    with pytest.raises(DataError) as raised:
        matched(ours, theirs)
    assert f"; keys differ {difference}; to leave them out, use unmatched='skip'" in str(raised.value)


def test_keys_may_have_two_names(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [1, 2], "v": [1.0, 2.0]})
    target = write(tmp_path / "t.csv", {"Number": [2, 1], "v": [3.0, 2.0]})
    ran = run("compute", prediction, target, "--on", "id=Number", "--format", "json")
    document = json.loads(ran.out)
    assert (document["loss"], document["settings"]["pairing"]) == (1.0, "on(id=Number)")
    assert "|pairing:on(id=Number)|used:2/2|" in document["signature"]


def test_keys_may_be_a_list_with_commas(tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"a": [1, 1, 2], "b": ["x", "y", "x"], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / "t.csv", {"c": ["y", "x", "x"], "a": [1, 2, 1], "v": [3.0, 4.0, 2.0]})
    result = msecli.score(prediction, target, on="a,b=c")
    assert (result.loss, result.settings["pairing"]) == (1.0, "on(a,b=c)")


def test_skipped_rows_are_in_the_signature(tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [1, 2], "v": [1.0, 2.0]})
    target = write(tmp_path / "t.csv", {"id": [2, 1, 3], "v": [3.0, 2.0, 9.0]})
    signature = msecli.score(prediction, target, on="id", unmatched="skip").signature
    assert "|pairing:on(id),unmatched:skip|used:2/3|" in signature


def test_every_key_column_of_mixed_types_is_named(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.parquet", {"a": [1], "b": [2], "v": [1.0]})
    target = write(tmp_path / "t.parquet", {"a": ["1"], "b": ["2"], "v": [1.0]})
    ran = run("compute", prediction, target, "--on", "a", "--on", "b")
    assert ran.out == "0.0\n"
    assert "key 'a' is text in one file" in ran.err
    assert "key 'b' is text in one file" in ran.err


def test_whole_numbers_that_pandas_keeps_as_floats_are_the_same_in_text_and_parquet(run: Run, tmp_path: Path) -> None:
    """One frame, saved twice: pandas turns a column of integers that once had a gap into floats."""
    frame = pd.DataFrame({"id": [2.0, 1.0, 3.0], "v": [1.0, 2.0, 3.0]})
    files = tmp_path / "x.csv", tmp_path / "x.parquet"
    frame.to_csv(files[0], index=False)
    frame.to_parquet(files[1], index=False)
    assert run("compute", *files, "--on", "id").out == "0.0\n"
    assert run("compute", *files).out == "0.0\n"
    labels = [run("compute", path, path, "-p", "v", "-t", "v", "--by", "id").out for path in files]
    assert labels[0] == labels[1]


@pytest.mark.parametrize("rows", [3, 99, 150, 5000])
def test_leading_zeros_in_text_files_make_different_keys_wherever_they_are(run: Run, tmp_path: Path, rows: int) -> None:
    plain = [str(row) for row in range(1, rows + 1)]
    prediction = write(tmp_path / "p.csv", {"id": plain, "v": plain})
    target = write(tmp_path / "t.csv", {"id": [*plain[:-1], f"00{rows}"], "v": plain})
    ran = run("compute", prediction, target, "--on", "id")
    assert ran.code == 3
    assert "keys ('id') has no match in" in ran.err
    both = write(tmp_path / "b.csv", {"id": [*plain, f"00{rows}"], "v": [*plain, 0]})
    assert run("compute", both, both, "--on", "id", "-p", "v", "-t", "v").out == "0.0\n"


def test_a_missing_key_among_numbers_does_not_make_them_text(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [1, 2, None], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / "t.csv", {"id": [2, 1, 3], "v": [3.0, 2.0, 3.0]})
    ran = run("compute", prediction, target, "--on", "id", "--unmatched", "skip")
    assert (ran.out, ran.err) == ("1.0\n", "")


@pytest.mark.parametrize("suffix", ["npy", "parquet"])
@pytest.mark.parametrize("keys", [[1.0, 2.0, np.nan], [1.5, 2.0, np.nan]], ids=["whole", "fractions"])
def test_not_a_number_is_a_missing_key_and_a_missing_label(
    run: Run, tmp_path: Path, suffix: str, keys: list[float]
) -> None:
    path = tmp_path / f"x.{suffix}"
    if suffix == "npy":
        np.save(path, np.column_stack([keys, [1.0, 2.0, 3.0]]))
    else:
        pq.write_table(pa.table({"0": pa.array(keys, from_pandas=False), "1": [1.0, 2.0, 3.0]}), path)
    names = "-p", "1", "-t", "1"
    ran = run("compute", path, path, *names, "--on", "0")
    assert ran.code == 3
    assert "1 row without a key in '0', the first in row 3" in ran.err
    grouped = run("compute", path, *names, "--by", "0", "--format", "json")
    assert [group["group"]["0"] is None for group in json.loads(grouped.out)["groups"]] == [False, False, True]


@pytest.mark.parametrize("other", ["1e-05", "1e+16", "+1", "05", "2024-01-05", '"a, 007"'])
def test_what_other_columns_hold_does_not_make_keys_text(run: Run, tmp_path: Path, other: str) -> None:
    number = other if other[0] in "1+0" else "0"
    (tmp_path / "p.csv").write_text(f"id,v,note\n3,{number},{other}\n1,2,x\n")
    pq.write_table(pa.table({"id": [1, 3], "v": [4.0, float(number)]}), tmp_path / "t.parquet")
    grad = tmp_path / "g.parquet"
    ran = run("compute", tmp_path / "p.csv", tmp_path / "t.parquet", "--on", "id", "--grad", grad)
    assert (ran.out, ran.err) == ("2.0\n", "")  # (0 + 4) / 2
    assert pq.read_table(grad)["id"].to_pylist() == [3, 1]


@pytest.mark.parametrize("header", [("v", " id"), ("id ", "v")], ids=["before", "after"])
def test_blanks_around_the_name_of_a_key_do_not_matter(run: Run, tmp_path: Path, header: tuple[str, str]) -> None:
    """As for every other column that is named."""
    prediction = write(tmp_path / "p.csv", {name: [1, 2] for name in header})
    target = write(tmp_path / "t.csv", {"id": [2, 1], "v": [2.0, 1.0]})
    ran = run("compute", prediction, target, "--on", "id")
    assert (ran.code, ran.out) == (0, "0.0\n")


def test_a_key_that_only_one_file_has_is_an_error(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [1], "v": [1.0]})
    target = write(tmp_path / "t.csv", {"key": [1], "v": [1.0]})
    ran = run("compute", prediction, target, "--on", "id")
    assert ran.code == 3
    assert ran.err.startswith(f"Error: --on: {target} has no column 'id'; keys are columns of both files\n")
    assert f"--on: {prediction} has no column 'nope'" in run("compute", prediction, target, "--on", "nope").err


def test_several_key_columns_pair_in_any_order_of_columns_and_rows(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"a": [1, 1, 2], "b": ["x", "y", "x"], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / "t.parquet", {"b": ["x", "y", "x"], "v": [0.0, 0.0, 0.0], "a": [2, 1, 1]})
    ran = run("compute", prediction, target, "--on", "a", "--on", "b", "-r", "none", "--format", "csv")
    assert ran.out == 'a,b,loss\n1,"x",1\n1,"y",4\n2,"x",9\n'
    assert "duplicate key" in run("compute", prediction, target, "--on", "a").err


def test_a_key_need_not_be_unique_beside_another_column(run: Run, tmp_path: Path) -> None:
    columns = {"day": [1, 1, 2], "store": ["n", "s", "n"], "v": [1.0, 2.0, 3.0]}
    prediction = write(tmp_path / "p.csv", columns)
    assert run("compute", prediction, prediction, "--on", "day", "--on", "store").out == "0.0\n"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_problems_of_paired_rows_name_the_row_of_the_file(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction = write(tmp_path / f"p.{suffix}", {"id": [1, 2, 3], "v": [1.0, 2.0, 3.0]})
    target = write(tmp_path / f"t.{suffix}", {"id": [3, 2, 1], "v": [None, 2.0, 1.0], "w": [1.0, 1.0, -1.0]})
    names = "-p", "v", "-t", "v"
    missing = run("compute", prediction, target, "--on", "id", *names).err
    lines = {"csv": (" (line 2)", " (line 4)"), "parquet": ("", "")}[suffix]
    assert f"{target}, column 'v': 1 of 3 values missing, the first in row 1{lines[0]};" in missing
    weights = run("compute", prediction, target, "--on", "id", *names, "--nan-policy", "omit", "-w", "w").err
    assert f"{target}, column 'w': the weight in row 3{lines[1]} is negative" in weights


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_problems_behind_unmatched_rows_name_the_row_of_the_file(run: Run, tmp_path: Path, suffix: str) -> None:
    prediction = write(tmp_path / f"p.{suffix}", {"id": [8, 9, 1, 2], "v": [1.0, 2.0, 3.0, None]})
    target = write(tmp_path / f"t.{suffix}", {"id": [1, 2], "v": [2.0, 1.0]})
    ran = run("compute", prediction, target, "--on", "id", "--unmatched", "skip")
    assert (
        f"{prediction}, column 'v': 1 of 2 values missing, the first in row 4{' (line 5)' if suffix == 'csv' else ''};"
        in ran.err
    )


def test_the_row_index_is_not_compared_when_rows_are_paired_by_another_key(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"index": [0, 1], "name": ["a", "b"], "v": [1.0, 2.0]})
    target = write(tmp_path / "t.csv", {"index": [0, 1], "name": ["b", "a"], "v": [2.0, 1.0]})
    assert run("compute", prediction, target, "--on", "name").out == "0.0\n"


def test_nothing_matched_leaves_nothing_to_score(run: Run, tmp_path: Path) -> None:
    prediction = write(tmp_path / "p.csv", {"id": [5, 6], "g": ["a", "b"], "v": [1.0, 2.0]})
    target = write(tmp_path / "t.csv", {"id": [1, 2], "v": [1.0, 2.0]})
    for options in ((), ("--by", "g"), ("--batch-size", "2", "--shuffle", "1", "--drop-last"), ("--axis", "0")):
        ran = run("compute", prediction, target, "--on", "id", "--unmatched", "skip", *options)
        assert (ran.code, ran.out) == (3, "")
        assert "nothing left to score" in ran.err


def test_two_hundred_thousand_keys_pair_in_any_order(tmp_path: Path) -> None:
    rows = 200_000
    rng = np.random.default_rng(7)
    prediction, target = rng.standard_normal(rows), rng.standard_normal(rows)
    key, order, other = rng.permutation(rows) * 31 - 10**6, rng.permutation(rows), rng.permutation(rows)
    pq.write_table(pa.table({"id": key[order], "v": prediction[order]}), tmp_path / "p.parquet")
    pq.write_table(pa.table({"id": key[other], "v": target[other]}), tmp_path / "t.parquet")
    pq.write_table(pa.table({"p": prediction, "t": target}), tmp_path / "x.parquet")
    result = msecli.score(tmp_path / "p.parquet", tmp_path / "t.parquet", on="id")
    whole = msecli.score(tmp_path / "x.parquet", pred="p", target="t")
    assert result.loss == whole.loss
    assert result.rows.matched == rows
    texts = tmp_path / "t.csv"
    write(texts, {"id": [f"k{value}" for value in key[other].tolist()], "v": target[other].tolist()})
    pq.write_table(
        pa.table({"id": [f"k{value}" for value in key[order].tolist()], "v": prediction[order]}), tmp_path / "k.parquet"
    )
    assert msecli.score(tmp_path / "k.parquet", texts, on="id").loss == whole.loss
