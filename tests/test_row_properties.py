"""Laws of the row contract, on files: for any rows, any cut into blocks, any number of threads, any format.

The oracle is `fractions.Fraction`: exact sums of the float64 losses of the used elements, divided with one rounding.
Where both sides of a law are msecli's own the law is the expectation: a weight is a number of repeats, a mask is a
deletion, groups and batches are parts of the whole, the order of keyed rows does not exist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import msecli
from msecli.errors import DataError
from tests.files import write
from tests.fuzz.sizes import reading_in

NAN = math.nan
IGNORED = -1.0
BLOCKS = st.sampled_from([1, 2, 3, 7, 100_000])
JOBS = st.sampled_from([1, 2, 3])
TABLES = st.sampled_from(["csv", "parquet"])
MODERATE = st.floats(-1e3, 1e3).map(lambda x: round(x, 3)) | st.floats(-1e100, 1e100)
NAMED = msecli.Reading(header=True)
"""The first line of text is one of names, even if these are the numbers of an array's columns."""
QUARTERS = st.integers(-40, 40).map(lambda x: x / 4)
"""Numbers whose squares, weighted by small integers and summed in any order, are exact in float64."""


@pytest.fixture(name="folder", scope="module")
def _folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


def blocks_of(rows: int) -> AbstractContextManager[None]:
    """Have files read and paired a few rows at a time."""
    return reading_in({"part": 16 * rows, "array": rows, "rows": rows, "block": min(rows, 131072)})


def numbers_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without what names the files."""
    numbers = {name: value for name, value in document.items() if name not in {"inputs", "signature"}}
    return numbers | {"warnings": [each for each in document["warnings"] if each["code"] != "columns_chosen"]}


def add(fractions: Sequence[Fraction]) -> Fraction:
    return sum(fractions, Fraction(0))


# Laws


@pytest.mark.slow
@settings(deadline=None)
@given(st.lists(st.tuples(QUARTERS, QUARTERS, st.integers(0, 3)), min_size=1, max_size=12), TABLES, BLOCKS)
def test_weights_act_as_repeats(folder: Path, rows: list[tuple[float, float, int]], suffix: str, block: int) -> None:
    repeated = [(p, t) for p, t, weight in rows for _ in range(weight)]
    assume(repeated)
    weighted = write(folder / f"w.{suffix}", {"p": [p for p, _, _ in rows], "t": [t for _, t, _ in rows],
                                              "w": [float(w) for _, _, w in rows]})  # fmt: skip
    plain = write(folder / f"r.{suffix}", {"p": [p for p, _ in repeated], "t": [t for _, t in repeated]})
    options: dict[str, Any] = {
        "pred": "p", "target": "t", "metrics": ("mse", "rmse", "mae", "bias", "r2", "sse"),
    }  # fmt: skip
    for reduction in ("mean", "sum"):
        with blocks_of(block):
            one = msecli.score(weighted, weight="w", reduction=reduction, **options)
            other = msecli.score(plain, reduction=reduction, **options)
        assert (one.loss, one.denominator) == (other.loss, other.denominator)
        np.testing.assert_array_equal(list(one.metrics.values()), list(other.metrics.values()))


@settings(deadline=None)
@given(st.lists(st.tuples(QUARTERS, QUARTERS, st.integers(1, 3)), min_size=1, max_size=12))
def test_weights_act_as_repeats_for_arrays_and_their_gradients(rows: list[tuple[float, float, int]]) -> None:
    p, t, w = (np.array(side, dtype=np.float64) for side in zip(*rows, strict=True))
    repeats = w.astype(int)
    assert msecli.mse_loss(p, t, weight=w) == msecli.mse_loss(p.repeat(repeats), t.repeat(repeats))
    whole = msecli.mse_loss_grad(p.repeat(repeats), t.repeat(repeats), reduction="sum")
    shares = np.add.reduceat(whole, np.cumsum(repeats) - repeats)
    assert msecli.mse_loss_grad(p, t, weight=w, reduction="sum").tolist() == shares.tolist()


MASKED = st.lists(
    st.tuples(MODERATE, MODERATE, st.floats(0.1, 9.0), st.sampled_from(["", "", "p", "t", "both", "ignore"])),
    min_size=1,
    max_size=12,
)


@pytest.mark.slow
@settings(deadline=None)
@given(MASKED, st.sampled_from(["csv", "parquet", "npy"]), BLOCKS, st.sampled_from(["mean", "sum", "batchmean"]))
def test_a_mask_is_a_deletion(
    folder: Path, rows: list[tuple[float, float, float, str]], suffix: str, block: int, reduction: str
) -> None:
    rows = [row for row in rows if row[1] != IGNORED]
    kept = [(p, t, w) for p, t, w, mask in rows if not mask]
    assume(kept)
    masked = [
        (NAN if mask in ("p", "both") else p, {"t": NAN, "both": NAN, "ignore": IGNORED}.get(mask, t), w)
        for p, t, w, mask in rows
    ]
    tables = [
        write(folder / f"{name}.{suffix}", dict(zip("012", map(list, zip(*side, strict=True)), strict=True)))
        for name, side in (("m", masked), ("d", kept))
    ]
    options: dict[str, Any] = {
        "pred": "0", "target": "1", "weight": "2", "reduction": reduction, "ignore_index": IGNORED,
        "nan_target": "omit", "nan_pred": "omit", "metrics": ("rmse", "mae", "bias", "r2", "max_error", "l2", "lp:3"),
        "reading": NAMED,
    }  # fmt: skip
    with blocks_of(block):
        one, other = (msecli.score(path, **options) for path in tables)
    assert (one.loss, one.denominator, one.elements.used) == (other.loss, other.denominator, len(kept))
    np.testing.assert_array_equal(list(one.metrics.values()), list(other.metrics.values()))
    assert one.elements.total == len(rows)


@settings(deadline=None)
@given(MASKED)
def test_a_mask_is_a_deletion_for_gradients_too(rows: list[tuple[float, float, float, str]]) -> None:
    keep = np.array([not mask for *_, mask in rows])
    assume(keep.any())
    p, t, w = (np.array([row[number] for row in rows]) for number in range(3))
    missing = np.where(keep, t, NAN)
    gradient = msecli.mse_loss_grad(p, missing, weight=w, nan_target="omit")
    assert gradient[keep].tolist() == msecli.mse_loss_grad(p[keep], t[keep], weight=w[keep]).tolist()
    assert gradient[~keep].tolist() == [0.0] * int((~keep).sum())


PARTED = st.lists(st.tuples(QUARTERS, QUARTERS, st.integers(0, 4), st.sampled_from("abc")), min_size=1, max_size=20)


@pytest.mark.slow
@settings(deadline=None)
@given(rows=PARTED, suffix=TABLES, block=BLOCKS, jobs=JOBS, size=st.integers(1, 7), seed=st.none() | st.integers(0, 99))
def test_groups_and_batches_add_up_to_the_total_as_fractions(
    folder: Path,
    rows: list[tuple[float, float, int, str]],
    suffix: str,
    *,
    block: int,
    jobs: int,
    size: int,
    seed: int | None,
) -> None:
    assume(any(w for _, _, w, _ in rows))
    columns = dict(zip("ptwg", map(list, zip(*rows, strict=True)), strict=True))
    path = write(folder / f"x.{suffix}", columns)
    options: dict[str, Any] = {
        "pred": "p", "target": "t", "weight": "w", "by": "g", "batch_size": size, "shuffle": seed,
        "jobs": jobs, "metrics": "sse",
    }  # fmt: skip
    with blocks_of(block):
        result = msecli.score(path, reduction="sum", **options)
        mean = msecli.score(path, **options)
    for entries, means in ((result.groups, mean.groups), (result.batches, mean.batches)):
        losses = [Fraction(entry.score.loss or 0.0) for entry in entries]
        assert add(losses) == Fraction(result.loss or 0.0)
        assert add([Fraction(entry.score.metrics["sse"]) for entry in entries]) == Fraction(result.metrics["sse"])
        weights = [Fraction(entry.score.denominator or 0) for entry in means]
        assert add(weights) == Fraction(mean.denominator or 0)
        assert mean.loss == float(add(losses) / add(weights))
        for entry, loss, weight in zip(means, losses, weights, strict=True):
            assert entry.score.loss == (float(loss / weight) if weight else None)
        assert sum(entry.score.rows.used for entry in entries) == result.rows.used == len(rows)


@pytest.mark.slow
@settings(deadline=None)
@given(
    rows=st.lists(st.tuples(MODERATE, MODERATE, st.floats(0.1, 9.0), st.sampled_from("ab")), min_size=1, max_size=12),
    key=st.sampled_from([int, lambda row: row * 7 - 20, lambda row: f"k{row}", lambda row: row * 10**15]),
    suffixes=st.tuples(TABLES, TABLES),
    block=BLOCKS,
    jobs=JOBS,
    random=st.randoms(use_true_random=False),
)
def test_keys_in_any_order_equal_the_sorted_files(
    folder: Path, rows: list[Any], key: Any, suffixes: tuple[str, str], *, block: int, jobs: int, random: Random
) -> None:
    keys = [key(row) for row in range(len(rows))]

    def save(name: str, order: Sequence[int], suffix: str) -> Path:
        columns: dict[str, Any] = {"id": [keys[row] for row in order], "v": [rows[row][name == "t"] for row in order]}
        if name == "t":
            columns |= {"w": [rows[row][2] for row in order], "g": [rows[row][3] for row in order]}
        return write(folder / f"{name}.{suffix}", columns)

    options: dict[str, Any] = {
        "pred": "v", "target": "v", "weight": "w", "by": "g", "metrics": ("r2", "bias", "linf"),
    }  # fmt: skip
    straight = list(range(len(rows)))
    whole = msecli.score(save("p", straight, "csv"), save("t", straight, "csv"), **options).to_dict()
    orders = [random.sample(straight, len(rows)) for _ in range(2)]
    files = [save(name, order, suffix) for name, order, suffix in zip("pt", orders, suffixes, strict=True)]
    with blocks_of(block):
        result = msecli.score(files[0], files[1], on="id", jobs=jobs, **options).to_dict()
    assert (whole["rows"].pop("checked_by"), result["rows"].pop("checked_by")) == (["id"] if len(rows) > 1 else [], [])
    for name in ("loss", "metrics", "denominator", "rows", "elements", "groups", "macro"):
        assert result[name] == whole[name]


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), BLOCKS, JOBS, st.sampled_from(["csv", "parquet", "npy"]))
@example(0, 1, 3, "csv")
def test_blocks_and_threads_do_not_change_a_bit(folder: Path, seed: int, block: int, jobs: int, suffix: str) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    numbers = np.ldexp(rng.standard_normal((count, 4)), rng.integers(-60, 60, (count, 4)))
    numbers[:, :2][rng.random((count, 2)) < 0.1] = NAN
    assume(not np.isnan(numbers[:, :2]).any(axis=1).all())
    paths = [write(folder / f"{name}.{suffix}", {"0": numbers[:, column].tolist()}) for column, name in enumerate("pt")]
    weights = write(folder / f"w.{suffix}", {"0": np.abs(numbers[:, 2]).tolist()})
    options: dict[str, Any] = {
        "weight_file": weights, "nan_target": "omit", "nan_pred": "omit", "metrics": ("rmse", "r2", "mae", "lp:3"),
        "reading": NAMED,
    }  # fmt: skip
    for more in ({}, {"batch_size": 4, "shuffle": seed, "drop_last": count >= 4}, {"reduction": "none"}):
        whole = outcome(*paths, jobs=1, **options, **more)
        with blocks_of(block):
            assert outcome(*paths, jobs=jobs, **options, **more) == whole


def outcome(*paths: Path, **options: Any) -> Any:
    """Return the document of a score, or the message with which it is refused."""
    try:
        return msecli.score(*paths, **options).to_dict()
    except DataError as error:
        return str(error)


STRANGE = ["1", "7", "007", "07", "-7", "-0", "+7", " 7", "7 ", "0x7", "1_0", "1e0", "7.0", "x", "9" * 25]
"""Cells some of which a reader of integers might take for others."""


@pytest.mark.slow
@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.sampled_from(STRANGE), st.integers(0, 9)), min_size=1, max_size=6),
    st.sampled_from([1, 99, 105]),
    st.sampled_from([1, 2, 5]),
)
@example([(" 7", 1)], 105, 1)
@example([("7 ", 1)], 105, 1)
@example([("0x7", 1)], 105, 1)
@example([("007", 1), ("x", 1)], 105, 1)
def test_blocks_do_not_change_what_a_label_is(
    folder: Path, tail: list[tuple[str, int]], ordinary: int, block: int
) -> None:
    """Labels are text as it is written, however the text is cut and wherever the first strange one stands."""
    labels = [*(str(row % 9) for row in range(ordinary)), *(label for label, _ in tail)]
    values = [0] * ordinary + [value for _, value in tail]
    path = write(folder / "x.csv", {"g": labels, "pred": values, "target": [0] * len(labels)})
    whole = msecli.score(path, by="g", reduction="sum")
    with blocks_of(block):
        assert msecli.score(path, by="g", reduction="sum").to_dict() == whole.to_dict()
    expected: dict[str, float] = {}
    for label, value in zip(labels, values, strict=True):
        expected[label] = expected.get(label, 0.0) + value * value
    assert {str(entry.label["g"]): entry.score.loss for entry in whole.groups} == expected


def labels_of(path: Path, block: int) -> list[tuple[str, float | None]]:
    with blocks_of(block):
        result = msecli.score(path, by="g", reduction="sum")
    return [(str(entry.label["g"]), entry.score.loss) for entry in result.groups]


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from(["1.0", "7.0", "1.5", "1.50", "007.0", "7", "1e0", "-0.0", "x", ""]), min_size=1),
    st.sampled_from([0, 1, 99, 105]),
    st.sampled_from([1, 2, 5]),
)
def test_blocks_do_not_change_labels_that_were_kept_as_floats(
    folder: Path, tail: list[str], ordinary: int, block: int
) -> None:
    labels = [*(f"{row % 9}.0" for row in range(ordinary)), *tail]
    columns = {"g": labels, "pred": range(len(labels)), "target": [0] * len(labels)}
    path = write(folder / "x.csv", columns)
    assert labels_of(path, block) == labels_of(path, 100_000)


FLOATS = st.sampled_from([NAN, 1.0, 7.0, 1.5, -0.0, 0.0, 1e15, 123456789012345.0, 1e17, -(2.0**53), 1e300, math.inf])


@settings(deadline=None, max_examples=100)
@given(st.lists(FLOATS | st.none(), min_size=1, max_size=12), st.sampled_from([1, 2, 3]), st.sampled_from([1, 2, 5]))
def test_blocks_do_not_change_float_labels_of_parquet(
    folder: Path, labels: list[float | None], group_rows: int, block: int
) -> None:
    table = {"g": pa.array(labels, pa.float64()), "pred": list(range(len(labels))), "target": [0] * len(labels)}
    one, many = folder / "one.parquet", folder / "many.parquet"
    pq.write_table(pa.table(table), one)
    pq.write_table(pa.table(table), many, row_group_size=group_rows)
    assert labels_of(many, block) == labels_of(one, 100_000)


@pytest.mark.slow
@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from([(0,), (1,)]), st.booleans(), BLOCKS)
def test_losses_along_axes_have_the_same_bits_in_every_format(
    folder: Path, seed: int, axes: tuple[int, ...], weighted: bool, block: int
) -> None:
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 12)), 3)
    prediction, target = (np.ldexp(rng.standard_normal(shape), rng.integers(-60, 60, shape)) for _ in range(2))
    target[0, 0] = NAN
    found = []
    for suffix in ("csv", "parquet", "npy"):
        paths = [
            write(folder / f"{name}.{suffix}", dict(zip("012", array.T.tolist(), strict=True)))
            for name, array in (("p", prediction), ("t", target))
        ]
        weights = write(folder / f"w.{suffix}", {"w": np.abs(prediction[:, 1]).tolist()})
        options: dict[str, Any] = {"reading": NAMED} | ({"weight_file": weights} if weighted else {})
        with blocks_of(block):
            found.append(numbers_of(msecli.score(*paths, axis=axes, nan_target="omit", **options).to_dict()))
    assert found[0] == found[1] == found[2]
