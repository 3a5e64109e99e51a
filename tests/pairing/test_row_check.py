"""Whether the rows of two files belong together, and whether the values of the chosen columns contradict the choice.

The expected losses are arithmetic by hand, in comments, on the numbers that were written.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from msecli.api import score
from msecli.errors import DataError
from tests.conftest import Ran
from tests.files import write

Run = Callable[..., Ran]


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "p.csv", tmp_path / "t.csv"


def save(files: tuple[Path, Path], ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[Path, Path]:
    write(files[0], ours)
    write(files[1], theirs)
    return files


def command_in(message: str) -> list[str]:
    """Return the arguments of the command that a message says to run."""
    return shlex.split(message.strip().rpartition("run: msecli ")[2])


def refusal(*files: Path, **options: Any) -> str:
    with pytest.raises(DataError) as caught:
        score(*files, **options)
    return str(caught.value)


def order(rows: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).permutation(rows)


def test_a_column_that_both_files_have_shows_that_rows_belong_together(files: tuple[Path, Path]) -> None:
    ids = [892, 893, 894, 895]
    save(files, {"PassengerId": ids, "Survived": [1, 1, 0, 1]}, {"PassengerId": ids, "Survived": [1, 0, 0, 0]})
    result = score(*files)
    assert result.loss == 0.5  # (0 + 1 + 0 + 1) / 4
    assert result.rows.checked_by == ("PassengerId",)
    assert result.to_dict()["rows"]["checked_by"] == ["PassengerId"]


def test_columns_equal_in_every_row_are_keys_or_features(files: tuple[Path, Path], run: Run) -> None:
    lat, lon = np.arange(20) / 2, np.arange(20) / 4 + 7
    temp = np.arange(20.0) + 0.5
    save(files, {"lat": lat, "lon": lon, "temp": temp}, {"lat": lat, "lon": lon, "temp": temp + 1})
    message = refusal(*files)
    assert "pred='temp'" in message
    assert "on='lat,lon'" in message
    told = run("compute", *files)
    assert told.code == 3
    # Every temperature is off by 1.
    assert run("compute", *files, "--on", "lat,lon").out == "1.0\n"
    assert run("compute", *files, "-p", "temp").out == "1.0\n"


def test_columns_that_all_differ_are_scored_and_said(sample_data: Path, run: Run) -> None:
    ran = run("compute", sample_data / "linnerud_pred.csv", sample_data / "linnerud_target.csv")
    assert ran.code == 0
    assert ran.err.count("\n") == 1
    assert "weight, waist, pulse" in ran.err


def test_a_few_rows_with_equal_columns_are_only_warned_of(files: tuple[Path, Path]) -> None:
    save(files, {"lat": [1, 2], "temp": [3, 4]}, {"lat": [1, 2], "temp": [4, 5]})
    assert "doubtful_columns" in {warning.code for warning in score(*files).warnings}


def test_a_constant_column_that_is_equal_contradicts_nothing(files: tuple[Path, Path]) -> None:
    save(
        files,
        {"a": np.zeros(20), "b": np.arange(20) / 2},
        {"a": np.zeros(20), "b": np.arange(20) / 3},
    )
    assert score(*files).loss is not None


def test_integers_in_another_order_are_keys_of_shuffled_rows(files: tuple[Path, Path], run: Run) -> None:
    rows = order(50)
    sales = np.arange(50) * 1.5 + 0.25
    save(files, {"Store": np.arange(1, 51), "Sales": sales}, {"Store": rows + 1, "Sales": (sales + 2)[rows]})
    told = run("compute", *files)
    assert told.code == 3
    assert "--on Store" in told.err
    assert run(*command_in(told.err)).out == "4.0\n"  # every sale is off by 2
    assert run("compute", *files, "-p", "Store,Sales").code == 0


def test_integers_of_another_sum_are_scored(files: tuple[Path, Path]) -> None:
    rows = order(50)
    save(files, {"Store": np.arange(1, 51)}, {"Store": rows + 2})
    assert score(*files).loss is not None


def test_shuffled_forecasts_are_refused_with_a_command_that_pairs_them(files: tuple[Path, Path], run: Run) -> None:
    names = [f"s{number // 4}" for number in range(24)]
    days = [f"2024-01-0{number % 2 + 1}" for number in range(24)]
    horizon = [number // 2 % 2 + 1 for number in range(24)]
    values = np.arange(24) * 0.5
    rows = order(24)
    table: dict[str, list[Any]] = {"unique_id": names, "ds": days, "h": horizon}
    shuffled = {name: [column[row] for row in rows] for name, column in table.items()}
    save(files, {**table, "yhat": values}, {**shuffled, "y": (values + 3)[rows]})
    told = run("compute", *files)
    assert told.code == 3
    assert "--on unique_id,ds,h" in told.err
    assert run(*command_in(told.err)).out == "9.0\n"  # every forecast is off by 3


def test_the_row_check_can_be_turned_off(files: tuple[Path, Path], run: Run) -> None:
    save(files, {"id": [1, 2], "yhat": [1, 5]}, {"id": [2, 1], "y": [1, 2]})
    assert run("compute", *files).code == 3
    assert run("compute", *files, "--no-row-check").out == "4.5\n"  # (0 + 9) / 2
    result = score(*files, row_check=False)
    assert (result.loss, result.rows.checked_by) == (4.5, ())


def test_a_constant_column_is_no_evidence(files: tuple[Path, Path]) -> None:
    save(files, {"model_id": ["m"] * 3, "yhat": [1, 2, 3]}, {"model_id": ["a", "b", "c"], "y": [2, 3, 4]})
    result = score(*files)
    assert (result.loss, result.rows.checked_by) == (1.0, ())


def test_a_column_that_turns_out_to_vary_late_is_evidence(tmp_path: Path) -> None:
    paths = tmp_path / "p.parquet", tmp_path / "t.parquet"
    for path, labels in zip(paths, (["m"] * 40 + ["n"] * 2, ["m"] * 20 + ["k"] * 22), strict=True):
        pq.write_table(pa.table({"series": labels, "y": np.arange(42) / 2}), path, row_group_size=10)
    assert "row 21:" in refusal(*paths)


def test_features_that_both_files_have_are_compared_in_the_first_rows(files: tuple[Path, Path]) -> None:
    x = np.arange(12) / 7
    save(files, {"x": x, "yhat": x}, {"x": x, "y": x + 1})
    result = score(*files)
    assert result.rows.checked_by == ("x",)
    save(files, {"x": x, "yhat": x}, {"x": x[::-1], "y": x + 1})
    message = refusal(*files)
    assert "column 'x' differs between the files at row 1 (line 2): " in message
    assert message.endswith("on='x'")


def test_integers_that_were_read_as_numbers_are_shown_as_integers(files: tuple[Path, Path]) -> None:
    save(files, {"series": [1, 2, 3], "yhat": [0.5, 1.5, 2.5]}, {"series": [1, 3, 2], "y": [1.5, 2.5, 3.5]})
    assert f"row 2 (line 3): 2 in {files[0]}, 3 in {files[1]}" in refusal(*files)
    save(files, {"series": [1, 2, 3], "yhat": [0.5, 1.5, 2.5]}, {"series": [1, 2.5, 2], "y": [1.5, 2.5, 3.5]})
    assert f"row 2 (line 3): 2.0 in {files[0]}, 2.5 in {files[1]}" in refusal(*files)


def test_fewer_digits_are_no_difference(files: tuple[Path, Path]) -> None:
    x = np.arange(12) / 7
    save(files, {"x": x, "yhat": x}, {"x": np.round(x, 7), "y": x + 1})
    assert score(*files).rows.checked_by == ("x",)


def test_other_predictions_beside_the_scored_one_are_not_compared(files: tuple[Path, Path]) -> None:
    save(files, {"a": [1, 2], "b": [3, 4]}, {"a": [2, 3], "b": [7, 9]})
    assert score(*files, pred="a").rows.checked_by == ()


def test_a_shared_column_that_cannot_be_read_is_no_evidence(files: tuple[Path, Path]) -> None:
    files[0].write_text("x,z,yhat\n" + "1,1,2\n" * 9 + "oops,2,2\n")
    files[1].write_text("x,z,y\n" + "1,1,3\n" * 9 + "2,2,3\n")
    result = score(*files)
    assert (result.loss, result.rows.checked_by) == (1.0, ("z",))


def test_names_that_differ_in_case_are_one_column(files: tuple[Path, Path], run: Run) -> None:
    save(files, {"id": [1, 2, 3], "yhat": [1, 2, 3]}, {"Id": [3, 1, 2], "y": [3, 1, 2]})
    told = run("compute", *files)
    assert (told.code, command_in(told.err)[-2:]) == (3, ["--on", "id=Id"])
    assert run(*command_in(told.err)).out == "0.0\n"


def test_rows_that_are_missing_in_one_file_are_paired_where_said(files: tuple[Path, Path], run: Run) -> None:
    save(files, {"id": [1, 2, 3], "yhat": [1, 2, 3]}, {"id": [1, 3, 4], "y": [1, 3, 9]})
    told = run("compute", *files)
    assert run(*command_in(told.err)).out == "0.0\n"
    assert command_in(told.err)[-4:] == ["--on", "id", "--unmatched", "skip"]


def test_no_key_is_advised_where_none_pairs_rows(files: tuple[Path, Path]) -> None:
    save(files, {"id": [1, 1, 2], "yhat": [1, 2, 3]}, {"id": [1, 2, 2], "y": [1, 3, 9]})
    message = refusal(*files)
    assert "on=" not in message
    assert "row_check=False" in message


def test_times_agree_whatever_their_type(tmp_path: Path) -> None:
    times = np.arange("2024-01-01", "2024-01-05", dtype="datetime64[D]")
    first = write(tmp_path / "p.csv", {"ds": [str(time) for time in times], "yhat": [1, 2, 3, 4]})
    second = tmp_path / "t.parquet"
    pq.write_table(pa.table({"ds": pa.array(times.astype("datetime64[ns]")), "y": [1, 2, 3, 4]}), second)
    assert score(first, second).rows.checked_by == ("ds",)


def test_a_prediction_that_equals_its_target_is_warned_of(files: tuple[Path, Path]) -> None:
    save(files, {"a": [1.5, 2.5]}, {"a": [1.5, 2.5]})
    (warning,) = score(*files).warnings
    assert (warning.code, warning.meaning) == (
        "equal_columns",
        "every prediction equals its target; is this the same column?",
    )
    save(files, {"a": [1.5]}, {"a": [1.5]})
    assert score(*files).warnings == ()


def test_lists_in_a_frame_are_not_compared() -> None:
    ours = pd.DataFrame({"tags": [[1], [2]], "id": ["a", "b"], "yhat": [1.0, 2.0]})
    theirs = pd.DataFrame({"tags": [[1], [3]], "id": ["a", "b"], "y": [2.0, 3.0]})
    result = score(ours, theirs)
    assert (result.loss, result.rows.checked_by) == (1.0, ("id",))


def test_a_row_check_of_frames_advises_keys() -> None:
    ours = pd.DataFrame({"id": [1, 2], "yhat": [1.0, 2.0]})
    with pytest.raises(DataError, match=r"to pair rows by 'id', use on='id'$"):
        score(ours, pd.DataFrame({"id": [2, 1], "y": [2.0, 1.0]}))
