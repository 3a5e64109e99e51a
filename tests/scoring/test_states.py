"""Saved states merge to the bits of one run over all rows, in any order and over any tree.

The expected results are those of one run, whose arithmetic other tests compare with exact fractions.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import msecli
from msecli import DataError, Result, UsageError

NAN, INF = math.nan, math.inf

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, -0.0, 5e-324, 1e308, 1e-170, 0.5])
labels = st.sampled_from(["a", "b", "7", "07", None])


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    """Return a table of predictions, targets, weights, groups and a baseline."""
    rows = draw(st.integers(2, 30))
    column = st.lists(numbers, min_size=rows, max_size=rows)
    weights = st.lists(st.floats(0.001, 1e6), min_size=rows, max_size=rows)
    return pd.DataFrame(
        {
            "a": draw(column),
            "b": draw(column),
            "pred": draw(column),
            "target": draw(column),
            "w": draw(weights),
            "g": draw(st.lists(labels, min_size=rows, max_size=rows)),
            "naive": draw(column),
        }
    )


OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "metrics": {
        "metrics": ["rmse", "mae", "r2", "lp:3", "lp:1.5", "max_error", "skill:naive", "nrmse:range", "pearson"]
    },
    "weights and groups": {"weight": "w", "by": "g", "metrics": ["r2", "mae", "l2", "explained_variance"]},
    "a sum": {"reduction": "sum"},
    "rows as divisor": {"reduction": "batchmean"},
    "ignored values": {"ignore_index": [0.5, 0.0], "nan_target": "omit", "nan_pred": "omit", "metrics": "smape"},
    "columns": {"pred": ["pred", "a"], "target": ["target", "b"], "axis": 0, "metrics": ["r2", "lp:3"]},
    "columns by group": {"pred": ["pred", "a"], "target": ["target", "b"], "by": "g", "metrics": "r2"},
}


def scored(table: pd.DataFrame, path: Path, **options: Any) -> Result:
    return msecli.score(table, **{"pred": "pred", "target": "target", **options}, save_state=path)


def merged_in_a_tree(paths: Sequence[Path], folder: Path, choose: Callable[[int], int]) -> Result:
    """Merge neighbours until one is left, as chosen."""
    waiting = list(paths)
    while len(waiting) > 1:
        at = choose(len(waiting) - 1)
        both, made = waiting[at : at + 2], folder / f"m{len(waiting)}.json"
        msecli.merge(*both, save_state=made)
        waiting[at : at + 2] = [made]
    return msecli.merge(*waiting)


def same(found: Result, whole: Result) -> None:
    """Assert that two results are the same, apart from where the rows came from."""
    ours, theirs = ({**each.to_dict(), "inputs": None, "warnings": None} for each in (found, whole))
    assert ours == theirs
    assert repr(found.numbers()) == repr(whole.numbers())
    assert counted(found) == counted(whole)


def counted(result: Result) -> dict[str, int]:
    """Return the warnings that add up; of fewer than two rows none is said to be equal."""
    return {warning.code: warning.count for warning in result.warnings if warning.code != "equal_columns"}


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_split_order_and_tree_gives_the_bits_of_one_run(name: str, tmp_path: Path, data: st.DataObject) -> None:
    table = data.draw(tables())
    cuts = sorted({*data.draw(st.lists(st.integers(1, len(table) - 1), max_size=5)), 0, len(table)})
    parts = [table.iloc[start:stop] for start, stop in pairwise(cuts)]
    try:
        whole = scored(table, tmp_path / "whole.json", **OPTIONS[name])
        paths = [tmp_path / f"{number}.json" for number in range(len(parts))]
        for part, path in zip(parts, paths, strict=True):
            scored(part, path, **OPTIONS[name])
    except DataError as error:
        assert "nothing left to score" in str(error)  # noqa: PT017 - of a part without a used element
        return
    shuffled = data.draw(st.permutations(paths))
    same(merged_in_a_tree(shuffled, tmp_path, lambda last: data.draw(st.integers(0, last - 1 if last else 0))), whole)
    same(msecli.merge(*shuffled, save_state=tmp_path / "all.json"), whole)
    documents = [json.loads((tmp_path / each).read_text()) for each in ("all.json", "whole.json")]
    assert documents[0]["groups"] == documents[1]["groups"]


@pytest.fixture
def parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with two pairs of files: residuals 1 and 2, and 3."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p1.csv").write_text("id,yhat,g\n1,2,x\n2,4,7\n")
    (tmp_path / "t1.csv").write_text("id,y\n1,1\n2,2\n")
    (tmp_path / "p2.csv").write_text("id,yhat,g\n3,4,7\n")
    (tmp_path / "t2.csv").write_text("id,y\n3,1\n")
    return tmp_path


def test_a_merged_result_lists_all_inputs_and_adds_up_what_was_used(parts: Path) -> None:
    for number in (1, 2):
        msecli.score(f"p{number}.csv", f"t{number}.csv", by="g", save_state=f"{number}.json")
    result = msecli.merge("1.json", "2.json")
    # Squares 1, 4 and 9; the groups x: 1, and 7: 4 and 9.
    assert (result.loss, result.rows.matched, result.elements.used) == (14 / 3, 3, 3)
    assert [(each.labels, each.score.loss) for each in result.groups] == [({"g": "7"}, 6.5), ({"g": "x"}, 1.0)]
    assert [each.path for each in result.inputs] == ["p1.csv", "t1.csv", "p2.csv", "t2.csv"]
    assert "|used:3/3|" in result.signature
    assert result.rows.checked_by == ("id",)


def test_labels_become_numbers_as_in_one_run(parts: Path) -> None:
    for number in (1, 2):
        msecli.score(f"p{number}.csv", f"t{number}.csv", on="id", by="id", save_state=f"{number}.json")
    assert [each.labels for each in msecli.merge("2.json", "1.json").groups] == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_rows_without_a_match_are_counted(parts: Path) -> None:
    (parts / "t2.csv").write_text("id,y\n3,1\n9,1\n")
    for number in (1, 2):
        msecli.score(f"p{number}.csv", f"t{number}.csv", on="id", unmatched="skip", save_state=f"{number}.json")
    result = msecli.merge("1.json", "2.json")
    assert (result.rows.unmatched_target, result.rows.matched) == (1, 3)
    assert "|pairing:on(id),unmatched:skip|used:3/4|" in result.signature


def test_penalties_and_gradients_of_a_linear_model_are_those_of_one_run(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 2))
    model: dict[str, Any] = {"coef": rng.normal(size=(2, 3)), "intercept": [0.5, -1.0]}
    options: dict[str, Any] = {"l1": 0.1, "l2": 0.3, "grad_norm": True, "regularize_intercept": True}
    whole = msecli.linear(x, y, **model, **options)
    for number, rows in enumerate((slice(0, 7), slice(7, 50))):
        msecli.linear(x[rows], y[rows], **model, **options, save_state=tmp_path / f"{number}.json")
    result = msecli.merge(tmp_path / "1.json", tmp_path / "0.json")
    assert result.numbers() == whole.numbers()
    assert {name: array.tolist() for name, array in result.arrays.items()} == {
        name: array.tolist() for name, array in whole.arrays.items()
    }


def test_another_model_is_another_setting(tmp_path: Path) -> None:
    for number, coef in enumerate((1.0, 2.0)):
        msecli.linear([[1.0]], [2.0], coef=[coef], save_state=tmp_path / f"{number}.json")
    with pytest.raises(DataError, match=r"1.json: a state of other settings than .*0.json: coef holds other numbers"):
        msecli.merge(tmp_path / "0.json", tmp_path / "1.json")


def test_infinite_losses_and_warnings_survive(tmp_path: Path) -> None:
    for number, value in enumerate((1.0, INF)):
        msecli.score([value, 2.0], [0.0, 0.0], metrics="bias", save_state=tmp_path / f"{number}.json")
    result = msecli.merge(tmp_path / "0.json", tmp_path / "1.json")
    assert (result.loss, result.status, result.metrics["bias"]) == (INF, "inf", INF)
    assert [warning.code for warning in result.warnings] == ["infinite_values"]


def test_an_input_is_counted_once_also_from_a_copied_state(parts: Path) -> None:
    msecli.score("p1.csv", "t1.csv", save_state="1.json")
    (parts / "copy.json").write_bytes((parts / "1.json").read_bytes())
    msecli.score("./p1.csv", "t1.csv", save_state="again.json")
    msecli.score("p2.csv", "t2.csv", save_state="2.json")
    msecli.merge("1.json", "2.json", save_state="all.json")
    for other in ("copy.json", "again.json", "1.json", "all.json"):
        with pytest.raises(DataError, match=rf"p1.csv is in 1.json and in {other}; each input counts once"):
            msecli.merge("1.json", other)
    # After a change it is another input.
    (parts / "p1.csv").write_text("id,yhat,g\n1,2.5,x\n2,4,7\n")
    msecli.score("p1.csv", "t1.csv", save_state="changed.json")
    assert msecli.merge("1.json", "changed.json").elements.used == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"reduction": "sum"}, "reduction is 'sum', not 'mean'"),
        ({"metrics": "mae"}, "metrics is 'mae', not none"),
        ({"nan_pred": "omit"}, "nan_pred is 'omit', not 'raise'"),
        ({"by": "g"}, "by is 'g', not none"),
        ({"on": "id"}, "on is 'id','id', not none"),
        ({"pred": "g", "target": "y"}, "pred is 'g', not 'yhat'"),
        ({"ignore_index": 7}, "ignore_index is 7.0, not none"),
        ({"weight": "g"}, "weight is 'g', not none"),
    ],
)  # fmt: skip
def test_states_of_other_settings_do_not_merge(parts: Path, options: dict[str, Any], told: str) -> None:
    msecli.score("p1.csv", "t1.csv", save_state="1.json")
    msecli.score("p2.csv", "t2.csv", **options, save_state="2.json")
    with pytest.raises(DataError) as caught:
        msecli.merge("1.json", "2.json")
    assert str(caught.value).startswith("2.json: a state of other settings than 1.json: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"metrics": "medae"}, "the metric 'medae' needs every error"),
        ({"metrics": "mase"}, "the metric 'mase' needs the rows in order"),
        ({"reduction": "none"}, "reduction 'none' keeps a loss for every row"),
        ({"axis": 1}, "this axis keeps a loss for every row"),
        ({"batch_size": 2}, "a state has no place for what batch_size needs"),
    ],
)
def test_what_needs_more_than_sums_is_refused_before_anything_is_read(options: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        msecli.score("no such file", **options, save_state="s.json")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "it has no schema"),
        (b'{"schema": "msecli/1"}', "its schema is 'msecli/1', not 'msecli-state/1'"),
        (b'{"schema": "msecli-state/2"}', "its schema is 'msecli-state/2'"),
        (b'{"schema": "msecli-state/1"}', "damaged: \"'settings'\""),
        (b"\xff\xfe", "not JSON"),
    ],
)
def test_what_is_no_state_is_refused(tmp_path: Path, content: bytes, told: str) -> None:
    (tmp_path / "s.json").write_bytes(content)
    with pytest.raises(DataError, match=r"s\.json: this ") as caught:
        msecli.merge(tmp_path / "s.json")
    assert told in str(caught.value)


@pytest.mark.parametrize("change", ["sums", "counts", "missing", "rows", "columns"])
def test_damaged_numbers_are_refused(parts: Path, change: str) -> None:
    msecli.score("p1.csv", "t1.csv", metrics="mae", save_state="1.json")
    document = json.loads((parts / "1.json").read_text())
    (column,) = document["groups"][0]["columns"]
    if change == "sums":
        column["sums"]["squared_error"] = "1e5"
    elif change == "counts":
        column["counts"]["used"] = -1
    elif change == "missing":
        del column["sums"]["absolute_error"]
    elif change == "rows":
        document["groups"][0]["rows"] = 1.5
    else:
        document["groups"][0]["columns"] *= 2
    with pytest.raises(DataError, match="damaged"):
        msecli.merge(document)


def test_there_must_be_a_state() -> None:
    with pytest.raises(UsageError, match="at least one state"):
        msecli.merge()


def test_sums_in_a_state_are_integers_times_powers_of_two(parts: Path) -> None:
    (parts / "p1.csv").write_text("id,yhat,g\n1,1.5,x\n2,2,7\n")
    msecli.score("p1.csv", "t1.csv", save_state="1.json")
    (group,) = json.loads((parts / "1.json").read_text())["groups"]
    # The residuals are 1/2 and 0.
    assert (group["labels"], group["columns"][0]["sums"]) == (None, {"squared_error": "1*2^-2"})
