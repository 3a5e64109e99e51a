"""JSON Lines and arrays of JSON records.

Expected values are those that Python's json module wrote, or reads; losses are hand arithmetic over them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import msecli
from msecli.errors import DataError
from msecli.formats.records import Wanted
from msecli.text.reading import Reading
from tests.files import held, opened
from tests.fuzz.sizes import reading_in, tiny

Run = Callable[..., Any]

RECORDS: list[dict[str, Any]] = [{"id": 1, "pred": 1.5, "target": 2}, {"id": 2, "pred": 2, "target": 4}]
LOSS = 2.125
"""The mean of 0.25 and 4."""

LINES, ARRAY = "x.jsonl", "x.json"
both = pytest.mark.parametrize("name", [LINES, ARRAY])


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def text_of(name: str, records: Sequence[str]) -> str:
    return "".join(f"{each}\n" for each in records) if name == LINES else "[\n" + ",\n".join(records) + "\n]\n"


def put(name: str, records: Sequence[Any], *more: str) -> str:
    """Write records, and others as they are: each on a line, the first one on the second line of an array."""
    Path(name).write_text(text_of(name, [*map(json.dumps, records), *more]))
    return name


def refusal(name: str, **way: Any) -> str:
    with pytest.raises(DataError) as caught:
        msecli.score(name, **way)
    return str(caught.value)


def place(name: str, row: int) -> str:
    return f"{name}, line {row}" if name == LINES else f"{name}, row {row} (line {row + 1})"


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("name", ["x.jsonl", "x.ndjson", "x.json", "x.csv", "x"])
def test_records_on_lines_are_read_by_any_name(name: str, mark: str, ends: str, run: Run) -> None:
    Path(name).write_bytes((mark + ends.join(map(json.dumps, RECORDS))).encode())
    ran = run("compute", name)
    assert (ran.code, ran.out) == (0, f"{LOSS}\n")
    assert (ran.err == "") == (name != "x.csv")


@pytest.mark.parametrize(
    "layout",
    [{}, {"indent": 2}, {"separators": (",", ":")}, {"indent": None, "separators": (" ,\n ", " : ")}],
    ids=["usual", "indented", "compact", "wide"],
)
@pytest.mark.parametrize("around", ["{}", " \n{}\n ", "\ufeff{}\r\n"])
def test_arrays_are_read_however_they_are_laid_out(layout: dict[str, Any], around: str) -> None:
    Path(ARRAY).write_text(around.format(json.dumps(RECORDS, **layout)))
    result = msecli.score(ARRAY)
    assert (result.loss, result.inputs[0].format) == (LOSS, "json")


def test_what_pandas_writes_is_read() -> None:
    frame = pd.DataFrame({"pred": [0.1, 1e300, math.nan], "target": [0.3, 1e300, 2.0], "k": ["a/b", "é", None]})
    for name, lines in ((LINES, True), (ARRAY, False)):
        frame.to_json(name, orient="records", lines=lines, double_precision=15)
        read = held(opened(name), ["pred", "target"], ["k"])
        assert read.numbers["target"].tolist() == [0.3, 1e300, 2.0]
        assert math.isnan(read.numbers["pred"][2])
        assert read.labels["k"] == ["a/b", "é", None]
    for orient in ("columns", "index", "values", "split", "table"):
        frame.to_json("other.json", orient=orient)
        assert "orient='records', lines=True" in refusal("other.json") or orient in {"index", "values"}


@both
def test_tokens_of_python_are_numbers_and_null_is_missing(name: str) -> None:
    put(name, [*RECORDS, {"pred": math.inf, "target": -math.inf}, {"pred": math.nan, "target": None}, {"target": 3}])
    read = held(opened(name), ["pred", "target"])
    assert read.numbers["pred"][:3].tolist() == [1.5, 2.0, math.inf]
    assert read.numbers["target"][[0, 1, 2, 4]].tolist() == [2.0, 4.0, -math.inf, 3.0]
    assert math.isnan(read.numbers["target"][3])
    assert all(map(math.isnan, read.numbers["pred"][3:]))
    assert read.warnings == []


@both
@pytest.mark.parametrize(
    ("number", "value", "code"),
    [
        ("1e400", math.inf, "overflowed_numbers"),
        ("-1.8e308", -math.inf, "overflowed_numbers"),
        ("9" * 400, math.inf, "overflowed_numbers"),
        ("9" * 5000, math.inf, "overflowed_numbers"),
        (str(2**53 + 1), 2.0**53, "rounded_integers"),
        (str(-(10**30)), -1e30, "rounded_integers"),
        (str(2**60), 2.0**60, ""),
        ("1e22", 1e22, ""),
        ("9007199254740993.0", 2.0**53, ""),
        ("-0", -0.0, ""),
        ("-0.0", -0.0, ""),
        ("2.4703282292062328e-324", 5e-324, ""),
    ],
)
def test_numbers_are_rounded_once_and_what_is_lost_is_counted(name: str, number: str, value: float, code: str) -> None:
    put(name, RECORDS, f'{{"pred": {number}, "target": 1}}')
    read = held(opened(name), ["pred"])
    assert read.numbers["pred"][2].hex() == value.hex()
    assert [(warning.code, warning.count) for warning in read.warnings] == ([(code, 1)] if code else [])


@settings(deadline=None, max_examples=100)
@given(digits=st.lists(st.decimals(allow_nan=False, allow_infinity=False).map(lambda d: f"{d:e}"), min_size=1))
def test_any_decimal_is_the_nearest_float64(tmp_path_factory: pytest.TempPathFactory, digits: list[str]) -> None:
    path = tmp_path_factory.mktemp("json") / LINES
    path.write_text("".join(f'{{"v": {each}}}\n' for each in digits))
    expected = [float(Decimal(each)) for each in digits]
    assert held(opened(path), ["v"]).numbers["v"].tobytes() == pd.Series(expected, dtype=float).to_numpy().tobytes()


@both
@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('"1.5"', "column 'pred': '1.5' is a text, not a number; store it as a number"),
        ('"1,5"', "column 'pred': '1,5' is a text, not a number; store it as a number"),
        ('"?"', "column 'pred': '?' is a text, not a number; if it means missing, use reading=Reading(na_values='?')"),
        ("true", "column 'pred': true is not a number; write 1 and 0"),
        ("[1, 2]", "column 'pred': a list is not a number; write one number per row"),
        ('{"a": 1}', "column 'pred': an object is not a number; name a value in it by its path, such as out.pred"),
        ('1, "pred": 2', "column 'pred': the name occurs more than once in this record; keep one"),
    ],
)
def test_what_is_no_number_is_told_with_its_line(name: str, value: str, said: str) -> None:
    put(name, RECORDS, f'{{"id": 3, "pred": {value}, "target": 1}}')
    assert refusal(name) == f"{place(name, 3)}, {said}"
    # Who does not want the column reads the others.
    assert held(opened(name), ["target"]).numbers["target"].tolist() == [2.0, 4.0, 1.0]


@both
@pytest.mark.parametrize("word", ["", "NA", "NaN", "null", "none yet"])
def test_words_for_missing_are_those_of_text(name: str, word: str) -> None:
    put(name, [*RECORDS, {"id": 3, "pred": word, "target": 1}])
    assert msecli.score(name, nan_pred="omit", reading=Reading(na_values="none yet")).elements.nan_prediction == 1
    # Of labels they are words as others.
    assert held(opened(name), [], ["pred"]).labels["pred"][2] == word


@both
def test_infinity_may_be_a_text_as_protobuf_writes_it(name: str) -> None:
    put(name, [*RECORDS, {"pred": "Infinity", "target": "-Infinity"}])
    assert held(opened(name), ["pred"]).numbers["pred"].tolist() == [1.5, 2.0, math.inf]


@both
def test_truth_is_one_and_zero_in_a_column_that_holds_nothing_else(name: str) -> None:
    put(name, [{"pred": True, "target": False}, {"pred": None, "target": True}, {"pred": False, "target": False}])
    found = opened(name)
    assert [column.kind for column in found.columns or ()] == ["true or false"] * 2
    assert held(found, ["target"], ["pred"]).numbers["target"].tolist() == [0.0, 1.0, 0.0]
    assert held(found, ["target"], ["pred"]).labels["pred"] == ["true", None, "false"]
    put(name, [{"pred": True, "target": False}] * 5000, '{"pred": 1, "target": true}')
    assert "1 is neither true nor false, as above it" in refusal(name)


@both
def test_values_in_objects_are_named_by_their_paths(name: str) -> None:
    records = [
        {"out": {"pred": 1.5, "deep": {"y": 2}}, "a.b": 1, "a": {"b": 9}},
        {"out": {"pred": 2, "deep": {"y": 4, "z": 0}}, "a.b": 2},
        {"out": None, "a.b": 3},
        {"a.b": 4, "out": {"deep": None}},
    ]
    put(name, records)
    found = opened(name)
    assert [(column.name, column.kind) for column in found.columns or ()] == [
        ("out", "struct"), ("a.b", "number"), ("a", "struct"),
        ("out.pred", "struct field"), ("out.deep.y", "struct field"), ("out.deep.z", "struct field"),
    ]  # fmt: skip
    read = held(found, ["out.pred", "out.deep.y", "a.b"], ["out.pred"])
    assert read.numbers["out.pred"][:2].tolist() == [1.5, 2.0]
    assert all(map(math.isnan, read.numbers["out.pred"][2:]))
    assert read.numbers["out.deep.y"][:2].tolist() == [2.0, 4.0]
    # A name that holds a point wins over a path.
    assert read.numbers["a.b"].tolist() == [1.0, 2.0, 3.0, 4.0]
    assert read.labels["out.pred"] == ["1.5", "2", None, None]
    result = msecli.score(name, pred="out.pred", target="out.deep.y", nan_pred="omit", nan_target="omit")
    assert result.loss == LOSS
    put(name, records, '{"out": 5, "a.b": 5}')
    message = refusal(name, pred="out.pred", target="a.b")
    assert message == f"{place(name, 5)}, column 'out.pred': what it is in, an object in other records, is none here"


@both
def test_columns_are_those_of_the_first_hundred_records(name: str) -> None:
    records: list[dict[str, Any]] = [{"pred": 1} for _ in range(99)] + [{"pred": 1, "target": 2, "w": 1}]
    put(name, [*records, *({"target": 4, "pred": 3, "late": 0} for _ in range(20_000))])
    assert [column.name for column in opened(name).columns or ()][:3] == ["pred", "target", "w"]
    # 1 + 20000, over 20001 rows with a target.
    assert msecli.score(name, pred="pred", target="target", nan_target="omit").loss == 1.0


@both
@pytest.mark.parametrize(
    "labels",
    [
        ["a", "b", None, 'é\u2028\t"\\', "3"],
        [1, 2, None, -(10**17), 2**63 - 1],
        [2**64 - 1, 2**63, 1, 0, 5],
        [1, "1", 2.5, True, None],
        [1.0, 2.5, 3, 1e300, None],
    ],
    ids=["texts", "integers", "unsigned", "mixed", "floats"],
)
def test_labels_are_exact(name: str, labels: list[Any]) -> None:
    put(name, [{"k": label, "v": 1} for label in labels])
    found = held(opened(name), ["v"], ["k"]).labels["k"]
    words = [label if label is None else str(label).lower() if label is True else str(label) for label in labels]
    assert found in (labels, words)


@both
@pytest.mark.parametrize(
    ("record", "said"),
    [
        ('{"pred": 1 "target": 2}', "this is not JSON: ',' delimiter is expected before '\"target\": 2}"),
        ('{"pred": 01, "target": 2}', "this is not JSON: ',' delimiter is expected before '1, \"target\": 2}"),
        ('{"pred": +1}', "this is not JSON: value is expected before '+1}"),
        ("{'pred': 1}", "this is not JSON: property name is expected before \"'pred': 1}"),
        ("5", "a record {…} is expected, '5' found"),
        ("null", "a record {…} is expected, 'null' found"),
        ('"x"', "a record {…} is expected, '\"x\"' found"),
        ("[1, 2]", "a record {…} is expected, '[1, 2]' found"),
        ('{"pred": "\x01"}', "this is not JSON: invalid control character"),
    ],
)
def test_what_is_no_record_is_told_with_its_line(name: str, record: str, said: str) -> None:
    for before in (RECORDS, RECORDS * 200):
        put(name, before, record)
        message = refusal(name)
        assert message.startswith(f"{place(name, len(before) + 1)}: {said}"), message
        assert "\n" not in message
    put(name, [], record, *map(json.dumps, RECORDS))
    assert refusal(name, pred="pred", target="target").startswith(place(name, 1))


def test_several_records_on_a_line_and_one_on_several_are_told() -> None:
    Path(LINES).write_text('{"pred":1,"target":2}\n{"pred":1,"target":2}{"pred":3,"target":4}\n')
    assert refusal(LINES) == ('x.jsonl, line 2: \'{"pred":3,"target":4}\' follows the record; write one on each line')
    Path(LINES).write_text("\n".join(json.dumps(record, indent=1) for record in RECORDS))
    assert refusal(LINES).startswith("x.jsonl, line 1: the record is cut off; a record has to be on one line")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "there are no records"),
        ("[{}, {}]", "the records are empty"),
        ('[{"pred": 1, "target": 2},]', "row 2 (line 1): this is not JSON: value is expected before ']'"),
        ('[{"pred": 1, "target": 2} {"pred": 1}]', "row 1 (line 1): a comma or ] is expected before '{\"pred\": 1}]'"),
        ('[{"pred": 1, "target": 2}', "row 1 (line 1): ] is missing at the end"),
        ('[{"pred": 1, "target": 2},\n', "row 2 (line 2): the record is cut off"),
        ('[{"pred": 1, "target": 2}]\n\n[{"pred": 1}]', "line 3: '[{\"pred\": 1}]' follows the end of the array"),
        ("[1, 2]", "row 1 (line 1): a record {…} is expected, '1' found"),
        ("3", "an array of records, [{…}, {…}], is expected, '3' found"),
    ],
)
def test_what_is_no_array_of_records_is_told(text: str, said: str) -> None:
    Path(ARRAY).write_text(text)
    assert said in refusal(ARRAY)


def test_bytes_that_are_not_utf8_are_told_with_the_setting_that_reads_them() -> None:
    for name in (LINES, ARRAY):
        text = text_of(name, ['{"pred": 1, "target": 2, "é": "è"}'] * 3)
        Path(name).write_bytes(text.encode("latin-1"))
        assert "byte 0xE9 is not UTF-8; use Reading.encoding, such as" in refusal(name)
        assert msecli.score(name, reading=Reading(encoding="latin-1")).loss == 1.0
        # In a column that nobody wants, at the end.
        Path(name).write_bytes(text_of(name, ['{"pred": 1, "target": 2, "n": "é"}'] * 3).encode("latin-1"))
        assert "is not UTF-8" in refusal(name)
        Path(name).write_bytes(text.encode("utf-16"))
        assert "the text is encoded in utf-16; use reading=Reading(encoding='utf-16')" in refusal(name)
        assert msecli.score(name, reading=Reading(encoding="utf-16", format=name[2:])).loss == 1.0


NESTED = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers(-(2**70), 2**70) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('ab}],{"\\', max_size=4), inner, max_size=3),
    max_leaves=6,
)
SEPARATORS = st.sampled_from(["},{", "}, {", "}\n,\n{", "}{", "]", "\\", '"', "\\n", "\n", "null", "NaN"])
ROW = st.fixed_dictionaries({
    "v": st.none() | st.floats(allow_nan=False) | st.integers(-(2**60), 2**60),
    "k": st.lists(SEPARATORS | st.text(max_size=3), max_size=4).map("".join),
    "x": NESTED,
})  # fmt: skip


@both
@settings(deadline=None, max_examples=150)
@given(rows=st.lists(ROW, min_size=1, max_size=20), seed=st.integers(0, 10**6), ascii_only=st.booleans())
def test_tiny_parts_of_any_records_are_what_python_reads(
    tmp_path_factory: pytest.TempPathFactory, name: str, rows: list[dict[str, Any]], seed: int, *, ascii_only: bool
) -> None:
    random = Random(seed)  # noqa: S311 - sizes, not secrets
    path = tmp_path_factory.mktemp("json") / name
    pieces = [json.dumps(row, ensure_ascii=ascii_only, indent=random.choice([None, 1])) for row in rows]
    if name == LINES:
        pieces = [piece.replace("\n", " ") for piece in pieces]
    path.write_text(text_of(name, pieces))
    with reading_in(tiny(random)):
        read = held(opened(path), ["v"], ["k"], jobs=random.choice([1, 2]))
    assert [None if math.isnan(value) else value for value in read.numbers["v"]] == [
        None if row["v"] is None else float(row["v"]) for row in rows
    ]
    assert [str(label) for label in read.labels["k"]] == [row["k"] for row in rows]


@pytest.mark.parametrize("between", [",", ", ", ",\n", "\n,\n"])
def test_what_stands_between_records_may_stand_in_them(between: str) -> None:
    labels = ["},{", "}, {", "}},{{", "a", '"},{"', "},\n{"]
    lists = [[{"a": 1}, {"a": 2}], [{}, {}]]
    records = [json.dumps({"k": k, "v": n, "x": lists[n % 2]}) for n, k in enumerate(labels)]
    for some in (records, records[:1], records[::-1], [each.replace("}, {", "},{") for each in records]):
        Path(ARRAY).write_text(f"[{between.join(some)}]")
        expected = [json.loads(each)["k"] for each in some]
        for size in (1, 10, 40, 100, 1 << 20):
            with reading_in({"part": size}):
                assert held(opened(ARRAY), ["v"], ["k"]).labels["k"] == expected


@both
def test_arrow_and_the_exact_reader_return_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    random = Random(5)  # noqa: S311 - numbers, not secrets
    put(name, [{"v": random.uniform(-1, 1) * 10 ** random.randint(-300, 10), "k": f"é{n % 3}"} for n in range(5000)])
    fast = held(opened(name), ["v"], ["k"])
    used: list[bool] = []
    arrow = Wanted.fast
    monkeypatch.setattr(Wanted, "fast", lambda *given: used.append(arrow(*given) is not None))
    slow = held(opened(name), ["v"], ["k"])
    assert used
    assert all(used)
    assert fast.numbers["v"].tobytes() == slow.numbers["v"].tobytes()
    assert fast.labels == slow.labels


@pytest.mark.parametrize("rows", [1, 3, 200])
def test_a_long_line_belongs_to_the_part_in_which_it_begins(rows: int) -> None:
    put(LINES, [{"v": n, "x": "y" * (n * 37 % 1000)} for n in range(rows)])
    for size in (1, 7, 100, 1000, 5000):
        with reading_in({"part": size, "margin": 13}):
            assert held(opened(LINES), ["v"]).numbers["v"].tolist() == [*range(rows)]
