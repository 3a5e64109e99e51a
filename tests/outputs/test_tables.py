"""Tables at any width: no number is cut, folded or rounded further, and what is left out is said.

Expected numbers are Python's own rounding of the result's, ``f"{x:.6g}"``; widths are those of `rich.cells.cell_len`.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

import msecli
from msecli import Result
from msecli.outputs import RENDERERS, Style
from msecli.outputs.table import CODES, TableWriter
from msecli.results.base import Report
from msecli.results.score import Elements, Entry, Macro, Rows, Score
from msecli.results.values import Layout

WIDTHS = (40, 60, 80, 120, 200)
NAN, INF = math.nan, math.inf
ELSEWHERE = "use --format csv or -o FILE"

numbers = st.floats(allow_nan=True, allow_infinity=True)
labels = st.text(st.sampled_from("ab 0.5🙂漢字…é\t|"), max_size=30) | st.text(max_size=10)


def scored(values: list[float], used: int) -> Score:
    names = [f"m{number}" for number in range(len(values) - 1)]
    rows, elements = Rows(used, used, used, 0, 0, 0, used), Elements(used, used, 0, 0, 0, 0)
    return Score(values[0], "ok", dict(zip(names, values[1:], strict=True)), used, rows, elements)


def grouped(rows: list[tuple[str, list[float], int]], totals: list[list[float]]) -> Result:
    pooled = scored(totals[0], 123456)
    entries = tuple(Entry("group", {"g": label}, scored(values, used)) for label, values, used in rows)
    macro = Macro(totals[1][0], "ok", scored(totals[1], 1).metrics, len(entries), 0)
    return Result(pooled, "mean", "elements", (), {}, "mse|used:1/1", "1", groups=entries, macro=macro)


def table(report: Report, style: Style) -> str:
    stream = io.BytesIO()
    RENDERERS["table"].result(stream, report, style)
    return stream.getvalue().decode()


def same(text: str, number: float, precision: int) -> bool:
    """Tell whether a text is the number, rounded, and no further."""
    if isinstance(number, int):
        return text == f"{number:,}"
    return repr(float(text)) == repr(float(f"{number + 0.0:.{precision}g}"))


def check_width(text: str, width: int) -> None:
    for line in text.split("\n"):
        assert cell_len(line) <= width, line
        assert line == line.rstrip(" "), line


@st.composite
def cases(draw: st.DrawFn) -> tuple[Result, list[tuple[list[float], int | None]]]:
    columns = draw(st.integers(1, 12))
    row = st.lists(numbers, min_size=columns, max_size=columns)
    rows = draw(st.lists(st.tuples(labels, row, st.integers(0, 10**12)), min_size=1, max_size=5))
    totals = [draw(row), draw(row)]
    expected = [(values, used) for _, values, used in rows]
    return grouped(rows, totals), [*expected, (totals[0], 123456), (totals[1], None)]


@given(cases(), st.integers(24, 200), st.integers(1, 17), st.booleans())
@example(
    (
        grouped([("", [1.8734974423440026e18], 0)], [[0.0], [0.0]]),
        [([1.8734974423440026e18], 0), ([0.0], 123456), ([0.0], None)],
    ),
    24,
    17,
    False,
)
def test_every_number_of_a_table_reads_back(
    case: tuple[Result, list[tuple[list[float], int | None]]], width: int, precision: int, terminal: bool
) -> None:
    result, expected = case
    text = table(result, Style(precision, width, terminal=terminal))
    check_width(text, width)
    # Where only empty labels fit, lines of the table are empty: the parts are counted from both ends.
    shown, _, _ = text.split("\n\n", 1)[1].rsplit("\n\n", 2)
    header, *lines = shown.split("\n")
    kept = len(header.split()) - 1
    all_columns = len(expected[0][0]) + 1
    for line, (values, used) in zip(lines, expected, strict=False):
        numbers = [*values, used][:kept]
        while numbers and numbers[-1] is None:
            numbers.pop()
        words = line.split()
        found = words[len(words) - len(numbers) :]
        assert all(same(word, n, precision) for word, n in zip(found, numbers, strict=True) if n is not None), line
    notes = " ".join(lines[len(expected) :])
    assert ("more column" in notes) == (kept < all_columns)
    if kept < all_columns:
        left_out = all_columns - kept
        assert f"{left_out} more column{'s' if left_out > 1 else ''}" in notes
        assert notes.endswith(ELSEWHERE)


def written(layout: Layout, block: Any, width: int, keys: dict[str, pa.Array] | None = None) -> str:
    stream = io.BytesIO()
    writer = TableWriter(stream, layout, Style(width=width))
    writer.append(block, keys or {})
    writer.close(None)
    return stream.getvalue().decode()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("columns", [1, 2, 7, 8, 10, 20, 50])
@pytest.mark.parametrize("name", ["a", "a_rather_long_name_of_a_column_", "漢字の列", "🙂🙂🙂🙂🙂🙂🙂🙂"])
def test_values_are_shown_whole_or_not_at_all(width: int, columns: int, name: str) -> None:
    # Of all magnitudes: an exponent that is cut off would make the smallest the largest.
    block = 10.0 ** np.random.default_rng(columns).uniform(-300, 300, (30, columns))
    layout = Layout.of((columns,), tuple(f"{name}{number}" for number in range(columns)), "loss")
    text = written(layout, block, width)
    check_width(text, width)
    header, *lines = text.rstrip("\n").split("\n")
    kept = len(header.split()) - 1
    assert kept >= 1
    for number, line in enumerate(lines[:20]):
        first, *cells = line.split()
        assert first == str(number + 1)
        assert all(same(cell, value, 6) for cell, value in zip(cells, block[number, :kept].tolist(), strict=True))
    notes = " ".join(lines[20:])
    columns_left = f" and {columns - kept} more column{'s' if columns - kept > 1 else ''}" if columns > kept else ""
    assert notes.startswith(f"10 more rows{columns_left}")
    assert notes.endswith(ELSEWHERE)


@pytest.mark.parametrize("width", WIDTHS)
def test_arrays_with_more_than_two_axes_are_shown_element_by_element(width: int) -> None:
    block = np.arange(3.0 * 4 * 5).reshape(3, 4, 5)
    text = written(Layout.of((4, 5), (), "loss"), block, width)
    check_width(text, width)
    header, first, *_ = text.split("\n")
    kept = len(header.split()) - 1
    assert header.split()[1:3] == ["0_0", "0_1"]
    assert first.split() == ["1", *(str(number) for number in range(kept))]
    assert f"{20 - kept} more column" in text or kept == 20


def test_of_very_many_columns_only_those_that_may_fit_are_looked_at() -> None:
    text = written(Layout.of((150_000,), (), "loss"), np.ones((25, 150_000)), 80)
    # Of 80 characters "row" takes 3, the columns 0 to 9 take 3 each, and those from 10 on 4 each: 11 of them.
    assert "5 more rows and 149,979 more columns; use --format csv or -o FILE" in text
    assert text.split("\n")[1].split() == ["1"] * 22


def test_keys_stand_beside_the_values() -> None:
    keys = {"id": pa.array([7, None]), "name": pa.array(["x\ty", "z"])}
    text = written(Layout((), ("loss",), ("id", "name")), np.array([0.25, NAN]), 80, keys)
    assert [line.split() for line in text.splitlines()] == [
        ["row", "id", "name", "loss"], ["1", "7", r"x\ty", "0.25"], ["2", "(missing)", "z", "nan"],
    ]  # fmt: skip


def groups(names: list[str], used: int = 3) -> Result:
    return grouped([(name, [1 / 3, 2e-10], used) for name in names], [[1 / 3, 1.0], [INF, NAN]])


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("letter", ["x", "漢", "🙂"])
def test_long_labels_are_shortened_in_the_middle_and_numbers_never(width: int, letter: str) -> None:
    text = table(groups([f"first{letter * 300}A", f"first{letter * 300}B"]), Style(width=width))
    check_width(text, width)
    one, other = text.split("\n\n")[1].split("\n")[1:3]
    for line, last in ((one, "A"), (other, "B")):
        assert re.fullmatch(rf"first{letter}+…{letter}+{last} +0\.333333 +2e-10 +3", line)
        assert cell_len(line) >= width - 1


@pytest.mark.parametrize("width", WIDTHS)
def test_of_many_groups_the_first_are_shown_and_all_totals(width: int) -> None:
    result = groups([f"group {number}" for number in range(450)])
    text = table(result, Style(width=width))
    check_width(text, width)
    lines = text.split("\n")
    assert "250 more groups; use --format csv or -o FILE" in " ".join(lines)
    assert sum(line.startswith("group ") for line in lines) == 200
    assert [line.split() for line in lines if line.startswith(("pooled", "macro "))] == [
        ["pooled", "0.333333", "1", "123,456"], ["macro", "inf", "nan"],
    ]  # fmt: skip
    assert "250" not in table(groups([str(number) for number in range(200)]), Style(width=width))


def test_the_columns_that_do_not_fit_are_named_where_there_is_room() -> None:
    many = grouped([("a", [1.0] * 13, 5)], [[1.0] * 13] * 2)
    assert "5 more columns; use --format csv or -o FILE" in table(many, Style(width=44)).replace("\n", " ")
    few = grouped([("a", [123456.0] * 8, 5)], [[123456.0] * 8] * 2)
    assert "1 more column (used); use --format csv or -o FILE" in table(few, Style(width=72))


def test_a_number_wider_than_the_terminal_is_left_out_and_said() -> None:
    report = msecli.score([1.2345678901234567e-150], [0.0])
    text = table(report, Style(precision=17, width=24, terminal=True))
    assert "1 more column; use\n--format csv or -o FILE" in text
    assert "e-3" not in text
    assert "1.5241578753238837e-300" in table(report, Style(precision=17, width=29))


def test_groups_named_as_totals_are_quoted() -> None:
    lines = table(groups(["pooled", '"pooled"', "x"]), Style()).split("\n\n")[1].split("\n")
    assert [line.split()[0] for line in lines[1:-1]] == ['"pooled"', '\\"pooled"', "x", "pooled", "macro"]


def test_what_is_no_number_is_red_and_the_pooled_loss_bold() -> None:
    lines = table(groups(["nan"]), Style(color=True)).split("\n\n")[1].split("\n")
    assert lines[1].startswith("nan ")
    assert "\x1b[1m0.333333\x1b[0m" in lines[2]
    assert "\x1b[1;31minf\x1b[0m" in lines[3]
    assert "\x1b[1;31mnan\x1b[0m" in lines[3]
    lost = table(msecli.score([INF], [0.0]), Style(color=True))
    assert "\x1b[1;31minf\x1b[0m" in lost
    assert "\x1b[1;31mfailed\x1b[0m" in table(msecli.gradcheck([INF, 1.0], [1.0, 1.0]), Style(color=True))


@pytest.mark.parametrize(
    ("signature", "short"),
    [
        (
            "mse|reduction:mean|weights:none|nan:raise|nan_pred:raise|pairing:position|used:3/3|acc:exact|msecli:1",
            "mse|used:3/3|msecli:1",
        ),
        (
            "mse|columns:a~b|reduction:sum|weights:column(w)|nan:omit|nan_pred:raise|pairing:key(id)|used:3/4|msecli:1",
            "mse|columns:a~b|reduction:sum|weights:column(w)|nan:omit|pairing:key(id)|used:3/4|msecli:1",
        ),
        # What is quoted is part of a name.
        (
            'mse|weights:column("a|reduction:mean|b")|reduction:mean|by:"\\"|nan:raise|"',
            'mse|weights:column("a|reduction:mean|b")|by:"\\"|nan:raise|"',
        ),
        # The head of the table names no more columns either.
        (
            'mse|columns:"a,b"~"c,d",e~e,f~f,g~g|reduction:mean|used:3/3|msecli:1',
            'mse|columns:"a,b"~"c,d",e~e,f~f,g~g|used:3/3|msecli:1',
        ),
        (
            f"mse|columns:{','.join(f'c{number}~c{number}' for number in range(1000))}|used:3/3|msecli:1",
            "mse|columns:c0~c0,c1~c1,c2~c2,c3~c3,… (1,000)|used:3/3|msecli:1",
        ),
    ],
)
def test_terminals_show_the_signature_without_what_is_usual(signature: str, short: str) -> None:
    result = Result(scored([1.0], 3), "mean", "elements", (), {}, signature, "1")
    assert table(result, Style(width=200, terminal=True)).endswith(f"\n\n{short}\n")
    assert table(result, Style(width=40)).endswith(f"\n\n{signature}\n")
    lines = table(result, Style(width=40, terminal=True)).split("\n\n")[-1].split("\n")
    assert "".join(lines) == short


def ledgers() -> Iterator[Any]:
    # Residuals of nothing: only the counts matter.
    nothing = dict.fromkeys(("ignored", "nan_target", "nan_prediction", "infinite"), 0)
    yield Rows(4, 4, 4, 0, 0, 0, 4), Elements(4, 4, **nothing), "4 of 4 rows used"
    yield Rows(4, 4, 4, 0, 0, 0, 4), Elements(12, 12, **nothing), "4 of 4 rows used, 12 elements"
    yield Rows(4, 5, 4, 0, 1, 0, 4), Elements(4, 4, **nothing), "targets without a prediction"
    yield Rows(4, 4, 4, 0, 0, 0, 3), Elements(4, 3, **{**nothing, "ignored": 1}), "ignored"
    yield Rows(4, 4, 4, 0, 0, 0, 4), Elements(12, 11, **{**nothing, "nan_target": 1}), "target missing"
    yield Rows(4, 4, 4, 0, 0, 0, 4), Elements(4, 4, **{**nothing, "infinite": 1}), "infinite"
    yield Rows(4, 4, 4, 0, 0, 1, 3), Elements(3, 3, **nothing), "dropped"


@pytest.mark.parametrize(("rows", "elements", "told"), [*ledgers()], ids=str)
def test_the_ledger_is_one_line_where_nothing_was_left_out(rows: Rows, elements: Elements, told: str) -> None:
    score = Score(1.0, "ok", {}, 4, rows, elements)
    text = table(Result(score, "mean", "elements", (), {}, "mse", "1"), Style())
    assert (told if told.startswith("4 of") else f"\n{told} ") in text
    assert ("4 of 4 rows used" in text) == told.startswith("4 of")


def test_the_head_names_columns_and_files(tmp_path: Path) -> None:
    for name in ("ridge", "target"):
        (tmp_path / f"{name}.csv").write_text("id,progression\n1,2\n2,3\n")
    files = [str(tmp_path / f"{name}.csv") for name in ("ridge", "target")]
    wide = Style(width=400)
    assert table(msecli.score(*files), wide).split("\n")[0] == (
        f"progression  {files[0]} vs {files[1]}  mse, mean ÷ 2 elements"
    )
    both = msecli.score(files[0], pred="progression", target="id", reduction="sum")
    assert table(both, wide).split("\n")[0] == f"progression vs id  {files[0]}  mse, sum"
    arrays = msecli.score(np.zeros((2, 50)), np.ones((2, 50)))
    assert table(arrays, wide).split("\n")[0] == "predictions vs targets  mse, mean ÷ 100 elements"
    assert table(msecli.norm(files[0], files[1]), wide).split("\n")[0] == (
        f"progression  {files[0]} minus {files[1]}  2 elements"
    )
    narrow = table(msecli.score(*files), Style(width=40, terminal=True))
    check_width(narrow, 40)
    assert narrow.startswith("progression\n/")
    assert "ridge.csv\nvs " in narrow


@pytest.mark.parametrize("options", [{}, {"metrics": "mae"}])
def test_the_format_for_what_was_left_out_can_hold_it(
    run: Callable[..., Any], tmp_path: Path, options: dict[str, str]
) -> None:
    np.save(tmp_path / "x.npy", np.ones((30, 60)))
    arguments = ["compute", tmp_path / "x.npy", tmp_path / "x.npy", "-r", "none", *(["-m", "mae"] if options else [])]
    out = run(*arguments, "--format", "table").out
    (advice,) = re.findall(r"10 more rows and \d+ more columns; use --format (\w+) or -o (\S+)", out)
    assert run(*arguments, "--format", advice[0]).code == 0
    name = advice[1].replace("FILE", "out") if "." in advice[1] else "out.csv"
    assert run(*arguments, "-o", tmp_path / name).code == 0


# Results as they are, not made up: every number of a table is one of the result's, at any width.


def numbers_of(report: Report) -> set[str]:
    """Return the numbers that a table may show: rounded ones of the result, counts, and numbers of rows."""
    values = [value for record in report.records() for value in record.values() if isinstance(value, float | int)]
    values += [value for section in report.sections() for row in (*section.rows, *section.totals) for value in row
               if isinstance(value, float | int)]  # fmt: skip
    notes = [report.what, *(section.note for section in report.sections())]
    values += [piece for note in notes for piece in note if isinstance(piece, float | int)]
    return {f"{value:,}" if isinstance(value, int) else f"{value + 0.0:.6g}" for value in values}


@cache
def result_of(what: str, columns: int) -> Report:
    rng = np.random.default_rng(columns)
    names = [f"c{number}" for number in range(columns)]
    pred, target = (
        pd.DataFrame(10.0 ** rng.uniform(-150, 150, (40, columns)), columns=names).assign(
            g=[f"at {letter}" for letter in "abcdfghi"] * 5
        )
        for _ in range(2)
    )
    metrics = "rmse,mae,bias,max_error"
    match what:
        case "columns":
            return msecli.score(pred, target, pred=names, axis=0, metrics=metrics)
        case "groups":
            return msecli.score(pred, target, pred=names, by="g", metrics=metrics)
        case "batches":
            return msecli.score(pred, target, pred=names, batch_size=7, metrics=metrics)
        case "norms":
            return msecli.norm(pred, target, columns=names, ord=[1, 2, 3, INF])
        case "gradcheck":
            return msecli.gradcheck(pred, target, pred=names, samples=30)
        case _:
            return msecli.score(pred, target, pred=names, metrics="all")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("columns", [1, 2, 5, 20, 50])
@pytest.mark.parametrize("what", ["columns", "groups", "batches", "norms", "gradcheck", "all"])
def test_every_number_of_a_table_is_one_of_the_results(what: str, columns: int, width: int) -> None:
    report = result_of(what, columns)
    text = table(report, Style(width=width, terminal=True))
    check_width(text, width)
    lines = [line for section in text.split("\n\n")[1:] for line in section.split("\n") if not line.startswith("mse|")]
    told = {
        word for line in lines if "more" not in line for word in line.split() if re.fullmatch(r"-?[\d.,e+-]+", word)
    }
    assert told
    allowed = numbers_of(report) | {str(number) for number in range(1, 41)}
    assert told <= allowed, told - allowed


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 50, 2), (4, 1, 1)])
def test_losses_of_arrays_with_several_axes_are_whole_too(shape: tuple[int, ...], width: int) -> None:
    prediction = 10.0 ** np.random.default_rng(3).uniform(-150, 150, shape)
    result = msecli.score(prediction, np.zeros(shape), axis=0)
    losses = np.asarray(result.to_dict()["values"])
    text = written(Layout.of(losses.shape[1:], (), "loss"), losses, width)
    check_width(text, width)
    allowed = {f"{value:.6g}" for value in losses.ravel().tolist()}
    for line in text.rstrip("\n").split("\n")[1 : 1 + min(20, len(losses))]:
        assert set(line.split()[1:]) <= allowed


# Colours. The palettes are those of https://en.wikipedia.org/wiki/ANSI_escape_code; the contrast is that of WCAG 2.1.

PALETTES = {
    "VGA": {"31": (170, 0, 0), "1;31": (255, 85, 85)},
    "Windows": {"31": (197, 15, 31), "1;31": (231, 72, 86)},
    "macOS": {"31": (153, 0, 0), "1;31": (230, 0, 0)},
    "xterm": {"31": (205, 0, 0), "1;31": (255, 0, 0)},
    "Ubuntu": {"31": (222, 56, 43), "1;31": (255, 0, 0)},
}
"""The colours that terminals give these codes; bold text is bright on some and not on others."""


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    def luminance(color: tuple[int, ...]) -> float:
        parts = [part / 255 for part in color]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def test_yellow_on_white_would_not_be_readable() -> None:
    assert contrast((255, 255, 255), (0, 0, 0)) == pytest.approx(21)
    assert contrast((255, 255, 255), (205, 205, 0)) < 2


@pytest.mark.parametrize("palette", PALETTES)
def test_what_has_a_colour_can_be_read_on_black_and_on_white(palette: str) -> None:
    codes = {code for code in CODES.values() if code != "1"}
    assert codes == {"1;31"}
    for code in ("31", "1;31"):
        for background in ((0, 0, 0), (255, 255, 255)):
            assert contrast(PALETTES[palette][code], background) > 2.3, background
