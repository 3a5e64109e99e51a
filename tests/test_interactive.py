"""msecli in an interactive session: how objects are shown, and the forms in which parameters are taken."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest

import msecli

FRAME = pd.DataFrame({"yhat": [1.0, 2.0, 4.0], "y": [1.0, 0.0, 1.0], "g": ["a", "a", "b"], "h": [1, 2, 2]})
"""The squares of the errors are 0, 4 and 9, the absolute errors 0, 2 and 3."""

score = functools.partial(msecli.score, FRAME, pred="yhat", target="y")


@pytest.mark.parametrize(
    "metrics",
    [
        "rmse,mae", "rmse, mae", ["rmse", "mae"], ("rmse", "mae"), ["rmse,mae"], ("RMSE", " mae "),
        iter(["rmse", "mae"]), np.array(["rmse", "mae"]), pd.Index(["rmse", "mae"]), pd.Series(["rmse", "mae"]),
    ],
)  # fmt: skip
def test_metrics_are_one_text_or_several(metrics: Any) -> None:
    expected = {"rmse": math.sqrt(13 / 3), "mae": 5 / 3}
    assert score(metrics=metrics).metrics == expected


@pytest.mark.parametrize("metrics", [None, "", " , ", [], ()], ids=repr)
def test_no_metrics_may_be_said_in_several_ways(metrics: Any) -> None:
    assert score(metrics=metrics).metrics == {}


@pytest.mark.parametrize(("metrics", "message"), [("rmse,nope", "unknown metric 'nope'"), (3, "neither a name nor")])
def test_what_is_no_metric_is_refused(metrics: Any, message: str) -> None:
    with pytest.raises(msecli.UsageError, match=message):
        score(metrics=metrics)
    with pytest.raises(msecli.UsageError, match=message):
        msecli.Accumulator(metrics=metrics)


def test_an_accumulator_takes_metrics_in_the_same_forms() -> None:
    for metrics in ("rmse, mae", ["rmse", "mae"], ("rmse,mae",)):
        total = msecli.Accumulator(metrics=metrics)
        total.update(FRAME["yhat"], FRAME["y"])
        assert total.result().metrics == {"rmse": math.sqrt(13 / 3), "mae": 5 / 3}


@pytest.mark.parametrize("several", [list, tuple, np.array, iter])
def test_lists_are_taken_where_tuples_are(several: Any) -> None:
    def taken(values: Iterable[Any]) -> Any:
        return several(list(values))

    by = msecli.score(FRAME, by=taken(["g", "h"]), pred=taken(["yhat"]), target=taken(["y"]))
    assert [(entry.label["g"], entry.score.loss) for entry in by.groups] == [("a", 0.0), ("a", 4.0), ("b", 9.0)]
    assert score(ignore_index=taken([0.0, 7.0])).loss == 4.5
    assert set(score(keep=taken(["grad", "grad_target"])).arrays) == {
        "grad",
        "grad_target",
    }
    columns = msecli.score(np.eye(2), np.zeros((2, 2)), axis=taken([0])).columns
    assert [entry.score.loss for entry in columns] == [0.5, 0.5]
    assert msecli.norm([3.0, -4.0], ord=taken([1, 2])).norms == {"1": 7.0, "2": 5.0}
    keyed = msecli.score(FRAME, FRAME[::-1], on=taken(["g", "h"]), pred="yhat", target="y")
    assert keyed.loss == 13 / 3
    assert msecli.mse_loss([1.0, 4.0], [1.0, 0.0], ignore_index=taken([0.0, 7.0])) == 0.0


def test_values_to_keep_are_one_text_or_several() -> None:
    assert set(score(keep="grad, grad_target").arrays) == {"grad", "grad_target"}
    with pytest.raises(msecli.UsageError, match="nope is not one of grad"):
        score(keep="grad,nope")


def test_an_error_names_the_parameter_of_the_function() -> None:
    with pytest.raises(msecli.UsageError, match=r"^ord: 'nuc' is text, not a number$"):
        msecli.norm([1.0], ord="nuc")  # type: ignore[arg-type]


def test_a_result_is_a_number_where_one_is_wanted() -> None:
    assert float(score()) == 13 / 3
    assert float(msecli.norm([3.0, 4.0])) == 5.0
    assert float(msecli.gradcheck([1.0, 4.0], [1.0, 0.0])) <= 1e-9
    assert float(msecli.linear([[1.0], [2.0]], [1.0, 5.0], coef=[2.0])) == 1.0
    assert round(float(score(metrics="mae")), 2) == 4.33
    # There is no single loss.
    assert math.isnan(float(score(reduction="none")))


# PyTorch 2 shows MSELoss(); what differs from the defaults is shown as in the call.
@pytest.mark.parametrize(
    ("made", "shown"),
    [
        (msecli.MSELoss(), "MSELoss()"),
        (msecli.MSELoss(reduction="sum"), "MSELoss(reduction='sum')"),
        (msecli.MSELoss(weight=[1.0, 2.0], nan_pred="omit"), "MSELoss(weight=..., nan_pred='omit')"),
        (msecli.MSELoss(ignore_index=[-1]), "MSELoss(ignore_index=(-1.0,))"),
        (msecli.Accumulator(), "Accumulator()"),
        (
            msecli.Accumulator("rmse,psnr", "sum", peak=255, nan_target="omit"),
            "Accumulator(metrics=('rmse', 'psnr'), reduction='sum', peak=255.0, nan_target='omit')",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_objects_are_shown_as_the_calls_that_make_them(made: object, shown: str) -> None:
    assert repr(made) == shown


def test_an_accumulator_can_be_made_again_from_what_it_shows() -> None:
    total = msecli.Accumulator(metrics=["mae"], nan_pred="omit", ignore_index=-1)
    assert repr(eval(repr(total), {"Accumulator": msecli.Accumulator})) == repr(total)  # noqa: S307 - what this project shows
    assert repr(total) == "Accumulator(metrics=('mae',), nan_pred='omit', ignore_index=(-1.0,))"


def test_a_gradient_check_says_whether_it_passed() -> None:
    passed, failed = msecli.gradcheck([2.5, 1.0], [3.0, 0.0]), msecli.gradcheck([math.inf], [1.0])
    assert (passed.passed, passed.verdict, failed.passed, failed.verdict) == (True, "passed", False, "failed")
    assert "passed" in repr(passed)
    assert "failed" in repr(failed)
    assert "<td>passed</td>" in passed._repr_html_()
    assert "<td>failed</td>" in failed._repr_html_()
