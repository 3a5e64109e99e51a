"""Which columns are scored: the rules in their order, what they leave undecided, and what an error then says.

The expected columns follow from the rules: (a) known names, (b) a single numeric column each, (c) the same names in
both files, (d) a table against a nameless matrix. Columns that only number the rows are never data by themselves.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from msecli.api import score
from msecli.errors import DataError, UsageError
from msecli.results.score import Result
from tests.files import write

Names = tuple[str, ...]

PREDICTION_NAMES = [
    "pred", "preds", "prediction", "predictions", "predicted", "y_pred", "ypred", "yhat", "y_hat", ".pred", "forecast",
    "fitted", "estimate", "estimated", "output", "outputs", "simulated", "sim",
]  # fmt: skip
TARGET_NAMES = [
    "target", "targets", "true", "truth", "ground_truth", "gt", "actual", "actuals", "y_true", "ytrue", "y_test", "y",
    "label", "labels", "observed", "obs", "reference", "ref",
]  # fmt: skip
IDENTIFYING_NAMES = [
    "id", "Id", "ID", "index", "IDX", "key", "row", "rowid", "RowId", "row_id", "no", "nr", "uuid", "GUID",
    "Unnamed: 0", "__index_level_0__", "", "PassengerId", "imageID", "unique_id", "sort_key", "h_idx", "invoice_no",
    "date", "Time", "datetime", "timestamp", "ds", "Period",
]  # fmt: skip


def table(path: Path, header: str, *rows: str) -> Path:
    """Write a CSV file; without rows it gets one of the numbers 1, 2, 3 and so on."""
    count = len(header.split(","))
    path.write_text("\n".join([header, *(rows or [",".join(map(str, range(1, count + 1)))])]) + "\n")
    return path


def array(path: Path, shape: tuple[int, ...]) -> Path:
    np.save(path, np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape))
    return path


@pytest.fixture
def one(tmp_path: Path) -> Path:
    return tmp_path / "one.csv"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    return tmp_path / "two.csv"


def columns(result: Result) -> tuple[Names, Names]:
    prediction, target = result.inputs
    return prediction.columns, target.columns


def undecided(*paths: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        score(*paths, **options)
    message = str(caught.value)
    assert all(str(path) in message for path in paths)
    return message


@pytest.mark.parametrize("name", PREDICTION_NAMES)
def test_rule_a_known_names_of_predictions(one: Path, name: str) -> None:
    assert columns(score(table(one, f"a,{name},y,b"))) == ((name,), ("y",))


@pytest.mark.parametrize("name", TARGET_NAMES)
def test_rule_a_known_names_of_targets(one: Path, name: str) -> None:
    assert columns(score(table(one, f"a,yhat,{name},b"))) == (("yhat",), (name,))


def test_rule_a_in_any_case(one: Path) -> None:
    assert columns(score(table(one, "Y_Pred,Y_TRUE"))) == (("Y_Pred",), ("Y_TRUE",))


def test_rule_a_over_two_files(one: Path, two: Path) -> None:
    assert columns(score(table(one, "a,yhat"), table(two, "b,c,y"))) == (("yhat",), ("y",))


def test_rule_a_with_both_names_in_both_files(one: Path, two: Path) -> None:
    result = score(table(one, "pred,y", "1,9"), table(two, "pred,y", "9,3"))
    assert (columns(result), result.loss) == ((("pred",), ("y",)), 4.0)


def test_rule_a_goes_before_rule_c(one: Path, two: Path) -> None:
    assert columns(score(table(one, "pred,y"), table(two, "y,pred"))) == (("pred",), ("y",))


def test_rule_a_passes_over_text(one: Path) -> None:
    assert columns(score(table(one, "label,yhat,y", "cat,1,2", "dog,3,4"))) == (("yhat",), ("y",))


@pytest.mark.parametrize("header", ["pred,yhat,y", "yhat,y,label", "pred,y_pred,y,label", "pred,a,b", "a,b,y", "a,b"])
def test_rule_a_undecided_lists_the_columns(one: Path, header: str) -> None:
    message = undecided(table(one, header))
    assert "pred=" in message
    assert "target=" in message
    assert [name for name in header.split(",") if f"'{name}'" not in message] == []


def test_advice_never_names_one_column_for_both_sides(one: Path) -> None:
    assert "pred='a' target='a'" not in undecided(table(one, "a,b"))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a", "b", (("a",), ("b",))),
        ("a", "a", (("a",), ("a",))),
        ("y", "yhat", (("y",), ("yhat",))),
        ("id,a", "id,b", (("a",), ("b",))),
        ("index,a", "b", (("a",), ("b",))),
        (",a", ",b", (("a",), ("b",))),
    ],
)
def test_rule_b_a_single_numeric_column_each(
    one: Path, two: Path, first: str, second: str, expected: tuple[Names, Names]
) -> None:
    assert columns(score(table(one, first), table(two, second))) == expected


def test_rule_b_passes_over_text(one: Path, two: Path) -> None:
    result = score(table(one, "name,a", "x,1"), table(two, "b,name", "2,x"))
    assert (columns(result), result.loss) == ((("a",), ("b",)), 1.0)


@pytest.mark.parametrize(
    ("first", "second"), [("a,b", "c"), ("a", "c,d"), ("a,b", "c,d"), ("a,b", "a"), ("a,b", "a,b,c")]
)
def test_rule_b_and_c_undecided_list_the_columns(one: Path, two: Path, first: str, second: str) -> None:
    message = undecided(table(one, first), table(two, second))
    assert [name for name in f"{first},{second}".split(",") if f"'{name}'" not in message] == []


def test_rule_b_is_not_for_one_file(one: Path) -> None:
    undecided(table(one, "a"))


@pytest.mark.parametrize("second", ["a,b,c", "c,a,b", "name,b,c,a", "id,c,b,a"])
def test_rule_c_the_same_names_are_paired_by_name(one: Path, two: Path, second: str) -> None:
    rows = {"a": "1", "b": "2", "c": "4", "name": "x", "id": "0"}
    target = table(two, second, ",".join(rows[name] for name in second.split(",")))
    result = score(table(one, "a,b,c", "1,2,5"), target)
    assert (columns(result), result.loss) == ((("a", "b", "c"), ("a", "b", "c")), 1 / 3)


def test_rule_c_with_one_known_name(one: Path, two: Path) -> None:
    assert columns(score(table(one, "pred,b"), table(two, "b,pred"))) == (("pred", "b"), ("pred", "b"))


@pytest.mark.parametrize("table_first", [True, False])
def test_rule_d_a_table_against_a_matrix(tmp_path: Path, one: Path, table_first: bool) -> None:
    files = [table(one, "id,a,name,b", "7,1,x,2"), array(tmp_path / "m.npy", (1, 2))]
    result = score(*(files if table_first else reversed(files)))
    assert result.loss == 0.0
    assert result.elements.used == 2


@pytest.mark.parametrize("shape", [(1, 3), (1, 1), (1, 2, 1)])
def test_rule_d_undecided_or_refused_for_another_number_of_columns(
    tmp_path: Path, one: Path, shape: tuple[int, ...]
) -> None:
    undecided(table(one, "a,b"), array(tmp_path / "m.npy", shape))


@pytest.mark.parametrize(("header", "shape"), [("a", (1,)), ("a", (1, 1)), ("id,y", (1,)), ("name,y", (1,))])
def test_a_single_column_against_a_vector(tmp_path: Path, one: Path, header: str, shape: tuple[int, ...]) -> None:
    cells = {"a": "1", "y": "1", "id": "5", "name": "x"}
    path = table(one, header, ",".join(cells[name] for name in header.split(",")))
    assert score(array(tmp_path / "v.npy", shape), path).loss == 0.0


def test_a_vector_against_several_columns_is_undecided(tmp_path: Path, one: Path) -> None:
    assert "target=" in undecided(array(tmp_path / "v.npy", (1,)), table(one, "a,b"))


def test_a_vector_against_a_named_column(tmp_path: Path, one: Path) -> None:
    result = score(array(tmp_path / "v.npy", (1,)), table(one, "a,b"), target="b")
    assert (columns(result), result.loss) == (((), ("b",)), 1.0)


def test_a_vector_alone_needs_a_second_file(tmp_path: Path) -> None:
    assert "second file" in undecided(array(tmp_path / "v.npy", (3,)))


def test_columns_of_a_matrix_alone(tmp_path: Path) -> None:
    path = array(tmp_path / "m.npy", (2, 2))
    assert "'0'" in undecided(path)
    assert score(path, pred="0", target="1").loss == 1.0


def test_a_vector_has_no_column_to_name(tmp_path: Path) -> None:
    path = array(tmp_path / "v.npy", (3,))
    with pytest.raises(DataError, match="no columns"):
        score(path, path, pred="0")


@pytest.mark.parametrize(
    ("first", "second", "named", "expected"),
    [
        ("foo,y,z", None, "foo", (("foo",), ("y",))),
        ("foo,z", "y,w", "foo", (("foo",), ("y",))),
        ("foo,z", "w", "foo", (("foo",), ("w",))),
        ("foo,z", "foo,z", "foo", (("foo",), ("foo",))),
        ("foo,z,y", "z,foo,a", ("z", "foo"), (("z", "foo"), ("z", "foo"))),
        ("id,a", "id,y", "id", (("id",), ("id",))),
        ("pred,a", "pred,y", "pred", (("pred",), ("pred",))),
        ("a,b,c", "b,a,y", "b,a", (("b", "a"), ("b", "a"))),
    ],
)
def test_predictions_named_alone(
    one: Path, two: Path, *, first: str, second: str | None, named: str | Names, expected: tuple[Names, Names]
) -> None:
    paths = [table(one, first)] + ([] if second is None else [table(two, second)])
    assert columns(score(*paths, pred=named)) == expected


@pytest.mark.parametrize(
    ("first", "second", "named", "expected"),
    [
        ("yhat,a,b", None, "b", (("yhat",), ("b",))),
        ("c", "a,b", "b", (("c",), ("b",))),
        ("a,b", "a,b", "b", (("b",), ("b",))),
    ],
)
def test_targets_named_alone(
    one: Path, two: Path, *, first: str, second: str | None, named: str, expected: tuple[Names, Names]
) -> None:
    paths = [table(one, first)] + ([] if second is None else [table(two, second)])
    assert columns(score(*paths, target=named)) == expected


@pytest.mark.parametrize(
    ("first", "second", "named"),
    [("foo,y,label", None, "foo"), ("foo,z", None, "foo"), ("foo,z", "a,b", "foo"), ("a,b,c", "a,b", ("a", "c"))],
)
def test_predictions_named_alone_undecided(one: Path, two: Path, first: str, second: str | None, named: str) -> None:
    paths = [table(one, first)] + ([] if second is None else [table(two, second)])
    assert "target=" in undecided(*paths, pred=named)


def test_names_with_blanks_inside(one: Path) -> None:
    result = score(table(one, "my pred,my target"), pred="my pred", target="my target")
    assert columns(result) == (("my pred",), ("my target",))


@pytest.mark.parametrize("names", [("a b", "c d"), ("A", "B C"), ("it's", 'a "b"'), ("FORECAST", "$HOME")])
def test_the_example_in_a_message_is_a_command_that_runs(tmp_path: Path, run: Any, names: Names) -> None:
    path = write(tmp_path / "x.csv", {name: [1.0, 3.0] for name in (*names, "third")})
    message = run("compute", path).err.splitlines()[0]
    assert f"for example, use pred={names[0]!r} target={names[1]!r}" in undecided(path)
    # Every prediction of the first column equals that of the second.
    assert run(*shlex.split(message.partition("run: msecli ")[2])).out == "0.0\n"


@pytest.mark.parametrize("named", ["yhat", " yhat", "yhat "])
def test_names_with_blanks_around_are_taken_with_a_warning(one: Path, named: str) -> None:
    result = score(table(one, " yhat ,y"), pred=named)
    assert columns(result) == ((" yhat ",), ("y",))
    assert [(warning.code, warning.count) for warning in result.warnings] == [("column_name_differs", 1)]


def test_the_exact_name_goes_before_the_one_with_blanks(one: Path) -> None:
    result = score(table(one, "yhat , yhat,yhat,y"), pred="yhat")
    assert (columns(result), result.warnings) == ((("yhat",), ("y",)), ())


def test_every_name_with_blanks_has_its_warning(one: Path) -> None:
    result = score(table(one, " a, b"), pred="a", target="b")
    told = " ".join(warning.meaning for warning in result.warnings)
    assert "' a'" in told
    assert "' b'" in told


@pytest.mark.parametrize(
    ("named", "near"), [("yhta", "yhat"), ("Yhta", "yhat"), ("y_hat", "yhat"), ("OTHERS", "other")]
)
def test_a_name_that_is_not_there_finds_the_nearest(one: Path, named: str, near: str) -> None:
    message = undecided(table(one, "yhat,y,other"), pred=named)
    assert f"did you mean '{near}'?" in message
    assert [name for name in ("yhat", "y", "other") if f"'{name}'" not in message] == []


def test_many_columns_are_not_all_listed(one: Path) -> None:
    message = undecided(table(one, ",".join(f"c{number}" for number in range(1000))))
    assert "'c0'" in message
    assert "980 more" in message
    assert len(message) < 1000


@pytest.mark.parametrize(("pred", "target"), [("a", "a"), (("a", "a"), ("b", "c")), (("a", "b"), ("c", "c"))])
def test_a_duplicate_name_is_refused(one: Path, pred: str | Names, target: str | Names) -> None:
    message = undecided(table(one, "a,b,c,a,d"), pred=pred, target=target)
    assert "'a'" in message or "'c'" in message


def test_a_duplicate_name_that_is_not_wanted_is_no_matter(one: Path) -> None:
    assert columns(score(table(one, "n,yhat,n,y"))) == (("yhat",), ("y",))


@pytest.mark.parametrize(
    ("first", "second"), [("y,y,yhat", None), ("yhat,yhat,y", None), ("a,a", "a,b"), ("a,b", "a,a")]
)
def test_a_duplicate_name_is_no_choice(one: Path, two: Path, first: str, second: str | None) -> None:
    undecided(*([table(one, first)] + ([] if second is None else [table(two, second)])))


def test_unequal_numbers_of_names_are_a_usage_error(one: Path) -> None:
    with pytest.raises(UsageError, match="pairs"):
        score(one, pred=("a", "b"), target="c")


@pytest.mark.parametrize("name", IDENTIFYING_NAMES)
def test_a_row_index_is_no_data_by_itself(one: Path, two: Path, name: str) -> None:
    assert columns(score(table(one, f"{name},a"), table(two, f"{name},b"))) == (("a",), ("b",))


@pytest.mark.parametrize("name", ["paid", "PAID", "idea", "keys", "rows", "valid", "timed", "noid", "x"])
def test_a_name_that_only_resembles_a_row_index_is_data(one: Path, two: Path, name: str) -> None:
    assert columns(score(table(one, f"{name},a"), table(two, f"{name},a")))[0] == (name, "a")


def test_rule_a_takes_the_only_other_column_beside_a_known_name(one: Path, two: Path) -> None:
    assert columns(score(table(one, "id,foo,y"))) == (("foo",), ("y",))
    assert columns(score(table(one, "id,yhat,foo"))) == (("yhat",), ("foo",))
    assert columns(score(table(one, "yhat,a"), table(two, "foo"))) == (("yhat",), ("foo",))
    assert columns(score(table(one, "foo"), table(two, "y,a"))) == (("foo",), ("y",))


def test_rule_a_takes_a_vector_beside_a_known_name(tmp_path: Path, one: Path) -> None:
    result = score(array(tmp_path / "v.npy", (1,)), table(one, "a,y", "7,3"))
    assert (columns(result), result.loss) == (((), ("y",)), 4.0)  # (1 - 3)**2


def test_several_columns_chosen_by_their_names_are_said_in_one_line(one: Path, two: Path) -> None:
    (warning,) = score(table(one, "a,b", "1,2"), table(two, "b,a", "1,2")).warnings
    assert (warning.code, warning.where) == ("columns_chosen", f"{one} and {two}")
    assert warning.meaning.endswith(": a, b")
    assert score(one, two, pred="a,b").warnings == ()


@pytest.mark.parametrize("names", ["a,b", " a , b", ["a", "b"]])
def test_names_may_be_a_list_with_commas(one: Path, names: str | list[str]) -> None:
    result = score(table(one, "a,b,c,d", "1,2,3,5"), pred=names, target="c,d")
    assert (columns(result), result.loss) == ((("a", "b"), ("c", "d")), 6.5)  # (4 + 9) / 2


def test_a_list_may_be_paired_with_single_names(one: Path) -> None:
    assert columns(score(table(one, "a,b,c,d"), pred="a,b", target=["c", "d"])) == (("a", "b"), ("c", "d"))


def test_a_name_with_a_comma_wins_over_the_list(one: Path) -> None:
    path = write(one, {"a,b": [1.0], "a": [5.0], "b": [5.0], "y": [3.0]})
    assert score(path, pred="a,b", target="y").loss == 4.0


def test_an_unknown_name_in_a_list_is_named_alone(one: Path) -> None:
    message = undecided(table(one, "a,beta,c,d"), pred="a,betta", target="c,d")
    assert "no column 'betta'; did you mean 'beta'?" in message


def test_lists_of_unequal_length_are_refused(one: Path) -> None:
    with pytest.raises(
        DataError, match=r"2 prediction columns and 1 target column do not make pairs; .* as with pred='a' target='c'"
    ):
        score(table(one, "a,b,c"), pred="a,b", target="c")


def test_the_columns_of_both_files_are_suggested_where_one_has_more(one: Path, two: Path, run: Any) -> None:
    ran = run("compute", table(one, "id,a,b", "1,2,4"), table(two, "id,b,a,c", "1,2,4,9"))
    command = shlex.split(ran.err.splitlines()[0].partition("run: msecli ")[2])
    assert (ran.code, command[-2:]) == (3, ["-p", "a,b"])
    assert run(*command).out == "4.0\n"  # both are off by 2


def test_nothing_that_identifies_rows_is_suggested(one: Path) -> None:
    message = undecided(table(one, "Id,row_no,a"))
    assert "pred='" not in message
    assert "target='" not in message


def test_nothing_but_row_indexes_is_said_to_be_so(one: Path, two: Path) -> None:
    message = undecided(table(one, "id"), table(two, "id"))
    assert "none of them holds numbers" not in message
    assert "'id'" in message


def test_a_row_index_is_data_where_it_is_named(one: Path, two: Path) -> None:
    result = score(table(one, "id,a", "1,2"), table(two, "id,b", "3,4"), pred="id", target="id")
    assert result.loss == 4.0


def test_an_unnamed_column_that_is_not_the_first_is_a_column(one: Path) -> None:
    assert score(table(one, "yhat,", "1,2"), target="").loss == 1.0


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_frames_written_by_pandas_with_their_index(tmp_path: Path, suffix: str) -> None:
    frames = {"p": pd.DataFrame({"a": [1.0, 2.0]}, index=[5, 3]), "t": pd.DataFrame({"b": [1.0, 4.0]}, index=[5, 3])}
    paths = {name: tmp_path / f"{name}.{suffix}" for name in frames}
    for name, frame in frames.items():
        frame.to_csv(paths[name]) if suffix == "csv" else frame.to_parquet(paths[name])
    result = score(paths["p"], paths["t"])
    assert (columns(result), result.loss) == ((("a",), ("b",)), 2.0)


def test_a_frame_and_its_index_saved_twice(one: Path, two: Path) -> None:
    assert columns(score(table(one, ",Unnamed: 0,a"), table(two, ",Unnamed: 0,b"))) == (("a",), ("b",))


def test_kinds_of_columns_are_told_where_no_rule_fits(tmp_path: Path) -> None:
    path = write(tmp_path / "x.parquet", {"a": [1.0], "b": ["x"], "c": [[1]], "d": pa.array([1], pa.int8())})
    message = undecided(path)
    assert [kind for kind in ("double", "string", "list", "int8") if kind not in message] == []


def test_a_text_column_is_told_by_a_cell_that_is_text(one: Path) -> None:
    # Two of the three cells are no numbers: the column is shown by one of these.
    assert "such as '1'" not in undecided(table(one, "a,b", "1,1", "x,1", "y,1"))
