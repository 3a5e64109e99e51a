"""Workbooks of Excel and of OpenDocument.

Expected values are those that were written into the cells; losses are hand arithmetic over them.
"""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.errors import DataError
from msecli.formats.excel import letters
from tests.files import held, opened
from tests.spreadsheets import Raw, Rows, ods_bytes, xls_bytes, xlsx_bytes

Run = Callable[..., Any]

ROWS: list[list[Any]] = [["id", "pred", "target"], [1, 1.5, 2], [2, 2, 4]]
LOSS = 2.125
"""The mean of 0.25 and 4."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(rows: Rows, name: str = "x.xlsx") -> str:
    writers: dict[str, Callable[[Rows], bytes]] = {".xls": xls_bytes, ".ods": ods_bytes}
    writer = writers.get(Path(name).suffix)
    content = writer(rows) if writer else xlsx_bytes({"S": rows})
    Path(name).write_bytes(content)
    return name


def refusal(name: str, **way: Any) -> str:
    with pytest.raises(DataError) as caught:
        msecli.score(name, **way)
    return str(caught.value)


@pytest.mark.parametrize("name", ["x.xlsx", "x.xlsm", "x.xls", "x.ods"])
def test_the_only_sheet_needs_no_name(name: str, run: Run) -> None:
    put(ROWS, name)
    ran = run("compute", name)
    assert (ran.code, ran.out, ran.err) == (0, f"{LOSS}\n", "")
    assert run("compute", "--", f"{name}::{'S' if 'xlsx' in name or 'xlsm' in name else 'Sheet1'}").out == ran.out


def test_sheets_are_named_and_listed_with_their_sizes() -> None:
    more = [*ROWS, [3, 1, 1]]
    Path("x.xlsx").write_bytes(xlsx_bytes({"Runs": ROWS, "Fold 2, é": more, "empty": []}))
    assert msecli.score("x.xlsx::Fold 2, é").rows.prediction == 3
    assert msecli.score("x.xlsx::runs").loss == LOSS
    listed = "'Runs' (3 rows, 3 columns), 'Fold 2, é' (4 rows, 3 columns), 'empty' (0 rows, 0 columns)"
    assert refusal("x.xlsx") == (f"x.xlsx: the file holds several sheets: {listed}; name one of them: x.xlsx::Runs")
    Path("y.xlsx").write_bytes(xlsx_bytes({"Fold 2, é": more, "Runs": ROWS}))
    assert refusal("y.xlsx").endswith("; name one of them: 'y.xlsx::Fold 2, é'")
    assert refusal("x.xlsx::Rums") == f"x.xlsx::Rums: no sheet 'Rums'; did you mean 'Runs'?; there is {listed}"
    assert refusal("x.xlsx::empty") == "x.xlsx::empty: the sheet is empty"


def test_the_only_sheet_that_shows_anything_is_meant() -> None:
    Path("x.xlsx").write_bytes(xlsx_bytes({"empty": [], "hidden": [["pred", "target"], [1, 9]], "S": ROWS}, ["hidden"]))
    assert msecli.score("x.xlsx").loss == LOSS
    assert msecli.score("x.xlsx::hidden").loss == 64.0


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("1.5", "cell B4, column 'pred': '1.5' is a text, not a number; store it as a number"),
        (
            "?",
            "cell B4, column 'pred': '?' is a text, not a number; if it means missing, use reading=R",
        ),
        (True, "cell B4, column 'pred': true is not a number; write 1 and 0"),
        (Raw('<c s="1"><v>43831</v></c>'), "cell B4, column 'pred': a date or time is not a number"),
        (Raw('<c r="B4" t="e"><v>#DIV/0!</v></c>'), "cell B4, column 'pred': the cell holds #DIV/0!"),
        (Raw('<c t="e"><v>#NAME?</v></c>'), "cell B4, column 'pred': the cell holds #NAME?"),
        (Raw('<c r="B4" t="e"><v>#N/A</v></c>'), "column 'pred': 1 of 3 values missing, the first in row 3"),
        ("n/a", "column 'pred': 1 of 3 values missing, the first in row 3"),
        (None, "column 'pred': 1 of 3 values missing, the first in row 3"),
    ],
)
def test_what_is_no_number_is_told_with_its_cell(cell: Any, said: str) -> None:
    put([*ROWS, [3, cell, 1]])
    assert said in refusal("x.xlsx")


def test_cells_are_told_where_they_are_in_the_sheet() -> None:
    shifted = [[], [], *([None, None, *row] for row in ROWS), [], [None, None, 3, 1, "x"]]
    put(shifted)
    message = refusal("x.xlsx")
    assert message.startswith("x.xlsx, cell E7, column 'target': 'x' is a text")
    put(shifted[:-1])
    assert msecli.score("x.xlsx").loss == LOSS


def test_blank_rows_are_no_rows_and_are_counted() -> None:
    put([*ROWS[:2], [], [None, None, None], *ROWS[2:], [], []])
    result = msecli.score("x.xlsx")
    assert (result.loss, result.rows.prediction) == (LOSS, 2)
    assert [(warning.code, warning.count) for warning in result.warnings] == [("blank_lines", 2)]
    # In a single column a blank row is a missing value, as in text.
    put([["y"], [1], [], [3], []])
    assert held(opened("x.xlsx"), ["y"]).numbers["y"].tolist()[::2] == [1.0, 3.0]
    assert opened("x.xlsx").rows == 3


@pytest.mark.parametrize("name", ["x.xlsx", "x.xls", "x.ods"])
def test_truth_is_one_and_zero_and_whole_numbers_are_labels_without_a_point(name: str) -> None:
    put([["pred", "target", "k"], [True, False, 1], [False, False, 2**40], [True, None, 2.5]], name)
    read = held(opened(name), ["pred", "target"], ["k", "pred"])
    assert read.numbers["pred"].tolist() == [1.0, 0.0, 1.0]
    assert read.labels == {"k": ["1", str(2**40), "2.5"], "pred": ["true", "false", "true"]}


def test_dates_are_labels() -> None:
    put([["day", "pred"], [Raw('<c s="1"><v>43831</v></c>'), 1], [Raw('<c s="1"><v>43832.75</v></c>'), 2]])
    found = opened("x.xlsx")
    assert [(column.name, column.numeric) for column in found.columns or ()] == [("day", False), ("pred", True)]
    # Days since 1899-12-30: 43831 of them lead to 2020.
    assert held(found, ["pred"], ["day"]).labels["day"] == ["2020-01-01", "2020-01-02 18:00:00"]


@pytest.mark.parametrize("name", ["x.xlsx", "x.xls", "x.ods"])
def test_random_numbers_keep_every_bit(name: str) -> None:
    random = Random(7)  # noqa: S311 - numbers, not secrets
    values = [random.uniform(-1, 1) * 10 ** random.randint(-300, 300) for _ in range(3000)]
    put([["v"], *([value] for value in values)], name)
    assert held(opened(name), ["v"]).numbers["v"].tolist() == values


def test_numbers_too_large_are_infinite_and_counted() -> None:
    put([*ROWS, [3, Raw("<c><v>1e400</v></c>"), 1]])
    result = msecli.score("x.xlsx")
    assert result.loss == np.inf
    assert "overflowed_numbers" in [warning.code for warning in result.warnings]


def test_a_first_row_of_numbers_is_a_question(run: Run) -> None:
    put(ROWS[1:])
    ran = run("compute", "x.xlsx", "-p", "1", "-t", "2")
    assert ran.err == (
        "Error: x.xlsx: the first row holds only numbers ('1, 1.5, 2'); "
        "use --no-header if it is data, --header if these are names\n"
    )
    assert run("compute", "x.xlsx", "-p", "1", "-t", "2", "--no-header").out == f"{LOSS}\n"
    assert run("compute", "x.xlsx", "-p", "1.5", "-t", "2", "--header").out == "4.0\n"


def test_columns_without_a_name_are_left_out_if_they_are_empty() -> None:
    put([[*row, None, None] for row in ROWS])
    assert [column.name for column in opened("x.xlsx").columns or ()] == ["id", "pred", "target"]
    put([[None, *ROWS[0][1:]], *ROWS[1:]])
    # As pandas writes an index.
    assert [column.name for column in opened("x.xlsx").columns or ()] == ["", "pred", "target"]
    assert msecli.score("x.xlsx").loss == LOSS


def test_other_documents_are_told_what_they_are() -> None:
    def said(content: bytes, name: str = "x.xlsx") -> str:
        Path(name).write_bytes(content)
        return refusal(name)

    whole = xlsx_bytes({"S": ROWS})
    assert "is it damaged, or no workbook?" in said(whole[:-40])
    binary = io.BytesIO(whole)
    with zipfile.ZipFile(binary, "a") as archive:
        archive.writestr("xl/workbook.bin", b"")
    assert "binary workbook (.xlsb); save it as .xlsx" in said(binary.getvalue())
    assert "there are no rows below the names" in said(xlsx_bytes({"S": ROWS[:1]}))
    assert "ZIP archive" in said(b"PK\x03\x04" + bytes(600))
    assert "workbook is damaged" in said(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1528), "x.xls")
    # A workbook with a password is one in an archive of this kind; names have their lengths behind them.
    old = xls_bytes(ROWS)
    names = [
        f"{'Workbook':\0<32}".encode("utf-16-le") + bytes([18]),
        "EncryptedPackage".encode("utf-16-le") + bytes(32),
    ]
    assert old.count(names[0]) == 1
    assert "holds no workbook" in said(old.replace(names[0], names[0].replace(b"W", b"w")), "x.xls")
    assert "protected by a password" in said(old.replace(names[0], names[1] + bytes([34])), "x.xls")


@pytest.mark.parametrize("name", ["x.xlsx", "x.xls", "x.ods"])
def test_damage_is_an_error_or_changes_nothing(name: str) -> None:
    values = [n / 7 for n in range(40)]
    whole = Path(put([["v"], *([value] for value in values)], name)).read_bytes()
    random = Random(3)  # noqa: S311 - bytes, not secrets
    for _ in range(300):
        content = bytearray(whole)
        content[random.randrange(len(content))] = random.randrange(256)
        Path(name).write_bytes(content)
        try:
            found = opened(name)
            read = held(found, [(found.columns or ())[0].name]).numbers.popitem()[1].tolist()
        except DataError:
            continue
        # XLS files have no checksums.
        assert read == values or name == "x.xls"


@pytest.mark.parametrize("rows", [3, 200])
def test_errors_in_cells_of_old_workbooks_are_told_too(rows: int) -> None:
    import xlwt

    book = xlwt.Workbook()
    for name in ("first", "second"):
        sheet = book.add_sheet(name)
        for row in range(rows + 1):
            for column, label in enumerate(("pred", "target")):
                sheet.write(row, column, label if row == 0 else row + 3 * column)
    # 7 is a division by zero, 42 a value that is not available.
    sheet.row(3).set_cell_error(4, 7)
    book.get_sheet(1).row(0).write(4, "z")
    book.get_sheet(0).row(0).write(4, "z")
    book.get_sheet(0).row(2).set_cell_error(4, 42)
    stream = io.BytesIO()
    book.save(stream)
    Path("x.xls").write_bytes(stream.getvalue())
    assert refusal("x.xls::second", pred="z", target="target") == (
        "x.xls::second, cell E4, column 'z': the cell holds #DIV/0!"
    )
    assert f"{rows} of {rows} values missing" in refusal("x.xls::first", pred="z", target="target")
    assert msecli.score("x.xls::second", pred="pred", target="target").loss == 9.0


def test_sheets_of_impossible_sizes_are_refused_before_memory_is_taken() -> None:
    content = bytearray(Path(put(ROWS, "x.xls")).read_bytes())
    # The record of the size of the sheet: its number, its length, the first and the last row, the columns.
    at = content.index(bytes.fromhex("00020e00"))
    assert content[at + 8 : at + 12] == (3).to_bytes(4, "little")
    content[at + 11] = 0x80
    Path("x.xls").write_bytes(content)
    assert refusal("x.xls") == "x.xls: a sheet is said to have 2147483651 rows, 3 columns; is it damaged?"


def test_workbooks_may_come_through_a_pipe(run: Run) -> None:
    content = xlsx_bytes({"S": ROWS, "T": ROWS})
    assert run("compute", "--", "-::S", stdin=content).out == f"{LOSS}\n"


def test_the_extra_that_installs_the_reader_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    put(ROWS)
    monkeypatch.delitem(sys.modules, "msecli.formats.excel", raising=False)
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    ran = run("compute", "x.xlsx")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err.endswith("run: pip install 'msecli[excel]'\n")


def test_columns_are_lettered_as_in_spreadsheets() -> None:
    assert [letters(n) for n in (0, 25, 26, 51, 52, 701, 702)] == ["A", "Z", "AA", "AZ", "BA", "ZZ", "AAA"]
