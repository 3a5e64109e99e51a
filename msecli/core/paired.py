"""The table of paired tests of whether the mean difference between the losses of two systems is more than noise.

The command line reads this table for its help, so this module must not import NumPy.

References
----------
S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian J. Statistics 6(2), 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from msecli.tuples import NamedTuple


class Settings(NamedTuple):
    """What the tests depend on.

    Parameters
    ----------
    confidence : float
    resamples, seed : int
        Of the bootstrap and of random signs.
    horizon : int
        How many steps ahead the forecasts were made that `dm` compares.
    """

    confidence: float = 0.95
    resamples: int = 1000
    seed: int = 0
    horizon: int = 1


class Test(NamedTuple):
    """A line of the `TESTS` table.

    Parameters
    ----------
    name, meaning : str
    settings : tuple of str
        The settings that it depends on, besides the confidence.
    interval, p_value : bool
        Whether it gives one.
    clusters : bool
        Whether rows may be in clusters.
    ordered : bool
        Whether it needs every row, in order, and one element in each, without weights.
    """

    name: str
    meaning: str
    settings: tuple[str, ...] = ()
    interval: bool = True
    p_value: bool = True
    clusters: bool = True
    ordered: bool = False


TESTS: dict[str, Test] = {
    test.name: test
    for test in (
        Test("t", "Student's paired t-test"),
        Test("bootstrap", "rows drawn with replacement, percentile interval", ("resamples", "seed")),
        Test("permutation", "random signs of the differences", ("resamples", "seed"), interval=False),
        Test(
            "dm",
            "Diebold-Mariano for forecasts, corrected by Harvey, Leybourne and Newbold",
            ("horizon",),
            clusters=False,
            ordered=True,
        ),
        Test("none", "no test", interval=False, p_value=False, clusters=False),
    )
}


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's method; nan stays and does not count.

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03, math.nan])
    [0.03, 0.06, 0.06, nan]
    """
    found = sorted((p, number) for number, p in enumerate(p_values) if not math.isnan(p))
    adjusted, largest = list(p_values), 0.0
    for rank, (p, number) in enumerate(found):
        largest = max(largest, min(1.0, (len(found) - rank) * p))
        adjusted[number] = largest
    return adjusted
