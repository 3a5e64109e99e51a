"""The same scores whatever the formats of the two files: losses, weights, groups and keys, in every pair of formats.

The data are those of `sample_data/diabetes_scores.parquet`. Expected losses are exact sums of `fractions.Fraction` over
the float64 values, rounded once.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import msecli
from msecli.formats import FORMATS
from tests.files import WRITERS, suffix, write

SCORES = pq.read_table(Path(__file__).parents[2] / "sample_data" / "diabetes_scores.parquet")
IDS, PREDICTION, TARGET = (SCORES[name].to_numpy() for name in ("id", "ridge", "target"))
# Arrays hold nothing but numbers: ages in bands by their order, and weights that float64 holds exactly.
GROUPS = np.array(SCORES["age_band"].combine_chunks().dictionary_encode().indices)
WEIGHTS = (IDS % 7 + 1) / 4
ORDER = np.random.default_rng(0).permutation(len(IDS))

TABLES = {
    "pred": {"id": IDS, "group": GROUPS, "ridge": PREDICTION},
    "target": {"id": IDS, "truth": TARGET, "w": WEIGHTS},
    "shuffled": {"id": IDS[ORDER], "truth": TARGET[ORDER], "w": WEIGHTS[ORDER]},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    for format in FORMATS:
        for name, columns in TABLES.items():
            write(folder / f"{name}{suffix(format)}", columns)
    return folder


def called(format: str, table: str, column: str) -> str:
    """Return what a column is called: in arrays by its number."""
    return column if WRITERS[format].named else str(list(TABLES[table]).index(column))


def mean(rows: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    """Return the weighted mean of the rounded squares of some rows, rounded once."""
    chosen: Sequence[tuple[float, float]] = list(zip(((PREDICTION - TARGET) ** 2)[rows], weights[rows], strict=True))
    total = sum((Fraction(weight * square) for square, weight in chosen), Fraction(0))
    return float(total / sum((Fraction(weight) for _, weight in chosen), Fraction(0)))


ALL, EVEN = np.ones(len(IDS), dtype=bool), np.ones(len(IDS))


@pytest.mark.parametrize("targets", FORMATS)
@pytest.mark.parametrize("predictions", FORMATS)
def test_two_files_of_any_formats_have_the_same_scores(folder: Path, predictions: str, targets: str) -> None:
    pred, target, shuffled = (
        str(folder / f"{name}{suffix(format)}")
        for name, format in (("pred", predictions), ("target", targets), ("shuffled", targets))
    )
    columns: dict[str, Any] = {
        "pred": called(predictions, "pred", "ridge"),
        "target": called(targets, "target", "truth"),
    }
    # Numbers that both arrays have as names mean no column.
    one_named = WRITERS[predictions].named or WRITERS[targets].named
    weight = called(targets, "target", "w") if one_named else None
    by = called(predictions, "pred", "group") if one_named else None
    on = f"{called(predictions, 'pred', 'id')}={called(targets, 'target', 'id')}"
    assert msecli.score(pred, target, **columns).loss == mean(ALL, EVEN)
    assert msecli.score(pred, shuffled, **columns, on=on).loss == mean(ALL, EVEN)
    weighted = msecli.score(pred, shuffled, **columns, on=on, weight=weight, by=by)
    weights = WEIGHTS if weight else EVEN
    assert weighted.loss == mean(ALL, weights)
    if by is not None:
        found = {float(group["group"][by]): group["loss"] for group in weighted.to_dict()["groups"]}
        rows = {float(group): np.equal(GROUPS, group) for group in range(3)}
        assert found == {group: mean(chosen, weights) for group, chosen in rows.items()}
