"""What scores of tables are: rows paired and grouped by pandas, numbers added up by `fractions.Fraction`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tests.fuzz.exact import Exact, quotient, root, rounded, total
from tests.fuzz.rows import RowsCase


class RefusedError(Exception):
    """The files cannot be scored, for this reason."""


class Score(NamedTuple):
    """The loss of some rows; None where no element is used. Undefined metrics are nan."""

    loss: float | None
    denominator: float | None
    metrics: dict[str, float]
    matched: int
    used_rows: int
    elements: dict[str, int]


class Expected(NamedTuple):
    """The score of all rows and of their parts, and, for every row in the prediction's order, its gradient or losses."""

    rows: dict[str, int]
    score: Score
    groups: dict[tuple[str | None, ...], Score]
    batches: list[tuple[int, Score, float | None]]
    columns: list[Score]
    values: np.ndarray | None
    gradient: np.ndarray


def reference(case: RowsCase) -> Expected:
    """Return what is expected, or raise `RefusedError`."""
    frame, rows = paired(case)
    frame["batch"] = batch_numbers(case, len(frame))
    kept = frame[frame["batch"].notna()]
    scorer = Scorer(case)
    score = scorer.checked(kept)
    groups = {}
    if case.by:
        for labels, part in kept.groupby(case.by, dropna=False, sort=False):
            groups[tuple(None if pd.isna(label) else label for label in labels)] = scorer.score(part)
    batches = []
    if case.batch is not None:
        for number, part in kept.groupby("batch"):
            running = scorer.score(kept[kept["batch"] <= number], "mean").loss
            batches.append((int(number), scorer.score(part), running))
    columns = [scorer.score(kept, columns=[number]) for number in range(case.width)] if case.axis == 0 else []
    values = None
    if case.axis == 1:
        each = [scorer.score(frame.iloc[[row]]).loss for row in range(len(frame))]
        values = np.array([math.nan if loss is None else loss for loss in each])
    elif case.reduction == "none":
        values = np.where(scorer.used(frame), scorer.losses(frame), math.nan)
    divisor = 1.0 if score.denominator is None else score.denominator
    with np.errstate(all="ignore"):
        gradient = scorer.weighted(frame, scorer.residual(frame) * 2.0) / divisor
    gradient[~scorer.used(frame) | frame["batch"].isna().to_numpy()[:, None]] = 0.0
    rows |= {"dropped": len(frame) - len(kept), "used": score.used_rows}
    return Expected(rows, score, groups, batches, columns, values, gradient)


def paired(case: RowsCase) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows of both files side by side, in the order of the prediction's, and what the ledger says of them."""
    tables = [pd.DataFrame(table) for table in case.tables.values()]
    for table in tables:
        for name in table.columns:
            if name[0] in "gk":
                table[name] = [None if pd.isna(label) else str(label) for label in case_column(case, name, table)]
    prediction, target = tables[0], tables[-1]
    frame = prediction
    if case.on:
        frame = _merged(prediction, target, case)
    elif len(tables) > 1:
        if len(prediction) != len(target):
            raise RefusedError("different numbers of rows")
        frame = pd.concat([prediction, target], axis=1)
    if case.weights is not None:
        for number, column in enumerate(case.weights[1]):
            frame[f"w{number}"] = column
    ledger = {
        "prediction": len(prediction), "target": len(target), "matched": len(frame),
        "unmatched_prediction": len(prediction) - len(frame), "unmatched_target": len(target) - len(frame),
    }  # fmt: skip
    return frame, ledger


def case_column(case: RowsCase, name: str, table: pd.DataFrame) -> list[Any]:
    """Return a column as it was written: pandas would turn integers beside a missing one into floats."""
    return next(columns[name] for columns in case.tables.values() if name in columns and len(columns[name]) == len(table) and list(columns) == list(table.columns))


def _merged(prediction: pd.DataFrame, target: pd.DataFrame, case: RowsCase) -> pd.DataFrame:
    there = [table.dropna(subset=case.on) for table in (prediction, target)]
    if any(table.duplicated(case.on).any() for table in there):
        raise RefusedError("duplicate keys")
    frame = there[0].merge(there[1], on=case.on, how="inner")
    if not case.skip and not len(frame) == len(prediction) == len(target):
        raise RefusedError("missing or unmatched keys")
    return frame


def batch_numbers(case: RowsCase, count: int) -> list[int | None]:
    """Return the batch of every row, 0 without batches, None where it is dropped."""
    if case.batch is None:
        return [0] * count
    size, seed, drop_last = case.batch
    order = range(count) if seed is None else np.random.default_rng(seed).permutation(count).tolist()
    numbers: list[int | None] = [None] * count
    for place, row in enumerate(order):
        numbers[row] = None if drop_last and place >= count // size * size else place // size
    return numbers


class Scorer:
    """The rules of a case, for any of its rows."""

    def __init__(self, case: RowsCase) -> None:
        self.case = case
        self.all = list(range(case.width))

    def side(self, rows: pd.DataFrame, name: str, columns: Sequence[int] | None = None) -> np.ndarray:
        names = [f"{name}{number}" for number in (self.all if columns is None else columns)]
        return rows[names].to_numpy(dtype=np.float64)

    def weight(self, rows: pd.DataFrame, columns: Sequence[int] | None = None) -> np.ndarray | None:
        chosen = self.all if columns is None else columns
        if "w" in rows or (self.case.weights is not None and len(self.case.weights[1]) == 1):
            name = "w" if "w" in rows else "w0"
            return np.column_stack([rows[name].to_numpy(dtype=np.float64)] * len(chosen))
        return None if self.case.weights is None else self.side(rows, "w", chosen)

    def masks(self, rows: pd.DataFrame, columns: Sequence[int] | None = None) -> dict[str, np.ndarray]:
        prediction, target = self.side(rows, "p", columns), self.side(rows, "t", columns)
        ignored = np.zeros(target.shape, dtype=bool)
        for value in self.case.ignore:
            ignored |= np.isnan(target) if math.isnan(value) else target == value
        missing = {"nan_target": np.isnan(target) & ~ignored, "nan_prediction": np.isnan(prediction) & ~ignored}
        used = ~ignored
        for kind, policy in (("nan_target", self.case.nan_target), ("nan_prediction", self.case.nan_prediction)):
            if policy != "propagate":
                used &= ~missing[kind]
        infinite = (np.isinf(prediction) | np.isinf(target)) & used
        return {"total": np.ones(target.shape, dtype=bool), "used": used, "ignored": ignored, "infinite": infinite} | missing

    def used(self, rows: pd.DataFrame) -> np.ndarray:
        return self.masks(rows)["used"]

    def residual(self, rows: pd.DataFrame, columns: Sequence[int] | None = None) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.side(rows, "p", columns) - self.side(rows, "t", columns)

    def weighted(self, rows: pd.DataFrame, values: np.ndarray, columns: Sequence[int] | None = None) -> np.ndarray:
        weight = self.weight(rows, columns)
        with np.errstate(all="ignore"):
            return values if weight is None else values * weight

    def losses(self, rows: pd.DataFrame) -> np.ndarray:
        with np.errstate(all="ignore"):
            return self.weighted(rows, self.residual(rows) ** 2)

    def checked(self, rows: pd.DataFrame) -> Score:
        """Return the score of all rows, or raise `RefusedError`."""
        masks = self.masks(rows)
        for kind, policy in (("nan_target", self.case.nan_target), ("nan_prediction", self.case.nan_prediction)):
            if policy == "raise" and masks[kind].any():
                raise RefusedError(kind)
        weight = self.weight(rows)
        if weight is not None and not (np.isfinite(weight[masks["used"]]) & (weight[masks["used"]] >= 0)).all():
            raise RefusedError("impossible weights")
        if not masks["used"].any():
            raise RefusedError("nothing to score")
        if weight is not None and not weight[masks["used"]].any():
            raise RefusedError("all weights are 0")
        return self.score(rows)

    def score(self, rows: pd.DataFrame, reduction: str | None = None, columns: Sequence[int] | None = None) -> Score:
        """Return the score of some rows, or of some of their columns."""
        reduction = reduction or self.case.reduction
        masks = self.masks(rows, columns)
        used = masks["used"]
        residual = self.residual(rows, columns)
        weight = self.weight(rows, columns)
        with np.errstate(all="ignore"):
            squares = total(self.weighted(rows, residual * residual, columns)[used])
        divisor: Exact = Fraction(int(used.sum())) if weight is None else total(weight[used])
        used_rows = int(used.any(axis=1).sum())
        by: Exact = {"mean": divisor, "batchmean": Fraction(used_rows)}.get(reduction, Fraction(1))
        loss = None if not used.any() or by == 0 or reduction == "none" else quotient(squares, by)
        metrics = dict.fromkeys(self.case.metrics, math.nan)
        if used.any():
            metrics = {name: self.metric(name, rows, columns, divisor) for name in self.case.metrics}
        counts = {name: int(mask.sum()) for name, mask in masks.items()}
        denominator = rounded(by) if reduction in ("mean", "batchmean") else None
        return Score(loss, denominator, metrics, len(rows), used_rows, counts)

    def metric(self, name: str, rows: pd.DataFrame, columns: Sequence[int] | None, divisor: Exact) -> float:
        used, residual = self.masks(rows, columns)["used"], self.residual(rows, columns)
        plain = residual[used]

        def weighted(values: np.ndarray) -> Exact:
            return total(self.weighted(rows, values, columns)[used])

        with np.errstate(all="ignore"):
            squares = residual * residual
        if name == "mse":
            return quotient(weighted(squares), divisor)
        if name == "rmse":
            return math.nan if divisor == 0 else root(weighted(squares) / divisor)
        if name == "mae":
            return quotient(weighted(np.abs(residual)), divisor)
        if name == "bias":
            return quotient(weighted(residual), divisor)
        if name == "sse":
            return rounded(weighted(squares))
        if name == "l1":
            return rounded(total(np.abs(plain)))
        if name == "l2":
            return root(total(squares[used]))
        if name == "r2":
            spread = sum((self._spread(rows, number) for number in (self.all if columns is None else columns)), Fraction(0))
            return math.nan if spread == 0 or math.isnan(spread) else rounded(1 - weighted(squares) / spread)
        return float(np.max(np.abs(plain)))

    def _spread(self, rows: pd.DataFrame, column: int) -> Exact:
        """Return the sum of the targets' squares about their mean, nan where a target or a loss is not finite."""
        used = self.masks(rows, [column])["used"]
        target, weight, residual = (
            self.side(rows, "t", [column]), self.weight(rows, [column]), self.residual(rows, [column])
        )  # fmt: skip
        if not (np.isfinite(target[used]) & np.isfinite(residual[used] * residual[used])).all():
            return math.nan
        weights = [Fraction(1)] * int(used.sum()) if weight is None else list(map(Fraction, weight[used]))
        targets = list(map(Fraction, target[used]))
        divisor = sum(weights, Fraction(0))
        if divisor == 0:
            return Fraction(0)
        mean = sum((w * t for w, t in zip(weights, targets, strict=True)), Fraction(0)) / divisor
        return sum((w * (t - mean) ** 2 for w, t in zip(weights, targets, strict=True)), Fraction(0))
