"""Messages that say what to do are followed: what they suggest is run, and has to work.

The suggestions in the sources are collected, too: each has to be met by one of the commands here. So a new message that
suggests something needs a line in `CASES`, or in `MENTIONED` if it only names what was asked for.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import msecli
from msecli.cli.wording import option
from msecli.errors import PLACEHOLDERS, SETTING, MsecliError, Setting, visible
from tests.conftest import Ran
from tests.files import write
from tests.spreadsheets import xlsx_bytes

Run = Callable[..., Ran]
PACKAGE = Path(msecli.__file__).parent

TWO = "yhat,y\n1,2\n3,5\n"
BASELINE = (
    '{"schema": "msecli/1", "loss": 2.5, "signature": "mse|columns:yhat~y|reduction:mean|weights:none|nan:raise'
    '|nan_pred:raise|pairing:position|used:2/2|acc:exact|msecli:0.2.0"}'
)
"""The result of TWO, (1 + 4) / 2."""

LABELLED = "yhat,y,g\n1,2,a\n3,4,b\n5,7,b\n"
ROWS = 12
"""More than the rows below which equal columns are only warned of."""


def csv(header: str, *rows: Sequence[Any]) -> str:
    """Return a table of comma-separated text."""
    return "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"


@dataclass(frozen=True)
class Case:
    """A command that fails with advice.

    Parameters
    ----------
    name : str
    files : mapping of str to str, bytes or columns
    arguments : str
        As they are typed.
    fill : mapping of str to str
        The values for settings that have a placeholder, or no value, in the message.
    without : str
        Options that the advice replaces, as they were typed.
    together : bool
        Whether the message names several problems, each with advice of its own.
    code : int
        The exit code when the advice is followed; 3 where it is a step, and the next message knows the next one.
    """

    name: str
    files: Mapping[str, Any]
    arguments: str
    fill: Mapping[str, str] = field(default_factory=dict)
    without: str = ""
    together: bool = False
    code: int = 0


CASES = (
    Case(
        "a reference that cannot be scored",
        {"a.csv": "name\nx\ny\n", "b.csv": "yhat\n1\n2\n", "t.csv": "y\n1\n3\n"},
        "compare a.csv b.csv t.csv -p yhat -t y",
        code=3,
    ),
    # Columns of lists
    Case(
        "lists of one name that nobody named",
        {"p.parquet": {"id": [1, 2], "e": [[1.0, 2.0], [3.0, 4.0]]}, "t.parquet": {"e": [[1.0, 2.0], [3.0, 5.0]]}},
        "compute p.parquet t.parquet",
        fill={"pred": "e", "target": "e"},
    ),
    Case(
        "lists that nobody named",
        {"x.arrow": {"id": [1, 2], "a": [[1.0, 2.0], [3.0, 4.0]], "b": [[1.0, 2.0], [3.0, 5.0]]}},
        "compute x.arrow",
        fill={"pred": "a", "target": "b"},
    ),
    Case(
        "numbers in structs alone",
        {"x.arrow": {"s": [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 5.0}]}},
        "compute x.arrow",
        fill={"pred": "s.a", "target": "s.b"},
    ),
    # Missing values
    Case("a missing prediction", {"x.csv": "yhat,y\n1,2\n,5\n"}, "compute x.csv"),
    Case("a missing target", {"x.csv": "yhat,y\n1,2\n3,\n"}, "compute x.csv"),
    Case("missing on both sides", {"x.csv": "yhat,y\n1,2\n3,\n,1\n"}, "compute x.csv", together=True),
    Case("a missing target of a check", {"x.csv": "yhat,y\n1,2\n3,\n"}, "gradcheck x.csv"),
    # Pairs of rows
    Case(
        "keys without a match",
        {"p.csv": "id,yhat\n1,1\n2,2\n", "t.csv": "id,y\n1,1\n3,2\n"},
        "compute p.csv t.csv --on id",
    ),
    Case("a missing key", {"p.csv": "id,yhat\n1,1\n,2\n", "t.csv": "id,y\n1,1\n2,2\n"}, "compute p.csv t.csv --on id"),
    Case(
        "keys that are not unique",
        {"p.csv": "id,h,yhat\n1,1,1\n1,2,2\n", "t.csv": "id,h,y\n1,2,1\n1,1,2\n"},
        "compute p.csv t.csv --on id",
        fill={"on": "h"},
    ),
    Case("rows in another order", {"p.csv": "id,yhat\n1,1\n2,2\n", "t.csv": "id,y\n2,1\n1,2\n"}, "compute p.csv t.csv"),
    Case(
        "rows in another order, after --",
        {"p.csv": "id,yhat\n1,1\n2,2\n", "-t.csv": "id,y\n2,1\n1,2\n"},
        "compute -- p.csv -t.csv",
    ),
    Case(
        "keys of other names, with blanks",
        {"my p.csv": "My Id,yhat\n1,1\n2,2\n", "t.csv": "my id,y\n2,1\n1,2\n"},
        "compute 'my p.csv' t.csv",
    ),
    Case(
        "rows in another order, some without a match",
        {"p.csv": "id,yhat\n1,1\n2,2\n3,3\n", "t.csv": "id,y\n2,1\n1,2\n4,2\n"},
        "compute p.csv t.csv",
    ),
    Case(
        "series and times in another order",
        {
            "p.csv": csv("unique_id,ds,yhat", *[(f"s{n // 4}", f"2024-01-0{n % 4 + 1}", n) for n in range(8)]),
            "t.csv": csv("unique_id,ds,y", *[(f"s{n // 4}", f"2024-01-0{n % 4 + 1}", n) for n in reversed(range(8))]),
        },
        "compute p.csv t.csv",
    ),
    Case(
        "features in another order",
        {
            "p.csv": csv("x,yhat", *[(n / 7, n) for n in range(5)]),
            "t.csv": csv("x,y", *[(n / 7, n) for n in reversed(range(5))]),
        },
        "compute p.csv t.csv",
    ),
    Case(
        "groups in another order",
        {"p.csv": "id,g,yhat\n1,a,1\n2,b,2\n", "t.csv": "id,g,y\n2,b,1\n1,a,2\n"},
        "compute p.csv t.csv --by g",
        code=0,
    ),
    Case(
        "groups that differ whatever the key",
        {"p.csv": "id,g,h,yhat\n1,a,u,1\n2,b,v,2\n", "t.csv": "id,g,h,y\n2,c,v,1\n1,a,u,2\n"},
        "compute p.csv t.csv",
    ),
    Case(
        "more rows in one file, with the same key",
        {"p.csv": "id,yhat\n1,1\n2,2\n3,3\n", "t.csv": "id,y\n3,1\n1,2\n"},
        "compute p.csv t.csv",
    ),
    Case(
        "more rows in one file, with a key of two columns",
        {"p.csv": "store,ds,yhat\na,1,1\na,2,2\nb,1,3\n", "t.csv": "store,ds,y\na,2,1\nb,1,2\n"},
        "compute p.csv t.csv",
    ),
    Case(
        "more rows in one file, and a note that differs",
        {"p.csv": "Id,note,yhat\n1,x,1\n2,y,2\n3,z,3\n", "t.csv": "Id,note,y\n3,k,1\n1,l,2\n"},
        "compute p.csv t.csv",
    ),
    Case(
        "more rows in one file, of a format that counts them",
        {"p.parquet": {"id": [1, 2, 3], "yhat": [1.0, 2.0, 3.0]}, "t.parquet": {"id": [1, 3], "y": [1.0, 2.0]}},
        "compute p.parquet t.parquet",
    ),
    Case(
        "more rows in one file, with keys of other names",
        {"p.csv": "k,yhat\n1,1\n2,2\n3,3\n", "t.csv": "kk,y\n3,1\n1,2\n"},
        "compute p.csv t.csv -p yhat -t y",
        fill={"on": "k=kk"},
        code=3,
    ),
    # Columns that their values contradict
    Case(
        "columns that are equal in every row",
        {
            "p.csv": csv("lat,temp", *[(n / 2, n + 0.5) for n in range(ROWS)]),
            "t.csv": csv("lat,temp", *[(n / 2, n + 1.5) for n in range(ROWS)]),
        },
        "compute p.csv t.csv",
    ),
    Case(
        "a further key among the columns",
        {
            "p.csv": csv("id,lat,temp", *[(n, n / 2, n + 0.5) for n in range(ROWS)]),
            "t.csv": csv("id,lat,temp", *[(n, n / 2, n + 1.5) for n in range(ROWS)]),
        },
        "compute p.csv t.csv --on id",
    ),
    Case(
        "integers that are keys in another order",
        {
            "p.csv": csv("Store,Sales", *[(n, n + 0.5) for n in range(ROWS)]),
            "t.csv": csv("Store,Sales", *[(n, n + 2.5) for n in reversed(range(ROWS))]),
        },
        "compute p.csv t.csv",
    ),
    # Columns
    Case("two columns of unknown names", {"x.csv": "a,b\n1,2\n"}, "compute x.csv", fill={"pred": "a", "target": "b"}),
    Case(
        "several columns, some of which tell",
        {"x.csv": "h,yhat_mean,y_true_2020\n1,2,3\n"},
        "compute x.csv",
        fill={"pred": "yhat_mean", "target": "y_true_2020"},
    ),
    Case("a prediction without a target", {"x.csv": "a,b,c\n1,2,3\n"}, "compute x.csv -p a", fill={"target": "b"}),
    Case("a target without a prediction", {"x.csv": "a,b,c\n1,2,3\n"}, "compute x.csv -t a", fill={"pred": "b"}),
    Case(
        "columns that one file has more of",
        {"p.csv": "a,b,c\n1,2,3\n", "t.csv": "a,b\n1,3\n"},
        "compute p.csv t.csv",
        fill={"pred": "a", "target": "b"},
    ),
    Case(
        "columns that identify rows",
        {"x.csv": "id,user_id\n1,2\n"},
        "compute x.csv",
        fill={"pred": "id", "target": "user_id"},
    ),
    Case(
        "two predictions of one target",
        {"x.csv": "a,b,c\n1,2,3\n"},
        "compute x.csv -p a -p b -t c",
        without="-p a -p b -t c",
    ),
    Case(
        "a list of predictions of one target",
        {"x.csv": "a,b,c\n1,2,3\n"},
        "compute x.csv -p a,b -t c",
        without="-p a,b -t c",
    ),
    Case(
        "columns of a norm",
        {"a.csv": "x,y\n1,2\n", "b.csv": "x,z\n1,2\n"},
        "norm a.csv b.csv",
        fill={"columns": "x"},
    ),
    Case("a norm of columns that identify rows", {"x.csv": "id,no\n1,2\n"}, "norm x.csv", fill={"columns": "no"}),
    Case(
        "a norm of a column that counts the rows",
        {"x.csv": csv("passenger,value", *[(n, n / 2) for n in range(ROWS)])},
        "norm x.csv",
    ),
    Case(
        "a norm of rows in another order",
        {"a.csv": "id,x\n1,1\n2,2\n", "b.csv": "id,x\n2,1\n1,2\n"},
        "norm a.csv b.csv",
    ),
    # Weights
    Case(
        "a weight file of two columns",
        {"x.csv": "yhat,y,w\n1,2,1\n", "w.csv": "a,b\n1,2\n"},
        "compute x.csv --weight-file w.csv",
        fill={"weight": "w"},
        without="--weight-file w.csv",
    ),
    Case(
        "a weight file with keys",
        {"p.csv": "id,yhat,w\n1,2,1\n", "t.csv": "id,y\n1,2\n", "w.csv": "w\n1\n"},
        "compute p.csv t.csv --on id --weight-file w.csv",
        fill={"weight": "w"},
        without="--weight-file w.csv",
    ),
    # Models and metrics
    Case(
        "a model without a target",
        {"x.csv": "a,b\n1,2\n", "w.csv": "c\n1\n"},
        "linear x.csv --coef w.csv",
        fill={"target": "b"},
    ),
    Case(
        "a model without inputs",
        {"x.csv": "id,y\n1,2\n", "w.csv": "c\n1\n"},
        "linear x.csv --coef w.csv",
        fill={"inputs": "id"},
    ),
    Case(
        "a model of fewer inputs",
        {"x.csv": "a,b,y\n1,2,3\n", "w.csv": "c\n1\n"},
        "linear x.csv --coef w.csv -t y",
        fill={"inputs": "b"},
    ),
    Case(
        "predictions of a model",
        {"x.csv": "a,b,y\n1,2,3\n", "w.csv": "c\n1\n"},
        "gradcheck x.csv --coef w.csv -p a -t y",
        fill={"inputs": "a"},
        without="-p a",
    ),
    Case("penalties on nothing", {"x.csv": TWO, "w.csv": "c\n1\n"}, "compute x.csv --l2 1", fill={"params": "w.csv"}),
    Case(
        "coefficients of other inputs",
        {"x.csv": "a,b,c,y\n1,2,3,4\n", "w.csv": "b,a\n1,2\n"},
        "linear x.csv --coef w.csv -t y",
    ),
    Case(
        "coefficients of other inputs than those named",
        {"x.csv": "a,b,c,y\n1,2,3,4\n", "w.csv": "b,a\n1,2\n"},
        "linear x.csv --coef w.csv -x a,c -t y",
        without="-x a,c",
    ),
    Case(
        "a baseline with a missing value",
        {"x.csv": "yhat,y,naive\n1,2,3\n2,3,\n"},
        "compute x.csv -m skill:naive",
    ),
    Case(
        "one baseline for two columns",
        {"x.csv": "a,b,c,d,naive\n1,2,3,4,5\n"},
        "compute x.csv -p a,b -t c,d -m skill:naive",
        fill={"pred": "b", "target": "d"},
        without="-p a,b -t c,d",
    ),
    Case(
        "gates for groups where there are none",
        {"p.csv": "g,a,b\nu,1,2\nv,3,5\n", "t.csv": "g,a,b\nu,2,2\nv,3,4\n"},
        "compute p.csv t.csv -p a,b --fail-if 'mae[any] > 9'",
        fill={"by": "g"},
    ),
    Case(
        "gates for axes without names",
        {"p.csv": "g,a,b\nu,1,2\nv,3,5\n", "t.csv": "g,a,b\nu,2,2\nv,3,4\n"},
        "compute p.csv t.csv -p a,b --fail-if 'mae[any] > 9' --axis 1",
        without="--axis 1",
    ),
    Case(
        "a baseline of a metric of which higher values are better",
        {"x.csv": "yhat,y\n1,1\n3,3\n", "old.json": BASELINE},
        "compute x.csv --baseline old.json --baseline-metric r2",
        without="--baseline old.json --baseline-metric r2",
    ),
    Case(
        "an increase over nothing",
        {"x.csv": TWO, "old.json": BASELINE},
        "compute x.csv --max-increase 2%",
        fill={"baseline": "old.json"},
    ),
    Case("a peak", {"x.csv": TWO}, "compute x.csv -m psnr", fill={"peak": "10"}),
    # Text
    Case("text in a file of another name", {"x.parquet": TWO.encode()}, "compute x.parquet"),
    Case("UTF-16", {"x.csv": TWO.encode("utf-16")}, "compute x.csv"),
    Case("UTF-16 without a mark", {"x.csv": TWO.encode("utf-16-le")}, "compute x.csv"),
    Case(
        "Latin-1 in a name",
        {"x.csv": "yhat,y,straße\n1,2,3\n".encode("latin-1")},
        "compute x.csv",
        fill={"encoding": "cp1252"},
    ),
    Case(
        "Latin-1 in a label",
        {"x.csv": "yhat,y,g\n1,2,é\n".encode("latin-1")},
        "compute x.csv --by g",
        fill={"encoding": "cp1252"},
    ),
    Case(
        "the wrong encoding",
        {"x.csv": "yhat,y,g\n1,2,é\n".encode("latin-1")},
        "compute x.csv --encoding ascii",
        fill={"encoding": "latin-1"},
    ),
    Case("names that may be data", {"x.csv": "1,2\n3.5,4\n5,7\n"}, "compute x.csv", code=3),
    Case("a row of numbers in a sheet", {"x.xlsx": xlsx_bytes({"S": [[1, 2], [3, 5]]})}, "compute x.xlsx", code=3),
    Case("a name that may be data", {"x.csv": "1,2.5,n\n3,4.5,a\n5,6.5,b\n"}, "compute x.csv", code=3),
    Case("names read as data", {"x.csv": TWO}, "compute x.csv --no-header", without="--no-header"),
    Case("a comment in the first line", {"x.csv": "# made by run 17\nyhat,y\n1,2\n"}, "compute x.csv"),
    Case("a comment among rows", {"x.csv": "yhat,y\n1,2\n# half\n3,4\n"}, "compute x.csv"),
    Case("a comment in a column", {"p.csv": "v\n1\n# half\n3\n", "t.csv": "v\n1\n2\n"}, "compute p.csv t.csv"),
    Case("another mark of comments", {"x.csv": "yhat,y\n1,2\n% half\n3,4\n"}, "compute x.csv"),
    Case("a decimal comma", {"x.csv": "yhat;y\n1,5;2,5\n"}, "compute x.csv --delimiter ';'"),
    Case(
        "a decimal comma between commas",
        {"x.csv": "yhat;y\n1,5;2,5\n"},
        "compute x.csv --decimal ,",
        fill={"delimiter": ";"},
    ),
    Case("a decimal comma in quotes", {"x.csv": 'yhat,y\n"1,5",2\n"2,5",3\n'}, "compute x.csv"),
    Case("semicolons", {"x.csv": TWO.replace(",", ";")}, "compute x.csv"),
    Case("tabs", {"x.csv": TWO.replace(",", "\t")}, "compute x.csv"),
    Case("bars", {"x.csv": TWO.replace(",", "|")}, "compute x.csv"),
    Case("a word for missing", {"x.csv": "yhat,y\n1,2\n3,4\nmissing,3\n"}, "compute x.csv --nan-pred omit"),
    Case(
        "a word that may be one for missing",
        {"x.csv": "yhat,y\n1,2\n3,4\noops,3\n"},
        "compute x.csv --nan-pred omit",
    ),
    Case("an order without groups", {"x.csv": LABELLED}, "compute x.csv --sort loss", fill={"by": "g"}),
    Case("an order of nothing", {"x.csv": LABELLED}, "compute x.csv --by g --reverse"),
    Case("clusters without a level", {"x.csv": LABELLED}, "compute x.csv --cluster g"),
    Case("a seed without a bootstrap", {"x.csv": LABELLED}, "compute x.csv --ci 0.9 --seed 1"),
    Case(
        "bins of labels",
        {"x.csv": LABELLED},
        "compute x.csv --by-bins g:2",
        fill={"by": "g"},
        without="--by-bins g:2",
    ),
    Case("blanks for missing", {"x.csv": "yhat,y\n1,2\n3,4\n   ,3\n"}, "compute x.csv --nan-pred omit"),
)

FOLLOWED_ELSEWHERE = (
    # tests/engines/test_dask.py
    Case("a cluster that nobody names", {"x.csv": TWO}, "compute x.csv --engine dask"),
    Case("a cluster for threads", {"x.csv": TWO}, "compute x.csv --scheduler tcp://h:1"),
    Case("losses by a cluster", {"x.csv": TWO}, "compute x.csv -r none --engine dask"),
)
"""Cases whose advice is more than options to add."""

MENTIONED = frozenset({
    "`unmatched=skip`", "`nan_target=omit`", "`nan_pred=omit`",
    "`unmatched=skip` requires `on`; by position every row has a partner",
    # These need a cluster: tests/engines/test_dask.py, tests/engines/test_dask_faults.py.
    (
        "the scheduler \0 has had no worker for \0 s; start some with dask worker \0, or wait longer with "
        "`worker_timeout=SECONDS`"
    ),
    # tests/engines/test_dask.py: only Python asks for it
    "\0 does not \0 yet; use `engine=local`",
    # tests/engines/test_dask_compare.py
    "the keys are not the same columns of \0 for all systems; rename those of the systems, or use `engine=local`",
    # tests/cli/test_explain_plan.py
    (
        "\0 reads \0 files in parts, and \0 is compressed, or its server sends only whole files; copy what it holds "
        "to where all workers see it, or use `engine=local`"
    ),
    "\0 reads \0 files in parts, and \0 is compressed; decompress it, or use `engine=local`",
})  # fmt: skip
"""Texts of the sources that name what the user asked for, and suggest nothing."""


@pytest.fixture(name="told")
def _told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that receives every message before its settings are spelled."""
    messages: list[str] = []
    worded = MsecliError.worded

    def recorded(error: MsecliError, *arguments: Any) -> str:
        messages.append(str(error.args[0]))
        return worded(error, *arguments)

    monkeypatch.setattr(MsecliError, "worded", recorded)
    return messages


def prepare(case: Case, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Write the files of a case into a folder, go there, and return the arguments."""
    folder.mkdir(exist_ok=True)
    monkeypatch.chdir(folder)
    for name, data in case.files.items():
        write(folder / name, data)
    return shlex.split(case.arguments)


def suggestions(message: str, fill: Mapping[str, str]) -> Iterator[tuple[bool, list[str]]]:
    """Yield what a message suggests: whether it shows the whole command, and the options; those side by side are one.

    A setting without a value is a suggestion only where `fill` has a value for it.
    """
    last, whole = -1, False
    run: list[str] = []
    for found in re.finditer(SETTING, message):
        added, name, value = found.groups()
        starts = found.start() == 0 or message[found.start() - 1] == "\n"
        if value is None and (name not in fill or starts):
            continue
        setting = Setting.of(name, value)
        if setting.value in {None, *PLACEHOLDERS}:
            setting = setting._replace(value=fill[name])
        spelled = option(setting)
        if run and found.start() != last + 1:
            yield whole, run
            run, whole = [], False
        run.append(spelled)
        whole, last = whole or bool(added), found.end()
    if run:
        yield whole, run


def typed(arguments: Sequence[str], options: Sequence[str]) -> str:
    """Return a command with further options, ahead of "--"."""
    at = list(arguments).index("--") if "--" in arguments else len(arguments)
    return " ".join(filter(None, [shlex.join(arguments[:at]), *options, shlex.join(arguments[at:])]))


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_advice_that_is_followed_works(
    case: Case, tmp_path: Path, run: Run, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = prepare(case, tmp_path, monkeypatch)
    ran = run(*arguments)
    assert ran.code in (2, 3), ran
    assert ran.err.startswith("Error: ")
    found = list(suggestions(told[-1], case.fill))
    if case.together:
        found = [(False, [option for _, options in found for option in options])]
    assert found, ran.err
    removed = shlex.split(case.arguments.replace(case.without, "")) if case.without else arguments
    for whole, options in found:
        command = typed(removed, options)
        if whole:
            assert f"run: msecli {visible(command)}" in ran.err
        else:
            assert case.fill or all(visible(each) in ran.err for each in options)
        again = run(*shlex.split(command))
        assert again.code in {0, case.code}, f"{command}\n{again.err}"


def texts(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module, without docstrings, as patterns in which anything stands for a value."""
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    inside |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = (part.value if isinstance(part, ast.Constant) else None for part in node.values)
            yield "".join(part if isinstance(part, str) else "\0" for part in parts)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value.replace("{}", "\0")


def settings(tree: ast.Module) -> Iterator[str]:
    """Yield the beginnings of the settings that a module marks by `setting` or `listed_setting`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("setting"):
            name = node.args[0]
            if isinstance(name, ast.Constant):
                yield f"{name.value!s}="


SUGGESTS = re.compile(r"`[+\0]?[\w\0]+=[^`]*`")


def test_every_suggestion_in_the_sources_is_met(
    tmp_path: Path, run: Run, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, case in enumerate((*CASES, *FOLLOWED_ELSEWHERE)):
        run(*prepare(case, tmp_path / str(number), monkeypatch))
    said = "\n".join(told)
    unmet = []
    for path in sorted(PACKAGE.rglob("*.py")):
        tree = ast.parse(path.read_text())
        suggested = {text for text in texts(tree) if SUGGESTS.search(text)} - MENTIONED
        if path.name == "errors.py":
            continue  # it describes the marks
        patterns = {text: re.escape(text).replace("\0", ".*") for text in suggested}
        patterns |= {text: rf"`\+?{text}" for text in settings(tree)}
        unmet += [f"{path.name}: {text}" for text, pattern in patterns.items() if not re.search(pattern, said)]
    assert unmet == []


# Names that were probably meant


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("compute x.csv --reductoin sum", 0),
        ("comptue x.csv", 0),
        ("compute x.csv -r summ", 0),
        ("compute x.csv -m rmsee", 0),
        ("compute x.csv --format jsn", 0),
        ("compute x.csv --input-format csvv", 0),
        ("compute x.csv -p yhatt", 0),
        ("compute x.csv -w weigt", 0),
        ("compute x.csv --by grup", 0),
        ("compute x.csv x.csv --on grup -p yhat -t y", 0),
        ("compute X1.csv", 0),
        ("compute x.cvs", 0),
        ("compute x.csv --encoding utf-88", 0),
        ("norm x.csv -c yhatt", 0),
        ("compute x.csv -m skil:weight", 0),
        ("compute x.csv -m nrmse:rang", 0),
    ],
)
def test_the_name_that_was_meant_works(
    arguments: str, code: int, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("x.csv", "x12.csv"):
        write(tmp_path / name, "yhat,y,weight,group\n1,2,1,a\n3,5,1,b\n")
    ran = run(*shlex.split(arguments))
    assert ran.code in (2, 3, 4)
    found = re.search(r"did you mean '?([^?']+)'?\?", ran.err, re.IGNORECASE)
    assert found is not None, ran.err
    mistaken = re.search(
        r"'([^']+)'", ran.err.partition("Error: ")[2].replace("'-r' / '--reduction'", "").replace("'--format'", "")
    )
    name = mistaken[1] if mistaken else ran.err.removeprefix("Error: ").partition(":")[0]
    again = arguments.replace(name, found[1])
    assert again != arguments
    assert run(*shlex.split(again)).code == code


def test_an_output_that_is_there_is_replaced_as_the_message_says(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.csv", TWO)
    command = "compute x.csv -o r.json"
    assert run(*command.split()).code == 0
    advised = re.search(r"use (--\S+)", run(*command.split()).err)
    assert advised is not None
    assert run(*command.split(), advised[1]).code == 0


# What is not suggested


@pytest.mark.parametrize(
    ("text", "arguments", "hint"),
    [
        ("Id,y,yhat\n1,a,1\n2,b,2\n", "compute x.csv", "'y' looks like the target, but holds no numbers"),
        ("Id,y,yhat\n1,a,1\n2,b,2\n", "compute x.csv -p yhat", "'y' looks like the target, but holds no numbers"),
        ("Id,y,a,b\n1,u,1,3\n2,v,2,3\n", "compute x.csv", "'y' looks like the target, but holds no numbers"),
        ("pred,a\nu,1\nv,2\n", "compute x.csv -t a", "'pred' looks like the prediction, but holds no numbers"),
    ],
)
def test_a_target_of_text_is_named_and_nothing_else_is_suggested(
    text: str, arguments: str, hint: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.csv", text)
    ran = run(*arguments.split())
    assert ran.code == 3
    assert hint in ran.err
    assert "run: " not in ran.err
    assert "use " not in ran.err


@pytest.mark.parametrize("name", ["id", "PassengerId", "Date", "user_key", "row_no", "Unnamed: 0", "timestamp"])
def test_no_column_that_identifies_rows_is_in_an_example(
    name: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.csv", f"{name},a,b,c\n1,2,3,4\n")
    assert run("compute", "x.csv").err.splitlines()[0].endswith("run: msecli compute x.csv -p a -t b")


def test_files_that_no_key_pairs_are_told_of_none(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", np.zeros(3))
    np.save("t.npy", np.zeros(2))
    ran = run("compute", "p.npy", "t.npy")
    assert ran.err == (
        "Error: the files have different numbers of rows: p.npy has 3, t.npy has 2; rows are paired by position\n"
    )
    # Keys that are not unique pair nothing.
    write(tmp_path / "p.csv", "id,yhat\n1,1\n1,2\n2,3\n")
    write(tmp_path / "t.csv", "id,y\n1,1\n2,2\n")
    assert "run: " not in run("compute", "p.csv", "t.csv").err


def test_no_columns_are_suggested_for_files_of_different_lengths(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.csv", "yhat\n1\n2\n")
    write(tmp_path / "t.csv", "a,b\n1,2\n")
    ran = run("compute", "p.csv", "t.csv")
    assert (ran.code, "run: " in ran.err) == (3, False)
    assert ran.err.splitlines()[0] == "Error: cannot tell which columns to score; use -p COLUMN -t COLUMN"
    assert ran.err.endswith("the files have different numbers of rows: p.csv has 2, t.csv has 1\n")


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        ("id,yhat\n1,1\n2,2\n3,3\n", "id,y\n1,1\n2,2\n", ""),
        ("id,yhat\n1,1\n2,2\n", "id,y\n1,1\n3,2\n", "--on id"),
        ("id,yhat\n1,1\n,2\n", "id,y\n1,1\n2,2\n", "--on id"),
        ("id,yhat\n1,1\n2,\n", "id,y\n1,1\n2,2\n", "--on id"),
        ("id,yhat\n1,1\n2,2\n", "id,y\n1,1\n2,\n", ""),
    ],
)
def test_no_row_is_advised_to_be_left_out_where_the_metric_needs_all(
    ours: str, theirs: str, options: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.csv", ours)
    write(tmp_path / "t.csv", theirs)
    assert re.search("skip|omit", run("compute", "p.csv", "t.csv", *options.split()).err)
    ran = run("compute", "p.csv", "t.csv", "-m", "mase", *options.split())
    assert ran.code == 3
    assert not re.search("skip|omit", ran.err)


@pytest.mark.parametrize("name", ["`x`", "`pred`", "`on=id`", "`+on=id`"])
def test_backticks_in_a_name_are_no_setting(
    name: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.csv", f"{name},y\n1,2\n")
    assert run("compute", "x.csv", "-p", "zebra").err == (
        f"Error: x.csv: no column 'zebra'; the columns are {name!r} (number), 'y' (number)\n"
    )


@pytest.mark.parametrize("command", ["compute x.csv -p y -t y", "compute x.csv x.csv -p y", "compute v.npy v.npy"])
def test_a_column_against_itself_is_warned_of(
    command: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "x.csv", TWO)
    np.save("v.npy", np.arange(3.0))
    ran = run(*command.split())
    assert (ran.code, ran.out) == (0, "0.0\n")
    assert "is this the same column?" in ran.err


def test_no_key_is_suggested_that_pairs_rows_of_different_groups(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "p.csv", "id,g,yhat\n1,a,1\n2,b,2\n")
    write(tmp_path / "t.csv", "id,g,y\n2,c,1\n1,d,2\n")
    ran = run("compute", "p.csv", "t.csv", "--by", "g")
    assert (ran.code, "run: " in ran.err, "use " in ran.err) == (3, False, False)


# Python callers are told of parameters


def test_advice_to_python_callers_is_python(tmp_path: Path) -> None:
    files = [
        str(write(tmp_path / name, text))
        for name, text in (("p.csv", "id,yhat\n1,1\n2,2\n3,3\n"), ("t.csv", "id,y\n3,1\n1,2\n"))
    ]
    with pytest.raises(msecli.DataError, match=r"a match, use on='id' unmatched='skip'$"):
        msecli.score(*files)
    with pytest.raises(msecli.DataError, match=r"to leave them out, use nan_target='omit'$"):
        msecli.mse_loss([1.0], [np.nan])
    with pytest.raises(msecli.DataError, match=r"use reading=Reading\(delimiter=';'\)$"):
        msecli.score(str(write(tmp_path / "x.csv", "yhat;y\n1;2\n")))
