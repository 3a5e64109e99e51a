"""What scores of tables are: rows paired and grouped by pandas, numbers added up by `fractions.Fraction`."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd

from tests.fuzz.cases import Near
from tests.fuzz.exact import Exact, norm, quotient, root, rounded, total
from tests.fuzz.rows import RowsCase


class RefusedError(Exception):
    """The files cannot be scored, for this reason."""


def reference(case: RowsCase) -> dict[str, Any]:
    """Return what is expected of the JSON document, the groups by their labels, and the "gradient".

    Raises
    ------
    RefusedError
        If the files cannot be scored.
    """
    frame, rows = _paired(case)
    batch = _batch_numbers(case, len(frame))
    kept = np.flatnonzero(batch >= 0)
    with np.errstate(all="ignore"):
        data = Data(case, frame)
        expected = data.checked(kept)
        entries: list[dict[str, Any]] = []
        if case.batch:
            for number in np.unique(batch[kept]).tolist():
                running = data.score(np.flatnonzero((batch >= 0) & (batch <= number)), reduction="mean")["loss"]
                entry = data.score(np.flatnonzero(batch == number))
                entries.append({"batch": number, "running_mean": running} | entry)
            expected["batches"] = entries
        if case.axis == 0:
            expected["columns"] = entries = [data.score(kept, [number]) for number in range(case.width)]
        if case.by:
            labels = frame.iloc[kept].reset_index(drop=True).groupby(case.by, dropna=False, sort=False).indices
            groups = {_named(key): data.score(kept[places]) for key, places in labels.items()}
            expected["groups"], entries = groups, list(groups.values())
        losses = [entry["loss"] for entry in entries if entry["loss"] is not None]
        if losses:
            expected["macro"] = {"loss": rounded(total(losses)) / len(losses)}
        if case.axis == 1:
            expected["values"] = [data.score([row])["loss"] for row in range(len(frame))]
        elif case.reduction == "none":
            values = np.where(data.used, data.weighted(data.residual**2), math.nan)
            expected["values"] = (values[:, 0] if case.width == 1 else values).tolist()
        there = data.used & (batch >= 0)[:, np.newaxis]
        scaled = data.weighted(data.residual * 2.0) / (expected["denominator"] or 1.0)
    expected["rows"] = rows | {"dropped": len(frame) - len(kept), "used": expected["rows"]["used"]}
    return expected | {"gradient": np.where(there, scaled, 0.0)}


def _named(key: Any) -> str:
    return repr([None if pd.isna(label) else label for label in (key if isinstance(key, tuple) else (key,))])


def _paired(case: RowsCase) -> tuple[pd.DataFrame, dict[str, int]]:
    """Return the rows of both files side by side, in the prediction's order, and what the ledger says of them."""
    tables = [
        pd.DataFrame({
            name: [None if v is None else str(v) for v in values] if name[0] in "gk" else values
            for name, values in table.items()
        })
        for table in case.tables.values()
    ]  # fmt: skip
    prediction, target = tables[0], tables[-1]
    if case.on:
        there = [table.dropna(subset=case.on) for table in tables]
        if any(table.duplicated(case.on).any() for table in there):
            raise RefusedError("duplicate keys")
        frame = there[0].merge(there[1], on=case.on)
        if not case.skip and not len(frame) == len(prediction) == len(target):
            raise RefusedError("missing or unmatched keys")
    else:
        if len(prediction) != len(target):
            raise RefusedError("different numbers of rows")
        frame = pd.concat(tables, axis=1)
    for number, column in enumerate(case.weights[1] if case.weights else ()):
        frame[f"w{number}"] = column
    both = {"prediction": len(prediction), "target": len(target)}
    return frame, both | {"matched": len(frame)} | {f"unmatched_{side}": n - len(frame) for side, n in both.items()}


def _batch_numbers(case: RowsCase, count: int) -> np.ndarray:
    """Return the batch of every row, 0 without batches, -1 where it is dropped."""
    size, seed, drop_last = case.batch or (count + 1, None, False)
    order = np.arange(count) if seed is None else np.random.default_rng(seed).permutation(count)
    numbers = np.empty(count, dtype=np.int64)
    numbers[order] = np.arange(count) // size
    return np.where(drop_last & (numbers == count // size), -1, numbers)


class Data:
    """The elements of all rows, arrays of shape (rows, columns)."""

    def __init__(self, case: RowsCase, frame: pd.DataFrame) -> None:
        self.case = case
        columns = {side: [name for name in frame if name[0] == side] for side in "ptw"}
        prediction, self.target, weight = (
            frame[sorted(names)].to_numpy(dtype=np.float64) for names in columns.values()
        )
        self.residual = prediction - self.target
        self.weight = np.broadcast_to(weight, prediction.shape) if columns["w"] else None
        ignored = np.isin(self.target, case.ignore)
        ignored |= np.isnan(self.target) & np.isnan(case.ignore).any()
        missing = {
            "nan_target": np.isnan(self.target) & ~ignored, "nan_prediction": np.isnan(prediction) & ~ignored,
        }  # fmt: skip
        self.used = ~ignored
        for kind, mask in missing.items():
            self.used &= ~mask | (case.policies[kind] == "propagate")
        infinite = (np.isinf(prediction) | np.isinf(self.target)) & self.used
        everything = np.ones(ignored.shape, dtype=bool)
        self.masks = {"total": everything, "used": self.used, "ignored": ignored, "infinite": infinite} | missing

    def weighted(self, values: np.ndarray) -> np.ndarray:
        """Return values of all elements times their weights."""
        return values if self.weight is None else values * self.weight

    def checked(self, rows: np.ndarray) -> dict[str, Any]:
        """Return the score of all rows, or raise `RefusedError`."""
        for kind, policy in self.case.policies.items():
            if policy == "raise" and self.masks[kind][rows].any():
                raise RefusedError(kind)
        used = self.used[rows]
        if not used.any():
            raise RefusedError("nothing to score")
        weight = np.ones(1) if self.weight is None else self.weight[rows][used]
        if not (np.isfinite(weight) & (weight >= 0)).all() or not weight.any():
            raise RefusedError("impossible weights")
        return self.score(rows)

    def score(
        self, rows: np.ndarray | list[int], columns: list[int] | None = None, reduction: str | None = None
    ) -> dict[str, Any]:
        """Return the score of some rows, or of some of their columns."""
        places = np.ix_(np.asarray(rows), np.arange(self.case.width) if columns is None else np.array(columns))
        used, reduction = self.used[places], reduction or self.case.reduction

        def add(values: np.ndarray) -> Exact:
            return total(values[places][used])

        weights = add(np.ones(self.used.shape) if self.weight is None else self.weight)
        some = int(used.any(axis=1).sum())
        divisor = {"mean": weights, "batchmean": Fraction(some)}.get(reduction, Fraction(1))
        found: dict[str, Any] = {
            "loss": None,
            "denominator": rounded(divisor) if reduction in ("mean", "batchmean") else None,
            "rows": {"matched": len(rows), "used": some},
            "elements": {name: int(mask[places].sum()) for name, mask in self.masks.items()},
        }
        if not used.any() or divisor == 0:
            return found | {"status": "empty"}
        if reduction != "none":
            loss = quotient(add(self.weighted(self.residual**2)), divisor)
            status = "ok" if math.isfinite(loss) else "nan" if math.isnan(loss) else "inf"
            found |= {"loss": loss, "status": status}
        return found | {"metrics": self._metrics(places, weights)}

    def _metrics(self, places: tuple[np.ndarray, ...], weights: Exact) -> dict[str, float]:
        used, size = self.used[places], np.abs(self.residual)

        def add(values: np.ndarray) -> Exact:
            return total(values[places][used])

        squares = add(self.weighted(self.residual**2))
        largest = float(size[places][used].max())
        formulas: dict[str, Callable[[], float]] = {
            "mse": lambda: quotient(squares, weights),
            "rmse": lambda: root(squares / weights) if weights else math.nan,
            "mae": lambda: quotient(add(self.weighted(size)), weights),
            "bias": lambda: quotient(add(self.weighted(self.residual)), weights),
            "sse": lambda: rounded(squares),
            "l1": lambda: rounded(add(size)),
            "l2": lambda: Near(norm(self.residual[places][used])),
            "max_error": lambda: largest,
            "linf": lambda: largest,
            "r2": lambda: self._r2(places),
        }
        return {name: formulas[name]() for name in self.case.metrics}

    def _r2(self, places: tuple[np.ndarray, ...]) -> float:
        """Return 1 - SSE / SST of float64 residuals, without any other rounding; each column is about its mean."""
        used, targets, residuals = self.used[places], self.target[places], self.residual[places]
        if not np.isfinite(residuals[used]).all() or not np.isfinite(targets[used]).all():
            return math.nan
        weights = np.ones(used.shape) if self.weight is None else self.weight[places]
        squares = spread = Fraction(0)
        for mask, residual, target, weight in zip(used.T, residuals.T, targets.T, weights.T, strict=True):
            exact = [[Fraction(value) for value in array[mask].tolist()] for array in (residual, target, weight)]
            squares += sum(w * r * r for r, _, w in zip(*exact, strict=True))
            if divisor := sum(exact[2]):
                mean = sum(t * w for _, t, w in zip(*exact, strict=True)) / divisor
                spread += sum(w * (t - mean) ** 2 for _, t, w in zip(*exact, strict=True))
        return rounded(1 - squares / spread) if spread else math.nan
