"""A text in another dialect than the settings say is refused with the command that reads it, if there is one.

The commands are run as they are printed, and must give the loss, which is worked out by hand.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import msecli
from msecli import DataError

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save(**files: str | bytes) -> None:
    for name, text in files.items():
        Path(f"{name}.csv").write_bytes(text.encode() if isinstance(text, str) else text)


def advised(run: Run, *arguments: str) -> list[str]:
    """Return the options that the printed command adds to these arguments."""
    ran = run(*arguments)
    assert (ran.code, ran.out) == (3, "")
    (printed,) = re.findall(r"; run: msecli (.*)\n\Z", ran.err)
    words = shlex.split(printed)
    assert words[: len(arguments)] == list(arguments)
    return words[len(arguments) :]


ROWS = "yhat;y\n1,5;2,5\n-2,25;1,75\n"
# Residuals 1 and 4, so 8.5; with thousands 1000 and 0.
GROUPED = "yhat;y\n1.896,04;2.896,04\n12,5;12,5\n"

SINGLE = [
    (ROWS, 8.5, ["--delimiter", ";", "--decimal", ","]),
    (ROWS.replace(";", "\t"), 8.5, ["--delimiter", "\\t", "--decimal", ","]),
    (ROWS.replace(",", ".").replace(";", "|"), 8.5, ["--delimiter", "|"]),
    (ROWS.replace(",", ".").replace(";", " "), 8.5, ["--delimiter", " "]),
    (ROWS.replace(",", ".").replace(";", "\t"), 8.5, ["--delimiter", "\\t"]),
    (ROWS.replace(",", "."), 8.5, ["--delimiter", ";"]),
    ("# run 17\n" + ROWS.replace(",", ".").replace(";", ","), 8.5, ["--comment", "#"]),
    ("# run, 17; best\n#\n" + ROWS, 8.5, ["--comment", "#", "--delimiter", ";", "--decimal", ","]),
    (GROUPED, 500000.0, ["--delimiter", ";", "--thousands", ".", "--decimal", ","]),
    (GROUPED.translate(str.maketrans(".,", ",.")), 500000.0, ["--delimiter", ";", "--thousands", ","]),
    (GROUPED.replace(".", " "), 500000.0, ["--delimiter", ";", "--thousands", " ", "--decimal", ","]),
    (GROUPED.replace(".", "\u202f"), 500000.0, ["--delimiter", ";", "--thousands", " ", "--decimal", ","]),
    (GROUPED.replace(".", "\u2019"), 500000.0, ["--delimiter", ";", "--thousands", "'", "--decimal", ","]),
    ("n;yhat;y\na, b;1,5;2,5\nc;-2,25;1,75\n", 8.5, ["--delimiter", ";", "--decimal", ","]),
    ("day;yhat;y\n2024-01-01 10:00;1,5;2,5\n2024-01-01 11:00;-2,25;1,75\n", 8.5,
     ["--delimiter", ";", "--decimal", ","]),
    ('"yhat";"y"\n"1,5";"2,5"\n"-2,25";"1,75"\n', 8.5, ["--delimiter", ";", "--decimal", ","]),
    ('yhat,y\n"1,5","2,5"\n"-2,25","1,75"\n', 8.5, ["--decimal", ",", "--delimiter", ","]),
    (ROWS.encode("utf-16"), 8.5, ["--encoding", "utf-16", "--delimiter", ";", "--decimal", ","]),
    (ROWS.encode("utf-16-le"), 8.5, ["--encoding", "utf-16-le", "--delimiter", ";", "--decimal", ","]),
    (ROWS.encode("utf-16-be"), 8.5, ["--encoding", "utf-16-be", "--delimiter", ";", "--decimal", ","]),
    ("yhat,y\n1,2\n".encode("utf-16"), 1.0, ["--encoding", "utf-16"]),
    ("yhat,y,Größe\n1,2,3\n".encode("cp1252"), 1.0, ["--encoding", "cp1252"]),
    (ROWS.replace("y\n", "y;Größe\n").replace("5\n", "5;1\n").encode("cp1252"), 8.5,
     ["--encoding", "cp1252", "--delimiter", ";", "--decimal", ","]),
    (b"\xef\xbb\xbf" + ROWS.encode(), 8.5, ["--delimiter", ";", "--decimal", ","]),
]  # fmt: skip


@pytest.mark.parametrize(("text", "loss", "options"), SINGLE)
def test_the_printed_command_reads_the_file(text: str | bytes, loss: float, options: list[str], run: Run) -> None:
    save(x=text)
    found = advised(run, "compute", "x.csv")
    assert found == options
    ran = run("compute", "x.csv", *found)
    assert (ran.code, ran.out, ran.err) == (0, f"{loss}\n", "")


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_the_head_of_a_long_file_is_enough(encoding: str, run: Run) -> None:
    # Of the first 64 KiB the last character and the last row are cut off.
    rows = ["yhat;y;Größe\n", *["1,5;2,5;é\n", "-2,25;1,75;€uro\n"] * 9000]
    for more in ("", "x", "xx", "xxx"):
        save(x="".join([rows[0].replace("G", f"{more}G"), *rows[1:]]).encode(encoding))
        found = advised(run, "compute", "x.csv")
        assert found == [
            *(["--encoding", encoding] if encoding != "utf-8" else []),
            "--delimiter",
            ";",
            "--decimal",
            ",",
        ]
        assert run("compute", "x.csv", *found).out == "8.5\n"


PLAIN = "y\n2.5\n1.75\n"


@pytest.mark.parametrize(
    ("files", "options"),
    [
        ({"p": "yhat;n\n1,5;a\n-2,25;b\n", "t": PLAIN}, ["--delimiter", "pred=;", "--decimal", "pred=,"]),
        ({"p": PLAIN.replace("y", "yhat"), "t": "i;y\na;3,5\nb;-2,25\n"},
         ["--delimiter", "target=;", "--decimal", "target=,"]),
        ({"p": "yhat;n\n1,5;a\n-2,25;b\n", "t": "y;n\n2,5;a\n1,75;b\n"}, ["--delimiter", ";", "--decimal", ","]),
        ({"p": "yhat;n\n1,5;a\n-2,25;b\n", "t": "y|n\n2.5|a\n1.75|b\n"},
         ["--delimiter", "pred=;", "--decimal", "pred=,", "--delimiter", "target=|"]),
        ({"p": "1.5 2\n-2.25 4\n", "t": "y;n\n2,5;a\n1,75;b\n"},
         ["--delimiter", "pred= ", "--delimiter", "target=;", "--decimal", "target=,"]),
    ],
)  # fmt: skip
def test_both_files_may_need_it(files: dict[str, str], options: list[str], run: Run) -> None:
    save(**files)
    columns = ("-p", "0") if files["p"].startswith("1.5") else ()
    found = advised(run, "compute", "p.csv", "t.csv", *columns, "--no-row-check")
    assert found == options
    ran = run("compute", "p.csv", "t.csv", *columns, "--no-row-check", *found)
    # Residuals 1 and 4 or, where they are of the second pair, 1 and 4 as well.
    assert (ran.code, ran.out) == (0, "8.5\n")


def test_coefficients_and_weights_may_need_it(run: Run) -> None:
    save(x="a,b\n1,2\n3,4\n", y="y\n1\n2\n", c="a;b\n0,5;0,25\n", w="w;n\n1;a\n3;b\n")
    found = advised(run, "linear", "x.csv", "y.csv", "--coef", "c.csv")
    assert found == ["--delimiter", "coef=;", "--decimal", "coef=,"]
    more = advised(run, "linear", "x.csv", "y.csv", "--coef", "c.csv", "--weight-file", "w.csv", *found)
    assert more == ["--delimiter", "weight=;"]
    # Predictions 1 and 2.5: 3 · 0.25 / 4.
    ran = run("linear", "x.csv", "y.csv", "--coef", "c.csv", "--weight-file", "w.csv", *found, *more)
    assert (ran.code, ran.out) == (0, "0.1875\n")


def test_norms_need_it_as_well(run: Run) -> None:
    save(p=ROWS)
    found = advised(run, "norm", "p.csv", "-c", "y", "--ord", "1")
    assert run("norm", "p.csv", "-c", "y", "--ord", "1", *found).out == "4.25\n"


@pytest.mark.parametrize(
    "text",
    [
        "a;b\n1,896;2,125\n",  # a decimal comma, or one between thousands
        "a;b\nx;y\n",  # no numbers in any dialect
        "a;b\n1;2\n3\n",  # a row too short in every dialect
        "a;b\n",
        "some words\nand more of them\n",
        "yhat\n1,\n2,\n",  # a comma too many, not a decimal one
        '"a,",b c,yhat,y\n1,2\n',  # a row too short, though in one name there is a comma
        b"a,\xe9\x81\n1;2\n",  # in no encoding that would be guessed
    ],
)
def test_nothing_is_guessed_where_several_dialects_would_do_or_none(text: str | bytes, run: Run) -> None:
    save(x=text)
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out) == (3, "")
    assert "run:" not in ran.err


def test_a_command_is_not_printed_if_something_else_is_wrong(run: Run) -> None:
    save(p=ROWS)
    ran = run("compute", "p.csv", "none.csv")
    assert ran.code == 4
    assert "run:" not in ran.err
    assert "use --delimiter 'pred=;' --decimal pred=," in ran.err


def test_a_file_that_is_read_is_left_alone(run: Run) -> None:
    save(x='n,yhat,y\n"a;b",1,2\n"1;2",3,4\n', y="a b\n1\n2\n")
    ran = run("compute", "x.csv")
    assert (ran.code, ran.out, ran.err) == (0, "1.0\n", "")
    assert run("norm", "y.csv", "--ord", "1").out == "3.0\n"


def test_python_reads_the_same_advice() -> None:
    save(x=ROWS, t=PLAIN)
    with pytest.raises(DataError, match=re.escape("; use reading=Reading(delimiter=';', decimal=',')")):
        msecli.score("x.csv")
    with pytest.raises(DataError, match=re.escape("; use reading={'pred': Reading(delimiter=';', decimal=',')}")):
        msecli.score("x.csv", "t.csv")
    reading = {"pred": msecli.Reading(delimiter=";", decimal=",")}
    # 1.5 and -2.25 against 2.5 and 1.75
    assert msecli.score("x.csv", "t.csv", pred="yhat", reading=reading).loss == 8.5
