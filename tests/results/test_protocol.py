"""What every result offers: numbers, records, JSON, text, HTML, a DataFrame, equality by value, pickling.

Expected numbers are worked out by hand beside each result.
"""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli
from msecli import Comparison, GradCheck, Inspection, NormResult, Result
from msecli.results.base import Report, finite, jsonable, not_finite, number_text, status
from msecli.results.gradcheck import Check

NAN, INF = math.nan, math.inf
TABLE = pd.DataFrame({"pred": [1.0, 2.0, 4.0], "target": [0.0, 0.0, 1.0], "g": ["a", "a", None]})


def score() -> Result:
    """Squares 1, 4 and 9 of residuals 1, 2 and 3."""
    return msecli.score(TABLE, metrics=["mae", "sse"])


def groups() -> Result:
    """Losses 2.5 and 9, pooled 14 / 3."""
    return msecli.score(TABLE, by="g")


def batches() -> Result:
    """Losses 2.5 and 9, the running means 2.5 and 14 / 3."""
    return msecli.score(TABLE, pred="pred", target="target", batch_size=2)


def columns() -> Result:
    """Squares 1, 4 in column "0", 4 and 0 in column "1"."""
    return msecli.score([[1.0, 2.0], [2.0, 0.0]], np.zeros((2, 2)), axis=0)


def elements() -> Result:
    """Squares 1 and 9 of residuals 1 and 3."""
    return msecli.score([1.0, 4.0], [0.0, 1.0], reduction="none", metrics="mae")


def linear() -> Result:
    """Predictions 2 and 4, residuals 1 and -1, the penalties 3 * 2 and 0.5 * 4."""
    return msecli.linear([[1.0], [2.0]], [1.0, 5.0], coef=[2.0], l1=3.0, l2=0.5, grad_norm=True)


def norms() -> NormResult:
    return msecli.norm([3.0, -4.0], ord=[2, 1, INF])


def gradcheck() -> GradCheck:
    """The mean of two squares: the gradient is the residual, -0.5 and 1."""
    return msecli.gradcheck([2.5, 1.0], [3.0, 0.0], tolerance=0.25)


def undefined() -> Result:
    return msecli.score([NAN, INF], [0.0, 0.0], nan_pred="propagate", metrics="mae")


def comparison() -> Comparison:
    """Losses 14 / 3 and 0; the second system is right everywhere, and so wins every row."""
    return msecli.compare({"a": TABLE["pred"], "b": TABLE["target"]}, TABLE["target"], fail_if_worse=True)


def inspection() -> Inspection:
    """Three rows in both tables."""
    return msecli.inspect(TABLE, TABLE, pred="pred", target="target")


REPORTS: dict[str, Callable[[], Report]] = {
    function.__name__: function
    for function in (
        score,
        groups,
        batches,
        columns,
        elements,
        linear,
        norms,
        gradcheck,
        undefined,
        comparison,
        inspection,
    )
}
each_report = pytest.mark.parametrize("make", REPORTS.values(), ids=list(REPORTS))

NUMBERS: dict[str, dict[str, float | None]] = {
    "score": {"loss": 14 / 3, "mae": 2.0, "sse": 14.0},
    "groups": {"loss": 14 / 3},
    "batches": {"loss": 14 / 3},
    "columns": {"loss": 9 / 4},
    "elements": {"loss": None, "mae": 2.0},
    # d/dw of the mean of (w x - y)^2 is 2 (1 * 1 - 1 * 2) / 2.
    "linear": {"loss": 1.0, "l1_penalty": 6.0, "l2_penalty": 2.0, "objective": 9.0, "gradient_norm": 1.0},
    "norms": {"2": 5.0, "1": 7.0, "inf": 4.0},
    "gradcheck": {"max_relative_error": 0.0},
    "comparison": {"a": 14 / 3, "b": 0.0},
    "inspection": {"predictions": 3, "targets": 3},
}


@pytest.mark.parametrize("name", NUMBERS)
def test_the_numbers_are_those_worked_out_by_hand(name: str) -> None:
    report = REPORTS[name]()
    assert report.numbers() == NUMBERS[name]
    assert list(report.numbers()) == list(NUMBERS[name])


@each_report
def test_a_result_is_a_float_where_one_is_wanted(make: Callable[[], Report]) -> None:
    report = make()
    first = next(iter(report.numbers().values()))
    assert repr(float(report)) == repr(NAN if first is None else float(first))


@each_report
def test_records_are_flat_and_have_the_same_keys(make: Callable[[], Report]) -> None:
    records = make().records()
    assert records
    assert {tuple(record) for record in records} == {tuple(records[0])}
    assert {type(value) for record in records for value in record.values()} <= {float, int, str, bool, type(None)}


@each_report
def test_a_frame_holds_the_records(make: Callable[[], Report]) -> None:
    report = make()
    frame = report.to_frame()
    assert list(frame.columns) == list(report.records()[0])
    for row, record in zip(frame.to_dict("records"), report.records(), strict=True):
        for name, value in record.items():
            assert (pd.isna(row[name]) and (value is None or value != value)) or row[name] == value  # noqa: PLR0124


@each_report
def test_json_has_no_bare_tokens_and_names_its_schema(make: Callable[[], Report]) -> None:
    document = make().to_dict()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["schema"] == "msecli/1"
    assert document["version"] == msecli.__version__
    codes = {warning["code"] for warning in document["warnings"]}
    assert codes == {undefined: {"infinite_values"}, comparison: {"equal_columns"}}.get(make, set())


@each_report
def test_a_result_is_shown_on_a_few_lines(make: Callable[[], Report]) -> None:
    report = make()
    assert str(report).count("\n") == 0
    assert repr(report).startswith(f"<{type(report).__name__}: {report}")
    assert repr(report).count("\n") <= 1
    assert len(repr(report)) < 400


def test_texts_say_what_the_numbers_are_of() -> None:
    assert str(score()) == f"loss {14 / 3!r}, mae 2.0, sse 14.0 (mean ÷ 3 elements)"
    assert str(groups()) == f"loss {14 / 3!r} (mean ÷ 3 elements; 2 group scores)"
    assert str(msecli.score([1.0], [2.0])) == "loss 1.0 (mean ÷ 1 element)"
    assert str(msecli.score([[1.0, 3.0]], [[2.0, 2.0]], reduction="batchmean")) == "loss 2.0 (batchmean ÷ 1 row)"
    assert str(msecli.score([1.0], [2.0], weight_file=[1.0])) == "loss 1.0 (mean ÷ 1 (sum of weights))"
    assert str(elements()) == "the losses of 2 elements"
    assert str(msecli.score(TABLE, reduction="sum")) == "loss 14.0 (sum)"
    assert str(norms()) == "2-norm 5.0, 1-norm 7.0, inf-norm 4.0"
    assert repr(norms()) == "<NormResult: 2-norm 5.0, 1-norm 7.0, inf-norm 4.0>"
    assert repr(gradcheck()) == "<GradCheck: passed, max relative error 0.0, tolerance 0.25>"
    assert str(msecli.gradcheck([INF, 1.0], [1.0, 1.0])) == "failed, max relative error nan, tolerance 1e-06"
    signature = f"mse|columns:pred~target|reduction:mean|weights:none|nan:raise|nan_pred:raise|pairing:position|used:3/3|acc:exact|msecli:{msecli.__version__}"  # noqa: E501
    assert repr(score()) == f"<Result: {score()}\n {signature}>"


def test_html_is_tables_with_escaped_labels() -> None:
    table = TABLE.assign(g=["<b>", "<b>", "&"])
    html = msecli.score(table, by="g")._repr_html_()
    assert "<th>g</th>" in html
    assert "<td>&lt;b&gt;</td><td>2.5</td>" in html
    assert "<td>&amp;</td><td>9</td>" in html
    assert "<b>" not in html
    assert html.count("<table>") == html.count("</table>") == 1
    assert "<tr><th>pooled</th><td>4.66667</td><td>3</td></tr><tr><th>macro</th><td>5.75</td><td></td></tr>" in html
    assert "<p>pred vs target · predictions · mse, mean ÷ 3 elements</p>" in html
    assert "<p>macro: plain mean of 2 groups</p><p>3 of 3 rows used</p>" in html
    assert "<code>mse|columns:pred~target|reduction:mean|" in html
    assert norms()._repr_html_() == (
        "<p>values · 2 elements</p>"
        "<table><tr><th>order</th><th>norm</th></tr><tr><td>2</td><td>5</td></tr><tr><td>1</td><td>7</td></tr>"
        "<tr><td>inf</td><td>4</td></tr></table>"
    )


def test_records_of_entries_are_followed_by_all_pooled_and_the_mean_of_the_entries() -> None:
    found = [(record["scope"], record["g"], record["loss"]) for record in groups().records()]
    assert found == [
        ("group", "a", 2.5), ("group", None, 9.0), ("pooled", None, 14 / 3), ("macro", None, 5.75),
    ]  # fmt: skip
    assert [(entry.label, entry.running_mean) for entry in batches().batches] == [(0, 2.5), (1, 14 / 3)]
    assert [(entry.label, entry.score.loss) for entry in columns().columns] == [("0", 2.5), ("1", 2.0)]


def test_the_result_of_elements_holds_their_losses() -> None:
    result = elements()
    assert result.values is not None  # noqa: PD011 - not pandas
    assert result.values.tolist() == [1.0, 9.0]  # noqa: PD011 - not pandas
    assert (result.to_dict()["values"], result.to_dict()["shape"]) == ([1.0, 9.0], [2])
    assert result.main_numbers() == [None]


def test_what_json_cannot_say_is_said_beside_it() -> None:
    document = undefined().to_dict()
    assert (document["loss"], document["status"], document["metrics"]) == (None, "nan", {"mae": None})
    assert document["not_finite"] == {"loss": "nan", "mae": "nan"}
    document = msecli.score([INF, -INF], [0.0, 0.0], metrics=["bias", "mae"]).to_dict()
    assert (document["status"], document["not_finite"]) == ("inf", {"loss": "inf", "bias": "nan", "mae": "inf"})
    document = msecli.norm([1.0, INF], ord=[1, 2]).to_dict()
    assert (document["status"], document["norms"]) == ("inf", {"1": None, "2": None})
    assert document["not_finite"] == {"1": "inf", "2": "inf"}
    document = msecli.gradcheck([INF, 1.0], [1.0, 1.0]).to_dict()
    assert (document["status"], document["max_relative_error"], document["passed"]) == ("nan", None, False)


@each_report
def test_results_are_equal_by_value(make: Callable[[], Report]) -> None:
    if make is undefined:
        assert make().to_dict() == make().to_dict()
        return
    assert make() == make()
    report: Any = make()
    assert report != replace(report, version="0")
    assert report != 1.0


@each_report
def test_results_are_pickled(make: Callable[[], Report]) -> None:
    report = make()
    again = pickle.loads(pickle.dumps(report))
    assert type(again) is type(report)
    assert repr(again.records()) == repr(report.records())
    assert again.to_dict() == report.to_dict()
    assert again == report or make is undefined


@each_report
def test_results_cannot_be_changed(make: Callable[[], Report]) -> None:
    report: Any = make()
    with pytest.raises((AttributeError, TypeError)):
        report.version = "0"
    with pytest.raises((AttributeError, TypeError)):
        report.more = 1


@pytest.mark.parametrize(
    ("errors", "largest", "passed"),
    [((0.0, 0.25), 0.25, True), ((0.5, 0.1), 0.5, False), ((0.0, NAN), NAN, False), ((INF,), INF, False)],
)
def test_a_check_passes_up_to_its_tolerance_and_never_with_nan(
    errors: tuple[float, ...], largest: float, passed: bool
) -> None:
    check = GradCheck(tuple(Check("x", 1.0, 1.0, error) for error in errors), tolerance=0.25)
    assert repr(check.max_relative_error) == repr(largest)
    assert check.passed == passed
    assert check.sections()[1].rows[1:] == [("tolerance", 0.25), ("verdict", "passed" if passed else "failed")]


def test_numbers_are_said_in_every_digit_or_in_words() -> None:
    assert [number_text(value) for value in (0.1 + 0.2, 3, None, NAN, -INF, "x")] == [
        "0.30000000000000004", "3", "nan", "nan", "-inf", "x",
    ]  # fmt: skip
    assert number_text(None, "") == ""
    assert [status(value) for value in (1.0, None, NAN, -INF)] == ["ok", "ok", "nan", "inf"]
    assert [finite(value) for value in (1.5, NAN, INF, "nan", 2)] == [1.5, None, None, "nan", 2]
    assert not_finite({"a": 1.0, "b": None}) == {}
    assert not_finite({"a": -INF, "b": NAN}) == {"not_finite": {"a": "-inf", "b": "nan"}}
    assert jsonable({"a": [NAN, (1.0, {"b": INF})]}) == {"a": [None, [1.0, {"b": None}]]}
