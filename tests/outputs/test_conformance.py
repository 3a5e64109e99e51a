"""Every output format, on every kind of result and every layout of values: what is written reads back.

A new line in `RENDERERS` needs a reader here, and is then tested like the others. What is expected is what the result
says by its protocol (`tests/results` tests that), as the format can say it: tabular formats leave out what is no finite
number, tables round.
"""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import msecli
from msecli.outputs import RENDERERS, Style
from msecli.outputs.base import ValuesWriter
from msecli.outputs.values import StreamSink
from msecli.results.base import Report
from msecli.results.batch import Preview
from msecli.results.values import Layout
from msecli.scoring.batch import previewed, runs_named

NAN, INF = math.nan, math.inf
LABELS = [
    "north", "so,uth", 'q"uote', "a|b", "tab\there", "new\nline", "ret\rurn", "", "pooled", "macro", "=1+1", "ünï",
    "[bold]x[/bold]", "back\\slash", '"quoted"', "nan", " blanks ", "-", "bell\x07", "line\u2028break",
]  # fmt: skip
WIDE = Style(width=400)


def scored(**options: Any) -> Report:
    frame = pd.DataFrame({"pred": [0.1, 0.7, 3.0, 1e-9], "target": [0.4, 0.4, 1.0, 0.0], "w": [1.0, 0.5, 2.0, 4.0]})
    return msecli.score(frame, **options)


def grouped() -> Report:
    count = len(LABELS) + 4
    frame = pd.DataFrame(
        {
            "pred": [*(row / 7 for row in range(len(LABELS))), NAN, INF, 3.0, 4.0],
            "target": [0.0] * count,
            "a,b|c": [*LABELS, "empty", "infinite", None, None],
            "n": [*range(count - 2), 2**53 + 1, -7],
        }
    )
    by = ["a,b|c", "n"]
    return msecli.score(frame, pred="pred", target="target", by=by, nan_pred="omit", metrics=["mae", "lp:3"])


def undefined() -> Report:
    frame = pd.DataFrame({"pred": [NAN, INF, 1.0], "target": [0.0, 0.0, 3.0], "g": ["a", "b", "c"]})
    return msecli.score(frame, by="g", nan_pred="propagate", metrics=["mae", "r2"])


def columns() -> Report:
    names = ["x", "y|z", "new\nline", 'q"', "a,b", "loss"]
    prediction = pd.DataFrame(np.arange(12.0).reshape(2, 6) / 9, columns=names)
    return msecli.score(prediction, prediction * 2, axis=0, metrics="rmse")


def batched() -> Report:
    return msecli.score(
        np.arange(10.0) / 3, np.array([0.0] * 4 + [NAN] * 4 + [1.0] * 2), batch_size=4, nan_target="omit"
    )


def linear(**options: Any) -> Report:
    inputs = np.arange(12.0).reshape(6, 2) / 7
    return msecli.linear(
        inputs, np.arange(6.0), coef=[0.1, 0.2], intercept=[0.3], l1=0.1, l2=0.2, grad_norm=True, **options
    )


def accumulated() -> Report:
    total = msecli.Accumulator(metrics="rmse")
    total.update([1.0, 2.0], [0.5, 0.1])
    return total.result()


def compared(**options: Any) -> Report:
    random = np.random.default_rng(0)
    target = pd.DataFrame({"y": random.normal(size=40), "g": ["a,b", 'q"', None, "tab\t"] * 10})
    systems = {name: target["y"] + random.normal(size=40) for name in LABELS[:6]}
    return msecli.compare({**systems, "short": [1.0]}, target, target="y", metrics="r2", **options)


def batch(**options: Any) -> Report:
    frame = pd.DataFrame({"pred": [0.1, INF, 3.0], "target": [0.4, 0.4, NAN]})
    runs = [
        {"name": label or "empty", "predictions": [0.1, number / 7], "targets": [0.0, 1.0]}
        for number, label in enumerate(LABELS)
    ]
    runs += [
        {"name": "fails\tbadly", "predictions": "no such file.csv"},
        {"name": "infinite", "predictions": frame, "nan_target": "omit"},
    ]
    return msecli.batch(runs, **options)


def merged() -> Report:
    frame = pd.DataFrame(
        {"pred": [0.1, 0.7, 3.0, 1e-9], "target": [0.4, 0.4, 1.0, 0.0], "g": ["a", "pooled", "a", None]}
    )
    with tempfile.TemporaryDirectory() as folder:
        paths = [os.path.join(folder, name) for name in ("1.json", "2.json")]
        for path, rows in zip(paths, (frame[:1], frame[1:]), strict=True):
            msecli.score(rows, by="g", metrics="mae", save_state=path)
        return msecli.merge(*paths)


def preview() -> Report:
    data = "sample_data/diabetes_ridge.csv", "sample_data/diabetes_target.csv"
    runs = [{"name": "a|b", "predictions": data[0], "targets": data[1]}, {"name": "c", "predictions": "no such file"}]
    return Preview(tuple(map(previewed, runs_named(runs))))


def inspected(**options: Any) -> Report:
    frame = pd.DataFrame({"pred": [0.1, INF, 3.0], "target": [0.4, NAN, 1e300], "a|b\n": ["x\ty", None, "\u2028"]})
    return msecli.inspect(frame, frame.assign(id=[2**60, 2**60 + 1, 3]), pred="pred", target="target", **options)


KINDS: dict[str, Callable[[], Report]] = {
    "a score": scored,
    "a score with metrics": lambda: scored(metrics=["rmse", "mae", "r2", "lp:3"], weight="w"),
    "a sum": lambda: scored(reduction="sum"),
    "rows as divisor": lambda: scored(reduction="batchmean"),
    "groups with odd labels": grouped,
    "entries that are no numbers": undefined,
    "columns": columns,
    "batches": batched,
    "nan": lambda: msecli.score([1.0, NAN], [1.0, 2.0], nan_pred="propagate", metrics="mae"),
    "inf": lambda: msecli.score([1.0, INF], [1.0, 2.0], metrics=["mae", "bias"]),
    "minus inf": lambda: msecli.score([1.0, -INF], [1.0, 2.0], metrics="bias"),
    "a very small and a very large number": lambda: msecli.score([1e-170, 1e150], [0.0, 0.0], metrics=["l1", "linf"]),
    "a linear model": linear,
    "batches of a linear model": lambda: linear(batch_size=4),
    "an accumulated score": accumulated,
    "a score that passes its gates": lambda: scored(fail_if=["mae > 9", "loss<-1"], min_coverage=0.5),
    "a score that fails its gates": lambda: scored(fail_if=["mae > 0.5", "loss<1e99", "rmse > 1"]),
    "a score that is nan and fails": lambda: msecli.score([NAN, 1], [0, 0], nan_pred="propagate", fail_if="loss > 9"),
    "norms": lambda: msecli.norm([0.1, -0.7, 1e-300], ord=[1, 2, 2.5, INF]),
    "one norm": lambda: msecli.norm([3.0, 4.0]),
    "infinite norms": lambda: msecli.norm([1.0, INF], ord=[1, 3]),
    "systems": compared,
    "systems by group": lambda: compared(by="g", test="permutation", resamples=20, adjust="none"),
    "a system alone": lambda: msecli.compare({"only": [1.0, 2.0]}, [0.5, 1.0]),
    "systems that are no numbers": lambda: msecli.compare(
        {"a": [1.0, 2.0], "inf": [INF, 2.0], "nan": [NAN, 2.0]}, [0.5, 1.0], nan_pred="propagate", fail_if_worse=True
    ),
    "a gradient check": lambda: msecli.gradcheck([0.1, 2.0], [3.0, -0.5], tolerance=0.5),
    "a batch": lambda: batch(metrics="rmse", nan_pred="omit"),
    "runs that compute different things": lambda: msecli.batch(
        [
            {"name": "a", "predictions": [1.0, 2.0], "targets": [0.0, 0.0]},
            {"name": "b", "predictions": [1.0], "targets": [0.0], "metrics": "mae"},
        ]
    ),
    "a batch that fails": lambda: msecli.batch([{"name": n, "predictions": "no such file"} for n in ("a", "b")]),
    "merged states": merged,
    "what a batch would score": preview,
    "a look at tables": lambda: inspected(nan_target="omit"),
    "a look at what would stop": inspected,
    "a look at arrays": lambda: msecli.inspect(np.ones((3, 2, 2)), np.full((3, 2, 2), INF), np.arange(6.0)),
    "a gradient check that fails": lambda: msecli.gradcheck([INF, 2.0], [3.0, -0.5]),
}  # fmt: skip


# Readers


def finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def visible(text: str, *, backslash: bool = True) -> str:
    """Return a text as people are shown it: what steers a terminal is escaped as in JSON."""
    text = text.replace("\\", "\\\\") if backslash else text
    return re.sub("[\x00-\x1f\x7f\u2028]", lambda found: json.dumps(found[0])[1:-1], text)


def same_cell(cell: str, value: Any) -> bool:
    """Tell whether a field of text holds a value, to the last bit."""
    value = finite(value)
    if value is None:
        return cell == ""
    return cell == value if isinstance(value, str) else type(value)(cell) == value and "," not in cell


def check_delimited(delimiter: str) -> Callable[[bytes, Report], None]:
    def check(written: bytes, report: Report) -> None:
        lines = list(csv.reader(io.StringIO(written.decode(), newline=""), delimiter=delimiter))
        records = report.records()
        assert lines[0] == list(records[0])
        for line, record in zip(lines[1:], records, strict=True):
            assert [same_cell(cell, value) for cell, value in zip(line, record.values(), strict=True)] == [True] * len(
                line
            )

    return check


def markdown_rows(written: str) -> list[list[str]]:
    return [
        [cell[1:-1].replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        for line in written.split("\n")
        if line.startswith("|")
    ]


def check_markdown(written: bytes, report: Report) -> None:
    table, *below = written.decode().split("\n\n")
    rows, records = markdown_rows(table), report.records("(missing)")
    names = [name for name in records[0] if name != "signature"]
    texts = [any(isinstance(record[name], str) for record in records) for name in names]
    assert rows[:2] == [[visible(name) for name in names], ["---" if text else "---:" for text in texts]]
    for row, record in zip(rows[2:], records, strict=True):
        for cell, name in zip(row, names, strict=True):
            value = record[name]
            assert cell == ("" if value is None else rounded(value) if isinstance(value, float | str) else str(value))
    if report.gates:
        check_gates(markdown_rows(below.pop(0)), report)
    else:
        for section in report.details():
            assert below.pop(0).removesuffix("\n") == "".join(map(rounded, section.note))
    assert below == ([f"`{report.footer}`\n"] if report.footer else [])


def check_gates(rows: list[list[str]], report: Report) -> None:
    """Check a table of the gates, none of which all groups passed."""
    assert rows[0] == ["gate", "condition", "value"]
    found = {tuple(row) for row in rows[2:]}
    assert found == {
        ("passed" if gate.passed else "failed", visible(gate.condition), rounded(gate.value)) for gate in report.gates
    }


def check_plain(written: bytes, report: Report) -> None:
    lines, expected = written.decode().split("\n"), report.lines()
    assert lines.pop() == ""
    taken = [line.split("\t") for line in lines]
    if len(expected) == 1 and not expected[0].from_data:
        assert [len(fields) for fields in taken] == [len(expected[0].numbers)]
        taken = [["", *taken[0]]]
    names = list(dict.fromkeys(name for line in expected for name in line.numbers))
    own = {line.label for line in expected if not line.from_data}
    labels = []
    for fields, line in zip(taken, expected, strict=True):
        # Every line has the same fields; one that it does not have is empty.
        found = dict(zip(names, fields[1:], strict=True))
        numbers = {name: repr(float(field)) for name, field in found.items() if name in line.numbers}
        assert numbers == {n: repr(NAN if v is None else float(v)) for n, v in line.numbers.items()}
        assert {found[name] for name in names if name not in line.numbers} <= {""}
        labels.append(fields[0])
        if len(expected) > 1:
            assert fields[0] == line.label or line.from_data
            assert not (line.from_data and fields[0] in own)
    assert len(set(labels)) == len(labels)


def check_json(written: bytes, report: Report) -> None:
    def no_token(token: str) -> None:
        raise AssertionError(token)

    document = json.loads(written, parse_constant=no_token)
    assert document == json.loads(json.dumps(report.to_dict()))
    assert document["schema"] == "msecli/1"
    # What JSON cannot say is said beside it.
    for name, number in report.numbers().items():
        spelled = document.get("not_finite", {}).get(name)
        found = {**document, **document.get("metrics", {}), **document.get("norms", {})}.get(name)
        if spelled is not None:
            assert (repr(number), found) == (spelled, None)
        elif name in found_in(document):
            assert found == (None if number is None else finite(number))


def found_in(document: Mapping[str, Any]) -> set[str]:
    return {*document, *document.get("metrics", {}), *document.get("norms", {})}


def check_npy(written: bytes, report: Report) -> None:
    array = np.load(io.BytesIO(written), allow_pickle=False)
    expected = [NAN if number is None else float(number) for number in report.main_numbers()]
    assert array.dtype == np.float64
    assert array.shape == (() if len(expected) == 1 else (len(expected),))
    assert list(map(repr, np.atleast_1d(array).tolist())) == list(map(repr, expected))


def check_parquet(written: bytes, report: Report) -> None:
    table = pq.read_table(io.BytesIO(written))
    assert table.to_pylist() == [{name: finite(value) for name, value in record.items()} for record in report.records()]
    for name in table.column_names:
        if any(isinstance(record[name], float) for record in report.records()):
            assert table.schema.field(name).type in {pa.float64(), pa.null()}


def check_table(written: bytes, report: Report) -> None:
    lines = iter([line for line in written.decode().split("\n") if line])
    if report.title or report.what:
        line = next(lines)
        words = [*(visible(name) for names in report.title for name in names), "".join(map(rounded, report.what))]
        assert [word for word in words if word not in line] == []
    for section in report.sections():
        for row in [*([section.header] if section.header else []), *section.rows, *section.totals]:
            line, place = next(lines), 0
            for cell in row:
                text = rounded(cell).strip()
                place = line.find(text, place)
                assert place >= 0, (row, line)
                place += len(text)
        if section.note:
            # Names in sentences are escaped already.
            assert next(lines) == "".join(piece if isinstance(piece, str) else rounded(piece) for piece in section.note)
    if report.footer:
        assert next(lines) == report.footer
    assert list(lines) == []


def rounded(cell: Any) -> str:
    if cell is None:
        return "nan"
    if isinstance(cell, str):
        return visible(cell)
    return f"{cell + 0.0:.6g}" if isinstance(cell, float) else f"{cell:,}"


def one_line(written: bytes) -> bytes:
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    return written


SUITE_ATTRIBUTES = {"name", "tests", "failures", "errors"}
TEST_ATTRIBUTES = {"classname", "name", "time"}
"""What the schema of Jenkins' xUnit plugin (junit-10.xsd) requires of a suite, and what it allows for a test."""


def check_junit(written: bytes, report: Report) -> None:
    root = ET.fromstring(written)  # noqa: S314 - msecli wrote it
    assert (root.tag, root.attrib) == ("testsuites", {})
    for suite, case in zip(root, report.cases(), strict=True):
        assert (suite.tag, set(suite.attrib)) == ("testsuite", SUITE_ATTRIBUTES)
        tests = suite.findall("testcase")
        failures = suite.findall("testcase/failure")
        assert suite.attrib == {
            "name": visible(case.name, backslash=False),
            "tests": str(len(tests)),
            "failures": str(len(failures)),
            "errors": str(int(case.error is not None)),
        }
        written_numbers = {item.attrib["name"]: item.attrib["value"] for item in suite.iterfind("properties/property")}
        assert written_numbers == {
            name: repr(NAN) if number is None else repr(number) for name, number in case.numbers.items()
        }
        assert {frozenset(test.attrib) for test in tests} == {frozenset(TEST_ATTRIBUTES)}
        assert [test.attrib["name"] for test in tests] == ["score", *(gate.condition for gate in case.gates)]
        assert [item.attrib["message"] for item in failures] == [gate.finding for gate in case.gates if not gate.passed]


def written_for_dvc(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if math.isfinite(value) else repr(value) for name, value in numbers.items() if value is not None
    }


def check_dvc(written: bytes, report: Report) -> None:
    document = json.loads(written, parse_constant=pytest.fail)
    cases = report.cases()
    documents = [document] if len(cases) == 1 else list(document.values())
    for own, case in zip(documents, cases, strict=True):
        names = set(case.numbers)
        assert {name: value for name, value in own.items() if name in names} == written_for_dvc(case.numbers)
        nested = [value for name, value in own.items() if name not in names]
        assert nested == [written_for_dvc(numbers) for _, numbers in case.entries]


SAMPLE = re.compile(
    r'(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\{(?P<labels>[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*"'
    r'(?:,[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*")*)\} (?P<value>[-+]?[0-9.]+(?:e[-+]?[0-9]+)?|NaN|[-+]Inf)',
    re.ASCII,
)
"""A sample, by the grammar of OpenMetrics 1.0."""


def check_openmetrics(written: bytes, report: Report) -> None:
    lines = written.decode().split("\n")
    assert lines[-2:] == ["# EOF", ""]
    family, families, found = "", [], list[tuple[str, float]]()
    for line in lines[:-2]:
        if line.startswith("#"):
            kind, name, text = line.removeprefix("# ").split(" ", 2)
            if kind == "TYPE":
                assert text == "gauge"
                family = name
                families.append(name)
            assert (name, kind in {"TYPE", "HELP"}) == (family, True)
            continue
        sample = SAMPLE.fullmatch(line)
        assert sample is not None, line
        assert sample["name"] == family
        found.append((f"{family}{sample['labels']}", float(sample["value"])))
    assert len(set(families)) == len(families)
    assert len({name for name, _ in found}) == len(found)
    cases = report.cases()
    expected = [
        value
        for case in cases
        for numbers in (case.numbers, *(numbers for _, numbers in case.entries))
        for value in numbers.values()
        if value is not None
    ]
    verdicts = [verdict for case in cases for verdict in (*(gate.passed for gate in case.gates), case.passed)]
    assert sorted(repr(value) for _, value in found) == sorted(repr(float(value)) for value in [*expected, *verdicts])


def check_github(written: bytes, report: Report) -> None:
    *lines, last = written.decode().split("\n")
    assert last == ""
    cases = report.cases()
    told = [
        level
        for case in cases
        for level in (
            *(["error"] if case.error is not None else []),
            *("gate failed" for gate in case.gates if not gate.passed),
            *(["notice"] if case.passed else []),
        )
    ]
    for line in lines:
        found = re.fullmatch("::(error|notice) title=([^:,\r\n]*)::([^\r\n]+)", line)
        assert found is not None, line
        assert re.sub("%(25|0A|0D|3A|2C)", "", found[2] + found[3]).count("%") == 0
    kinds = [
        "gate failed" if line.startswith("::error title=gate failed::") else line[2:].partition(" ")[0]
        for line in lines
    ]
    assert kinds == told


READERS: dict[str, Callable[[bytes, Report], None]] = {
    "table": check_table,
    "plain": check_plain,
    "json": check_json,
    "jsonl": lambda written, report: check_json(one_line(written), report),
    "junit": check_junit,
    "dvc": check_dvc,
    "openmetrics": check_openmetrics,
    "github": check_github,
    "csv": check_delimited(","),
    "tsv": check_delimited("\t"),
    "markdown": check_markdown,
    "npy": check_npy,
    "parquet": check_parquet,
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", RENDERERS)
def test_every_format_says_all_of_every_kind_of_result(name: str, kind: str) -> None:
    report, stream = KINDS[kind](), io.BytesIO()
    RENDERERS[name].result(stream, report, WIDE)
    READERS[name](stream.getvalue(), report)


def test_odd_labels_are_there_to_be_written() -> None:
    report = grouped()
    records = report.records()
    assert {record["a,b|c"] for record in records} >= {*LABELS} - {"", "nan"}
    assert {record["status"] for record in records} == {"ok", "inf", "empty"}
    assert {record["status"] for record in undefined().records()} == {"nan", "inf", "ok"}


# Values

BLOCKS = [[[0.1, NAN], [-INF, 5e-324]], [[-0.0, 1e300]], [[1 / 3, INF]]]
LAYOUTS: dict[str, tuple[Layout, list[NDArray[np.float64]]]] = {
    "one number": (Layout((), ("loss",)), [np.array(block)[:, 0] for block in BLOCKS]),
    "one column": (Layout((1,), ("grad",)), [np.array(block)[:, :1] for block in BLOCKS]),
    "columns": (Layout((2,), ("a", 'b,"|\n\r')), [np.array(block) for block in BLOCKS]),
    "a matrix": (Layout((2, 1), ("0_0", "1_0")), [np.array(block)[..., np.newaxis] for block in BLOCKS]),
    "columns with keys": (Layout((2,), ("a", "b"), ("id", "na,me")), [np.array(block) for block in BLOCKS]),
}  # fmt: skip
KEYS: list[dict[str, list[Any]]] = [
    {"id": [3, -1], "na,me": ['q"', "a|b\tc"]},
    {"id": [2**40], "na,me": ["new\nline\rreturn"]},
    {"id": [None], "na,me": [None]},
]


def keys_of(layout: Layout, number: int) -> dict[str, pa.Array]:
    types = {"id": pa.int64(), "na,me": pa.string()}
    return {name: pa.array(KEYS[number][name], types[name]) for name in layout.keys}


def rows_of(layout: Layout, blocks: Sequence[NDArray[np.float64]]) -> list[list[Any]]:
    """Return what rows hold: their keys, and their values."""
    rows = []
    for number, block in enumerate(blocks):
        keys = [keys_of(layout, number)[name].to_pylist() for name in layout.keys]
        rows += [[*(column[row] for column in keys), *values.reshape(-1).tolist()] for row, values in enumerate(block)]
    return rows


def without_keys(layout: Layout, rows: list[list[Any]]) -> list[list[float]]:
    return [row[len(layout.keys) :] for row in rows]


def missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def bits(rows: Any) -> list[str]:
    return [repr(row) for row in rows]


def read_json(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
    document = json.loads(written)
    assert document["shape"] == [len(rows), *layout.item]
    found = [np.array(row, dtype=object).reshape(-1).tolist() for row in document["values"]]
    assert bits(found) == bits([list(map(finite, row)) for row in without_keys(layout, rows)])


def read_npy(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
    array = np.load(io.BytesIO(written))
    assert (array.dtype, array.shape) == (np.dtype("<f8"), (len(rows), *layout.item))
    assert bits(array.reshape(len(rows), -1).tolist()) == bits(without_keys(layout, rows))


def read_parquet(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
    table = pq.read_table(io.BytesIO(written))
    assert table.column_names == [*layout.keys, *layout.names]
    found = [list(row.values()) for row in table.to_pylist()]
    assert bits(found) == bits([[None if missing(value) else value for value in row] for row in rows])


def read_delimited(delimiter: str) -> Callable[[bytes, Layout, list[list[Any]]], None]:
    def read(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
        lines = list(csv.reader(io.StringIO(written.decode(), newline=""), delimiter=delimiter))
        assert lines[0] == [*layout.keys, *layout.names]
        for line, row in zip(lines[1:], rows, strict=True):
            expected = ["" if missing(value) else value for value in row]
            found = [
                cell if isinstance(value, str) else type(value)(cell)
                for cell, value in zip(line, expected, strict=True)
            ]
            assert repr(found) == repr(expected)

    return read


def read_plain(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
    values = [value for row in without_keys(layout, rows) for value in row]
    assert bits(map(float, written.decode().split())) == bits(values)


def read_markdown(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
    found = markdown_rows(written.decode())
    assert found[0] == [visible(name) for name in (*layout.keys, *layout.names)]
    for line, row in zip(found[2:], rows, strict=True):
        for place, (cell, value) in enumerate(zip(line, row, strict=True)):
            if value is None and place < len(layout.keys):
                assert cell == "(missing)"
            elif isinstance(value, str):
                assert cell == visible(value)
            else:
                assert cell == (str(value) if isinstance(value, int) else rounded(value))


def read_table(written: bytes, layout: Layout, rows: list[list[Any]]) -> None:
    header, *lines = written.decode().rstrip("\n").split("\n")
    assert all(visible(name) in header for name in (*layout.keys, *layout.names))
    for number, (line, row) in enumerate(zip(lines, rows, strict=True), start=1):
        keys, values = row[: len(layout.keys)], row[len(layout.keys) :]
        labels = " ".join("(missing)" if key is None else visible(str(key)) for key in keys)
        assert line.split() == [str(number), *labels.split(), *map(rounded, values)]


def _writer(name: str, stream: io.BytesIO, layout: Layout) -> ValuesWriter:
    return RENDERERS[name].values(stream, layout, WIDE)


VALUE_READERS: dict[str, Callable[[bytes, Layout, list[list[Any]]], None]] = {
    "table": read_table,
    "plain": read_plain,
    "json": read_json,
    "jsonl": lambda written, layout, rows: read_json(one_line(written), layout, rows),
    "csv": read_delimited(","),
    "tsv": read_delimited("\t"),
    "markdown": read_markdown,
    "npy": read_npy,
    "parquet": read_parquet,
}


def test_every_format_for_values_has_a_reader() -> None:
    assert set(VALUE_READERS) == {name for name, renderer in RENDERERS.items() if renderer.values_writer}


@pytest.mark.parametrize("kind", LAYOUTS)
@pytest.mark.parametrize("name", VALUE_READERS)
def test_every_format_holds_all_values_in_their_order(name: str, kind: str) -> None:
    layout, blocks = LAYOUTS[kind]
    stream = io.BytesIO()
    writer = _writer(name, stream, layout)
    for number, block in enumerate(blocks):
        writer.append(block, keys_of(layout, number))
    writer.close(None)
    VALUE_READERS[name](stream.getvalue(), layout, rows_of(layout, blocks))


@pytest.mark.parametrize("name", [name for name, renderer in RENDERERS.items() if renderer.whole])
def test_whole_formats_hold_the_metrics_below_the_values(name: str) -> None:
    report = msecli.score([1.0, 4.0], [0.5, 1.0], reduction="none", metrics=["mae", "rmse"])
    stream = io.BytesIO()
    writer = StreamSink(stream, RENDERERS[name], WIDE)
    writer.begin(Layout((), ("loss",)))
    losses = report.values  # noqa: PD011 - not pandas
    assert losses is not None
    writer.append(losses, {})
    writer.finish(report)
    text = stream.getvalue().decode()
    # The residuals are 0.5 and 3.
    if name in {"json", "jsonl"}:
        document = json.loads(text)
        assert (document["values"], document["metrics"]) == ([0.25, 9.0], {"mae": 1.75, "rmse": math.sqrt(4.625)})
    else:
        assert "1.75" in text
        assert "2.15058" in text
        assert name not in VALUE_READERS or text.index("0.25") < text.index("1.75")
