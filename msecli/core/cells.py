"""The exact content of a state, and how it is written in JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from msecli.core.exact import UNIT_EXPONENT, Total
from msecli.tuples import NamedTuple

WRITTEN = re.compile(r"(-?(?:0|[1-9]\d*))(?:\*2\^(-?\d{1,7}))?", re.ASCII)
"""A sum: an integer times a power of two."""
SPECIAL = ("nan", "inf", "-inf")

LONGEST = 4_000
"""The digits of a sum, at most; sums of products of three float64 have fewer than 2,500."""


class Cells(NamedTuple):
    """The exact content of a state.

    Parameters
    ----------
    rows, rows_used : list of int
        By group.
    counts : mapping of str to list of list of int
        The ledger's counts of elements, by group and column.
    largest : mapping of str to list of list of float
        By group and column.
    sums : mapping of str to list of dict
        By group and column, in this order; `WideSum.by_step` says what they are.
    """

    rows: list[int]
    rows_used: list[int]
    counts: dict[str, list[list[int]]]
    largest: dict[str, list[list[float]]]
    sums: dict[str, list[dict[int, Total]]]

    @property
    def columns(self) -> int:
        """The number of cells of a group."""
        return len(next(iter(self.counts.values()))[0]) if self.rows else 1

    def pooled(self) -> Cells:
        """Return the content of a state with all rows in one group."""
        width = self.columns
        return Cells(
            [sum(self.rows)],
            [sum(self.rows_used)],
            {name: [list(map(sum, zip(*rows, strict=True)))] for name, rows in self.counts.items()},
            {name: [list(map(_largest, zip(*rows, strict=True)))] for name, rows in self.largest.items()},
            {term: [_added(slots[column::width]) for column in range(width)] for term, slots in self.sums.items()},
        )

    def to_json(self) -> list[dict[str, Any]]:
        """Return the groups in the shape of JSON, each with its columns."""
        return [
            {
                "rows": self.rows[group],
                "rows_used": self.rows_used[group],
                "columns": [self._cell(group, column) for column in range(self.columns)],
            }
            for group in range(len(self.rows))
        ]

    def _cell(self, group: int, column: int) -> dict[str, Any]:
        slot = group * self.columns + column
        largest = {name: written_number(values[group][column]) for name, values in self.largest.items()}
        return {
            "counts": {name: counts[group][column] for name, counts in self.counts.items()},
            "sums": {term: written_steps(by_slot[slot]) for term, by_slot in self.sums.items()},
            **({"largest": largest} if largest else {}),
        }

    @classmethod
    def of_json(cls, groups: Sequence[Mapping[str, Any]]) -> Cells:
        """Return the content that `to_json` has written.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is another.
        """
        cells = [column for group in groups for column in group["columns"]]
        width = len(cells) // len(groups) if groups else 1
        if any(len(group["columns"]) != width for group in groups):
            raise ValueError("the groups have different numbers of columns")

        def by_group(kind: str) -> dict[str, list[list[Any]]]:
            names = list(cells[0].get(kind, ())) if cells else []
            flat = {name: [cell[kind][name] for cell in cells] for name in names}
            return {
                name: [values[start : start + width] for start in range(0, len(cells), width)]
                for name, values in flat.items()
            }

        counts = {name: [list(map(whole, row)) for row in rows] for name, rows in by_group("counts").items()}
        largest = {name: [list(map(read_number, row)) for row in rows] for name, rows in by_group("largest").items()}
        sums = {
            term: [read_steps(written) for row in rows for written in row] for term, rows in by_group("sums").items()
        }
        rows, used = ([whole(group[name]) for group in groups] for name in ("rows", "rows_used"))
        return cls(rows, used, counts, largest, sums)


def _largest(values: Sequence[float]) -> float:
    """Return the largest of some values; Python's max would lose a NaN."""
    return next((value for value in values if math.isnan(value)), max(values))


def _added(slots: Sequence[Mapping[int, Total]]) -> dict[int, Total]:
    found: dict[int, Total] = {}
    for parts in slots:
        for step, total in parts.items():
            found[step] = found[step] + total if step in found else total
    return found


def written_sum(total: Total) -> str:
    """Return a sum as text: an odd integer times a power of two.

    Examples
    --------
    >>> written_sum(Total(3 << 1074)), written_sum(Total(1)), written_sum(Total(0, float("inf")))
    ('3', '1*2^-1074', 'inf')
    """
    if total.special != 0:
        return repr(total.special)
    if total.units == 0:
        return "0"
    zeros = (total.units & -total.units).bit_length() - 1
    exponent = UNIT_EXPONENT - total.finer + zeros
    odd = total.units >> zeros
    return str(odd << exponent) if 0 <= exponent <= -UNIT_EXPONENT else f"{odd}*2^{exponent}"


def read_sum(text: Any) -> Total:
    """Return the sum that `written_sum` has written.

    Examples
    --------
    >>> read_sum("5*2^-1") == Total(5 << 1073)
    True

    Raises
    ------
    ValueError
        For any other text.
    """
    if text in SPECIAL:
        return Total(0, float(text))
    found = WRITTEN.fullmatch(text) if isinstance(text, str) and len(text) < LONGEST else None
    if found is None:
        raise ValueError(f"{str(text)[:40]!r} is not a sum")
    exponent = int(found[2] or 0)
    shift = exponent - UNIT_EXPONENT
    return Total(int(found[1]) << shift) if shift >= 0 else Total(int(found[1]), finer=-shift)


def written_steps(parts: Mapping[int, Total]) -> Any:
    """Return what `WideSum.by_step` says of a slot in the shape of JSON: a text, or several by their steps."""
    if set(parts) <= {0}:
        return written_sum(parts.get(0, Total(0)))
    return {str(step): written_sum(total) for step, total in parts.items()}


def read_steps(written: Any) -> dict[int, Total]:
    """Return what `written_steps` has written."""
    parts = written.items() if isinstance(written, Mapping) else [("0", written)]
    return {int(step): read_sum(text) for step, text in parts}


def written_number(value: float) -> float | str:
    """Return a number for JSON, which has no infinities."""
    return value if math.isfinite(value) else repr(value)


def read_number(value: Any) -> float:
    """Return the number that `written_number` has written."""
    if isinstance(value, bool) or not (isinstance(value, int | float) or value in SPECIAL):
        raise ValueError(f"{value!r} is not a number")
    return float(value)


def whole(value: Any) -> int:
    """Return a count."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(f"{value!r} is not a count")
    return value
