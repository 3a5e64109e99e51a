"""What a result says about groups, columns, batches and rows: the document, and every text format of it.

Expected numbers are worked out by hand from the rows below; the shapes are those that the design promises.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import msecli
from msecli.results.score import Macro

Run = Callable[..., Any]

TABLE = """pred,target,g,h,w
1,0,b,10,1
2,0,a,9,2
3,,b,10,4
4,0,,9,0.5
,7,c,9,9
"""
"""Squares 1 4 - 16 -: the mean is 7, and with the weights (1 + 8 + 8) / 3.5."""

OMIT = ("--nan-policy", "omit", "--nan-pred", "omit")
SIGNATURE = (
    "mse|columns:pred~target|reduction:mean|weights:none|nan:omit|nan_pred:omit|pairing:position|by:g|used:3/5|"
    "acc:exact|msecli:"
)
NO_ROWS = {"unmatched_prediction": 0, "unmatched_target": 0, "dropped": 0}


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "x.csv"
    path.write_text(TABLE)
    return path


EMPTY_GROUP = "groups with nothing to score are left out of the plain mean, the first is 'c'"
"""The warning of the table above, in which group c has no prediction."""


def document_of(run: Run, *arguments: object) -> Any:
    ran = run("compute", *arguments, "--format", "json")
    document = json.loads(ran.out)
    assert ran.code == 0
    assert ran.err.count("Warning: ") == ran.err.count("\n") == len(document["warnings"])
    assert {warning["code"] for warning in document["warnings"]} <= {"left_out_of_macro", "infinite_values"}
    return document


def plain_mean(loss: float | None, *, entries: int, left_out: int = 0, **metrics: float | None) -> dict[str, Any]:
    """Return the macro object of a document."""
    return {"loss": loss, "status": "ok", "metrics": metrics, "entries": entries, "left_out": left_out}


def entry(
    label: dict[str, Any], loss: float | None, *, denominator: float, rows: int, total: int | None = None, **counts: int
) -> dict[str, Any]:
    """Return an entry of the document, with counts of elements besides those that are used."""
    used = counts.pop("used", rows)
    elements = {"total": total or rows, "used": used, "ignored": 0, "nan_target": 0, "nan_prediction": 0, "infinite": 0}
    same = {"prediction": rows, "target": rows, "matched": rows}
    return {
        **label,
        "loss": loss,
        "status": "empty" if loss is None else "ok",
        "metrics": {},
        "denominator": denominator,
        "rows": {**same, **NO_ROWS, "used": used},
        "elements": {**elements, **counts},
    }


# The document


def test_groups_are_listed_in_order_with_missing_labels_last(run: Run, path: Path) -> None:
    assert document_of(run, path, "--by", "g", *OMIT)["groups"] == [
        entry({"group": {"g": "a"}}, 4.0, denominator=1, rows=1),
        entry({"group": {"g": "b"}}, 1.0, denominator=1, rows=2, used=1, nan_target=1),
        entry({"group": {"g": "c"}}, None, denominator=0, rows=1, used=0, nan_prediction=1),
        entry({"group": {"g": None}}, 16.0, denominator=1, rows=1),
    ]


def test_labels_that_are_whole_numbers_are_numbers_in_their_order(run: Run, path: Path) -> None:
    document = document_of(run, path, "--by", "h", *OMIT)
    assert [(group["group"], group["loss"]) for group in document["groups"]] == [({"h": 9}, 10.0), ({"h": 10}, 1.0)]


def test_several_columns_make_one_group_for_each_combination(run: Run, path: Path) -> None:
    document = document_of(run, path, "--by", "h", "--by", "g", *OMIT)
    labels = [tuple(group["group"].items()) for group in document["groups"]]
    assert labels == [
        (("h", 9), ("g", "a")), (("h", 9), ("g", "c")), (("h", 9), ("g", None)), (("h", 10), ("g", "b")),
    ]  # fmt: skip
    assert document["settings"]["by"] == ["h", "g"]


def test_the_top_level_is_pooled_and_macro_is_the_mean_of_the_entries(run: Run, path: Path) -> None:
    document = document_of(run, path, "--by", "g", "-w", "w", "-m", "rmse,mae", *OMIT)
    assert document["loss"] == 17 / 3.5
    assert document["metrics"] == {"rmse": pytest.approx(math.sqrt(17 / 3.5), rel=2e-16), "mae": 7 / 3.5}
    # The groups' losses are 4, 1 and 16; the one without used elements has none.
    assert document["macro"] == plain_mean(7.0, entries=3, left_out=1, rmse=7 / 3, mae=7 / 3)
    assert [(warning["meaning"], warning["count"]) for warning in document["warnings"]] == [(EMPTY_GROUP, 1)]
    assert (document["denominator"], document["denominator_name"]) == (3.5, "weights")
    assert [group["denominator"] for group in document["groups"]] == [2, 1, 0, 0.5]


def test_columns_are_listed_in_the_order_in_which_they_are_scored(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("b,a\n1,2\n3,\n")
    files[1].write_text("a,b\n0,0\n0,0\n")
    document = document_of(run, *files, "-p", "b,a", "--axis", "0", *OMIT)
    assert document["columns"] == [
        entry({"column": "b"}, 5.0, denominator=2, rows=2),
        entry({"column": "a"}, 4.0, denominator=1, rows=2, used=1, nan_prediction=1),
    ]
    assert (document["loss"], document["rows"]["used"]) == (14 / 3, 2)
    assert document["macro"] == plain_mean(4.5, entries=2)


def test_batches_are_numbered_and_carry_the_running_mean(run: Run, path: Path) -> None:
    document = document_of(run, path, "--batch-size", "2", *OMIT)
    assert document["batches"] == [
        entry({"batch": 0}, 2.5, denominator=2, rows=2) | {"running_mean": 2.5},
        entry({"batch": 1}, 16.0, denominator=1, rows=2, used=1, nan_target=1) | {"running_mean": 7.0},
        entry({"batch": 2}, None, denominator=0, rows=1, used=0, nan_prediction=1) | {"running_mean": 7.0},
    ]
    assert (document["loss"], document["macro"]) == (7.0, plain_mean(9.25, entries=2, left_out=1))


def test_the_running_mean_is_weighted_as_the_mean_is(run: Run, path: Path) -> None:
    document = document_of(run, path, "--batch-size", "1", "-w", "w", *OMIT)
    means = [batch["running_mean"] for batch in document["batches"]]
    assert means == [1.0, 3.0, 3.0, 17 / 3.5, 17 / 3.5]


def test_there_is_no_running_mean_before_the_first_used_element(run: Run, path: Path) -> None:
    document = document_of(run, path, "--batch-size", "1", "--ignore-index", "0", "--nan-pred", "omit",
                           "--nan-policy", "propagate")  # fmt: skip
    found = [(batch["loss"], batch["status"], batch["running_mean"]) for batch in document["batches"]]
    assert found == [
        (None, "empty", None), (None, "empty", None), (None, "nan", None), (None, "empty", None), (None, "empty", None),
    ]  # fmt: skip


def test_groups_and_batches_are_listed_side_by_side(run: Run, path: Path) -> None:
    document = document_of(run, path, "--by", "h", "--batch-size", "3", *OMIT)
    assert [group["loss"] for group in document["groups"]] == [10.0, 1.0]
    assert [batch["loss"] for batch in document["batches"]] == [2.5, 16.0]


def test_lists_that_nobody_asked_for_are_not_there(run: Run, path: Path) -> None:
    document = document_of(run, path, *OMIT)
    assert not {"groups", "columns", "batches", "macro", "values", "shape"} & document.keys()


def test_groups_that_are_nan_or_infinite_say_so(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("pred,target,g\n,1,a\ninf,1,b\n3,1,c\n")
    document = document_of(run, tmp_path / "x.csv", "--by", "g", "--nan-pred", "propagate", "-m", "mae")
    found = [(group["loss"], group["status"], group["metrics"]["mae"]) for group in document["groups"]]
    assert found == [(None, "nan", None), (None, "inf", None), (4.0, "ok", 2.0)]
    assert document["status"] == "nan"
    assert document["macro"] == plain_mean(None, entries=3, mae=None) | {
        "status": "nan", "not_finite": {"loss": "nan", "mae": "nan"},
    }  # fmt: skip
    assert [group["elements"]["infinite"] for group in document["groups"]] == [0, 1, 0]


def test_python_has_what_the_document_says(run: Run, path: Path) -> None:
    result = msecli.score(path, by="g", nan_target="omit", nan_pred="omit", batch_size=2)
    assert result.to_dict() == document_of(run, path, "--by", "g", "--batch-size", "2", *OMIT)
    assert [group.label["g"] for group in result.groups] == ["a", "b", "c", None]
    assert [(group.kind, group.score.loss) for group in result.groups] == [
        ("group", 4.0), ("group", 1.0), ("group", None), ("group", 16.0),
    ]  # fmt: skip
    assert [(batch.label, batch.running_mean) for batch in result.batches] == [(0, 2.5), (1, 7.0), (2, 7.0)]
    assert result.macro == Macro(7.0, "ok", {}, entries=3, left_out=1)


# The ledger


def test_the_ledger_says_where_every_row_and_element_went(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    # Matched: ids 1 to 6; of these 1 is ignored, 2 lacks the target, 3 the prediction, 4 both, 5 is infinite.
    files[0].write_text("id,pred\n8,1\n1,1\n2,1\n3,\n4,\n5,inf\n6,1\n7,1\n")
    files[1].write_text("id,target\n6,3\n5,1\n4,\n3,1\n2,\n1,-1\n9,1\n")
    document = document_of(run, *files, "--on", "id", "--unmatched", "skip", "--ignore-index", "-1", *OMIT)
    assert document["rows"] == {
        "prediction": 8, "target": 7, "matched": 6, "unmatched_prediction": 2, "unmatched_target": 1, "dropped": 0,
        "used": 2, "checked_by": [],
    }  # fmt: skip
    assert document["elements"] == {
        "total": 6, "used": 2, "ignored": 1, "nan_target": 2, "nan_prediction": 2, "infinite": 1,
    }  # fmt: skip
    assert (document["loss"], document["status"]) == (None, "inf")


def test_a_row_is_used_when_one_of_its_elements_is(run: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "p.npy", np.array([[1.0, np.nan], [np.nan, np.nan], [1.0, 1.0]]))
    np.save(tmp_path / "t.npy", np.zeros((3, 2)))
    for options in ((), ("--axis", "0"), ("--axis", "1"), ("--batch-size", "1"), ("-m", "r2")):
        document = document_of(run, tmp_path / "p.npy", tmp_path / "t.npy", "--nan-pred", "omit", *options)
        assert (document["rows"]["matched"], document["rows"]["used"]) == (3, 2)
        assert (document["elements"]["total"], document["elements"]["used"]) == (6, 3)


def test_dropped_rows_are_paired_but_not_scored(run: Run, path: Path) -> None:
    document = document_of(run, path, "--batch-size", "2", "--drop-last", "--by", "g", *OMIT)
    rows, elements = document["rows"], document["elements"]
    assert (rows["prediction"], rows["matched"], rows["dropped"], rows["used"]) == (5, 5, 1, 3)
    # The dropped row is the one without a prediction, and the only one of its group.
    assert (elements["total"], elements["nan_prediction"]) == (4, 0)
    assert [group["group"]["g"] for group in document["groups"]] == ["a", "b", None]


def test_batches_of_which_none_is_full_leave_nothing(run: Run, path: Path) -> None:
    ran = run("compute", path, "--batch-size", "6", "--drop-last", *OMIT)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("Error: nothing left to score")


# The signature


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "weights:none|nan:omit|nan_pred:omit|pairing:position|used:3/5"),
        (("-w", "w"), "weights:column(w)|nan:omit|nan_pred:omit|pairing:position|used:3/5"),
        (("--by", "g"), "weights:none|nan:omit|nan_pred:omit|pairing:position|by:g|used:3/5"),
        (("--by", "h", "--by", "g"), "weights:none|nan:omit|nan_pred:omit|pairing:position|by:h,g|used:3/5"),
        (("--batch-size", "2"), "weights:none|nan:omit|nan_pred:omit|pairing:position|batch:2|used:3/5"),
        (
            ("--batch-size", "2", "--shuffle", "0"),
            "weights:none|nan:omit|nan_pred:omit|pairing:position|batch:2|shuffle:0|used:3/5",
        ),
        (
            ("--batch-size", "2", "--drop-last"),
            "weights:none|nan:omit|nan_pred:omit|pairing:position|batch:2|drop_last:yes|used:3/4",
        ),
        (("--axis", "0"), "weights:none|nan:omit|nan_pred:omit|pairing:position|axis:0|used:3/5"),
        (
            ("--ignore-index", "7", "--ignore-index", "nan"),
            "weights:none|nan:omit|nan_pred:omit|pairing:position|ignore:7.0,nan|used:3/5",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_the_signature_says_what_makes_losses_comparable(
    run: Run, path: Path, options: tuple[str, ...], expected: str
) -> None:
    signature = document_of(run, path, *OMIT, *options)["signature"]
    assert signature == f"mse|columns:pred~target|reduction:mean|{expected}|acc:exact|msecli:{msecli.__version__}"


def test_the_signature_names_the_scored_columns(run: Run, tmp_path: Path) -> None:
    table = "a,b,c d,e~f\n1,2,3,4\n2,2,3,5\n"
    (tmp_path / "x.csv").write_text(table)

    def columns(*options: object) -> str:
        return str(document_of(run, *options)["signature"]).split("|")[1]

    assert columns(tmp_path / "x.csv", "-p", "a,b", "-t", "c d,e~f") == 'columns:a~c d,b~"e~f"'
    assert columns(tmp_path / "x.csv", "-p", "a", "-t", "b") == "columns:a~b"
    np.save(tmp_path / "v.npy", np.ones(2))
    assert columns(tmp_path / "v.npy", tmp_path / "x.csv", "-t", "b") == "columns:~b"
    np.save(tmp_path / "w.npy", np.zeros(2))
    assert columns(tmp_path / "v.npy", tmp_path / "w.npy") == "columns:none"


def test_the_signature_names_the_keys_and_a_weight_file(run: Run, path: Path, tmp_path: Path) -> None:
    keyed = document_of(run, path, path, "-p", "pred", "-t", "pred", "--on", "w", "--on", "h", *OMIT)
    assert "|weights:none|nan:omit|nan_pred:omit|pairing:on(w,h)|used:4/5|" in keyed["signature"]
    assert keyed["settings"]["pairing"] == "on(w,h)"
    np.save(tmp_path / "w.npy", np.ones(5))
    assert "|weights:file(w.npy)|" in document_of(run, path, "--weight-file", tmp_path / "w.npy", *OMIT)["signature"]


def test_the_settings_say_how_the_loss_came_about(run: Run, path: Path) -> None:
    options = ("-w", "w", "--by", "g", "--batch-size", "2", "--shuffle", "4", "--drop-last", "--ignore-index", "nan")
    settings = document_of(run, path, *options, *OMIT, "-r", "sum", "-m", "mae")["settings"]
    expected = {
        "reduction": "sum", "metrics": ["mae"], "weights": "w", "nan_target": "omit", "nan_pred": "omit",
        "ignore_index": ["nan"], "pairing": "position", "unmatched": "error", "by": ["g"], "axis": [],
        "batch_size": 2, "shuffle": 4, "drop_last": True,
    }  # fmt: skip
    assert {name: settings[name] for name in expected} == expected


# Plain


def test_plain_groups_are_lines_of_label_and_loss(run: Run, path: Path) -> None:
    ran = run("compute", path, "--by", "g", *OMIT)
    assert ran.out == "a\t4.0\nb\t1.0\nc\tnan\n(missing)\t16.0\npooled\t7.0\nmacro\t7.0\n"


def test_plain_labels_of_several_columns_are_joined_by_commas(run: Run, path: Path) -> None:
    ran = run("compute", path, "--by", "h", "--by", "g", *OMIT, "-m", "mae")
    assert ran.out.splitlines() == [
        "9,a\t4.0\t2.0", "9,c\tnan\tnan", "9,(missing)\t16.0\t4.0", "10,b\t1.0\t1.0", f"pooled\t7.0\t{7 / 3!r}",
        f"macro\t7.0\t{7 / 3!r}",
    ]  # fmt: skip


def test_plain_batches_end_in_the_running_mean(run: Run, path: Path) -> None:
    ran = run("compute", path, "--batch-size", "2", *OMIT)
    assert ran.out == "0\t2.5\t2.5\n1\t16.0\t7.0\n2\tnan\t7.0\npooled\t7.0\t\nmacro\t9.25\t\n"


def test_plain_columns_are_labelled_by_their_names(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("a,b\n1,2\n3,4\n")
    files[1].write_text("a,b\n0,0\n0,0\n")
    assert run("compute", *files, "--axis", "0", "-r", "sum").out == "a\t10.0\nb\t20.0\npooled\t30.0\nmacro\t15.0\n"
    assert run("compute", *files, "-r", "sum").out == "30.0\n"


# Tabular text


def records_of(run: Run, *arguments: object, delimiter: str = ",") -> list[dict[str, str]]:
    ran = run("compute", *arguments, "--format", "csv" if delimiter == "," else "tsv")
    assert ran.code == 0
    assert ran.err.count("\n") == ran.err.count("Warning: macro: ")
    return list(csv.DictReader(io.StringIO(ran.out), delimiter=delimiter))


@pytest.mark.parametrize("delimiter", [",", "\t"])
def test_delimited_groups_are_records_under_one_header(run: Run, path: Path, delimiter: str) -> None:
    records = records_of(run, path, "--by", "h", "--by", "g", "-m", "mae", *OMIT, delimiter=delimiter)
    assert list(records[0]) == [
        "scope", "h", "g", "loss", "status", "mae", "reduction", "denominator", "rows_used", "elements_used",
        "signature", "checked_by",
    ]  # fmt: skip
    assert [tuple(record.values())[:6] for record in records] == [
        ("group", "9", "a", "4.0", "ok", "2.0"),
        ("group", "9", "c", "", "empty", ""),
        ("group", "9", "", "16.0", "ok", "4.0"),
        ("group", "10", "b", "1.0", "ok", "1.0"),
        ("pooled", "", "", "7.0", "ok", repr(7 / 3)),
        ("macro", "", "", "7.0", "ok", repr(7 / 3)),
    ]
    assert {record["signature"] for record in records[:-1]} == {
        SIGNATURE.replace("by:g", "by:h,g") + msecli.__version__
    }


def test_delimited_batches_have_a_running_mean(run: Run, path: Path) -> None:
    records = records_of(run, path, "--batch-size", "2", *OMIT)
    found = [tuple(record[name] for name in ("scope", "batch", "loss", "running_mean")) for record in records]
    assert found == [
        ("batch", "0", "2.5", "2.5"), ("batch", "1", "16.0", "7.0"), ("batch", "2", "", "7.0"),
        ("pooled", "", "7.0", ""), ("macro", "", "9.25", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["status", "loss", "scope", "signature", "reduction", "mae", "pred,x"])
def test_groups_keep_their_labels_whatever_their_column_is_called(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "x.csv").write_text(f'pred,target,"{name}"\n1,0,red\n2,0,green\n')
    ran = run("compute", tmp_path / "x.csv", "--by", name, "-m", "mae", "--format", "csv")
    rows = list(csv.reader(io.StringIO(ran.out)))
    assert ["green" in row for row in rows] == [False, True, False, False, False]
    assert ["red" in row for row in rows] == [False, False, True, False, False]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert ["4.0" in row for row in rows] == [False, True, False, False, False]
    assert [scope in row for scope, row in zip(("pooled", "macro"), rows[3:], strict=True)] == [True, True]


def test_labels_with_marks_are_quoted(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('pred,target,g\n1,0,"a,""b"""\n2,0,"c|d"\n')
    records = records_of(run, tmp_path / "x.csv", "--by", "g")
    assert [record["g"] for record in records] == ['a,"b"', "c|d", "", ""]
    markdown = run("compute", tmp_path / "x.csv", "--by", "g", "--format", "markdown").out
    assert "| c\\|d |" in markdown


def test_markdown_groups_are_rows_with_blanks_where_nothing_is(run: Run, path: Path) -> None:
    lines = run("compute", path, "--by", "g", "--format", "markdown", *OMIT).out.splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[:-2]]
    assert cells[0] == [
        "scope",
        "g",
        "loss",
        "status",
        "reduction",
        "denominator",
        "rows_used",
        "elements_used",
        "checked_by",
    ]
    assert [row[:-1] for row in cells[2:]] == [
        ["group", "a", "4", "ok", "mean", "1", "1", "1"],
        ["group", "b", "1", "ok", "mean", "1", "1", "1"],
        ["group", "c", cells[4][2], "empty", "mean", "0", "0", "0"],
        ["group", "(missing)", "16", "ok", "mean", "1", "1", "1"],
        ["pooled", "", "7", "ok", "mean", "3", "3", "3"],
        ["macro", "", "7", "ok", "", "", "", ""],
    ]
    assert cells[4][2] in ("", "nan")
    assert lines[-1] == f"`{SIGNATURE}{msecli.__version__}`"


def test_a_sum_has_no_denominator_in_markdown(run: Run, path: Path) -> None:
    out = run("compute", path, "-r", "sum", "--format", "markdown", *OMIT).out
    assert "nan |" not in out.splitlines()[2]


# Files


def test_a_parquet_file_of_groups_has_a_row_for_each(run: Run, path: Path, tmp_path: Path) -> None:
    assert run("compute", path, "--by", "h", "-w", "w", "-o", tmp_path / "o.parquet", *OMIT).code == 0
    table = pq.read_table(tmp_path / "o.parquet").to_pydict()
    assert table["scope"] == ["group", "group", "pooled", "macro"]
    assert table["h"] == [9, 10, None, None]
    assert table["loss"] == [16 / 2.5, 1.0, 17 / 3.5, (16 / 2.5 + 1) / 2]
    assert table["denominator"] == [2.5, 1.0, 3.5, None]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "json", "md"])
@pytest.mark.parametrize("weight", ["1e30", "1e300", "9007199254740994"])
def test_large_sums_of_weights_can_be_written(run: Run, tmp_path: Path, suffix: str, weight: str) -> None:
    (tmp_path / "x.csv").write_text(f"pred,target,g,w\n1,0,a,{weight}\n2,0,b,0.5\n")
    ran = run("compute", tmp_path / "x.csv", "-w", "w", "--by", "g", "-o", tmp_path / f"o.{suffix}")
    assert (ran.code, ran.err) == (0, "")
    if suffix == "parquet":
        assert pq.read_table(tmp_path / "o.parquet")["denominator"].to_pylist()[0] == float(weight)


@pytest.mark.parametrize("label", ["18446744073709551616", "-99999999999999999999", "--5", "007"])
def test_labels_that_are_no_ordinary_numbers_can_be_written(run: Run, tmp_path: Path, label: str) -> None:
    (tmp_path / "x.csv").write_text(f"pred,target,g\n1,0,{label}\n2,0,{label}\n")
    for suffix in ("parquet", "csv", "json"):
        ran = run("compute", tmp_path / "x.csv", "--by", "g", "-o", tmp_path / f"o.{suffix}")
        assert (ran.code, ran.err) == (0, "")
    assert str(pq.read_table(tmp_path / "o.parquet")["g"].to_pylist()[0]) == label


def test_an_array_file_of_groups_holds_the_pooled_loss(run: Run, path: Path, tmp_path: Path) -> None:
    assert run("compute", path, "--by", "g", "-o", tmp_path / "o.npy", *OMIT).code == 0
    assert np.load(tmp_path / "o.npy").tolist() == 7.0


# The table


def test_the_table_shows_groups_above_the_pooled_loss(run: Run, path: Path) -> None:
    out = run("compute", path, "--by", "h", "-w", "w", "-m", "rmse", "--format", "table", *OMIT).out
    lines = [line.split() for line in out.splitlines() if line.strip()]
    start = lines.index(["h", "loss", "rmse", "used"])
    assert "mse, mean ÷ 3.5 (sum of weights)" in out
    assert lines[start + 1 : start + 6] == [
        ["9", "6.4", "2.52982", "2"], ["10", "1", "1", "1"], ["pooled", "4.85714", "2.20389", "3"],
        ["macro", "3.7", "1.76491"], ["macro:", "plain", "mean", "of", "2", "groups"],
    ]  # fmt: skip


def test_the_table_shows_batches_with_their_running_mean(run: Run, path: Path) -> None:
    out = run("compute", path, "--batch-size", "2", "--drop-last", "--format", "table", *OMIT).out
    lines = [line.split() for line in out.splitlines() if line.strip()]
    start = lines.index(["batch", "loss", "running", "mean", "used"])
    assert lines[start + 1 : start + 5] == [
        ["0", "2.5", "2.5", "2"], ["1", "16", "7", "1"], ["pooled", "7", "3"], ["macro", "9.25"],
    ]  # fmt: skip
    assert ["dropped", "1"] in lines


def test_the_table_of_very_many_groups_is_cut_and_says_so(run: Run, tmp_path: Path) -> None:
    rows = "".join(f"1,0,{row}\n" for row in range(1500))
    (tmp_path / "x.csv").write_text(f"pred,target,g\n{rows}")
    out = run("compute", tmp_path / "x.csv", "--by", "g", "--format", "table").out
    assert "1,300 more" in out
    assert len(out.splitlines()) < 250


def test_the_table_shows_what_was_left_unmatched(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("id,pred\n1,1\n3,99\n")
    files[1].write_text("id,target\n1,1\n2,3\n")
    out = run("compute", *files, "--on", "id", "--unmatched", "skip", "--format", "table").out
    lines = [line.split() for line in out.splitlines()]
    assert ["predictions", "without", "a", "target", "1"] in lines
    assert ["targets", "without", "a", "prediction", "1"] in lines


# Values of rows


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        ("csv", 'a,id,loss\n"x",3,1\n"y",1,4\n"x",1,\n'),
        ("tsv", 'a\tid\tloss\n"x"\t3\t1\n"y"\t1\t4\n"x"\t1\t\n'),
        ("txt", "1\n4\nnan\n"),
    ],
)
def test_losses_of_paired_rows_carry_their_keys(run: Run, tmp_path: Path, suffix: str, expected: str) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("a,id,pred\nx,3,1\ny,1,2\nz,9,5\nx,1,\n")
    files[1].write_text("id,a,target\n1,x,0\n1,y,0\n3,x,0\n")
    keys = ("--on", "a", "--on", "id", "--unmatched", "skip", "--nan-pred", "omit")
    ran = run("compute", *files, *keys, "-r", "none", "-o", tmp_path / f"o.{suffix}")
    assert (ran.code, ran.err) == (0, "")
    assert (tmp_path / f"o.{suffix}").read_text() == expected


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_gradients_of_paired_rows_carry_their_keys(run: Run, tmp_path: Path, suffix: str) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("id,a,b\n3,1,2\n9,1,1\n1,,4\n")
    files[1].write_text("id,b,a\n1,0,0\n3,0,0\n4,0,0\n")
    grad, back = tmp_path / f"g.{suffix}", tmp_path / f"b.{suffix}"
    keys = ("--on", "id", "--unmatched", "skip", "--nan-pred", "omit", "-r", "sum")
    assert run("compute", *files, *keys, "--grad", grad, "--grad-target", back).code == 0
    if suffix == "parquet":
        assert pq.read_table(grad).to_pydict() == {"id": [3, 1], "a": [2.0, 0.0], "b": [4.0, 8.0]}
        assert pq.read_table(back).to_pydict() == {"id": [3, 1], "a": [-2.0, 0.0], "b": [-4.0, -8.0]}
    else:
        assert grad.read_text() == "id,a,b\n3,2,4\n1,0,8\n"
        assert back.read_text() == "id,a,b\n3,-2,-4\n1,0,-8\n"


def test_losses_of_rows_along_axis_1_carry_their_keys(run: Run, tmp_path: Path) -> None:
    files = tmp_path / "p.csv", tmp_path / "t.csv"
    files[0].write_text("id,a,b\nk2,1,3\nk1,2,4\n")
    files[1].write_text("id,a,b\nk1,0,0\nk2,0,0\n")
    ran = run("compute", *files, "--on", "id", "--axis", "1", "--format", "markdown")
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in ran.out.splitlines()]
    assert [lines[0], *lines[2:]] == [["id", "loss"], ["k2", "5"], ["k1", "10"]]
