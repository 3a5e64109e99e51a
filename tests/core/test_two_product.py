"""The error-free product. Expected values are `fractions.Fraction` arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from msecli.core.wide import two_product

MODERATE = st.floats(min_value=1e-100, max_value=1e100).flatmap(lambda x: st.sampled_from([x, -x, 0.0]))


@given(st.lists(st.tuples(MODERATE, MODERATE), min_size=1))
@example([(1.0 + 2.0**-52, 1.0 - 2.0**-53), (2.0**27 + 1, 2.0**27 + 1), (1e9 + 0.1, 1e9 + 0.1)])
def test_high_and_low_are_the_exact_product(pairs: list[tuple[float, float]]) -> None:
    high, low = two_product(np.array([a for a, _ in pairs]), np.array([b for _, b in pairs]))
    assert [Fraction(h) + Fraction(tail) for h, tail in zip(high.tolist(), low.tolist(), strict=True)] == [
        Fraction(a) * Fraction(b) for a, b in pairs
    ]


@given(MODERATE, MODERATE)
def test_high_is_the_rounded_product(a: float, b: float) -> None:
    high, low = two_product(np.array([a]), np.array([b]))
    assert high[0] == a * b
    assert abs(low[0]) <= 0.5 * np.spacing(abs(high[0]))


@pytest.mark.parametrize(("a", "b"), [(1e200, 1e200), (np.inf, 2.0), (-np.inf, 2.0), (np.nan, 1.0)])
def test_a_product_that_is_not_finite_has_no_low_part(a: float, b: float) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        high, low = two_product(np.array([a]), np.array([b]))
    np.testing.assert_array_equal(high, np.array([a]) * b if np.isinf(a) or np.isnan(a) else [np.inf])
    assert low.tolist() == [0.0]


def test_the_factors_are_left_as_they_were() -> None:
    a, b = np.array([1.1, -2.2]), np.array([3.3, 4.4])
    two_product(a, b)
    assert (a.tolist(), b.tolist()) == ([1.1, -2.2], [3.3, 4.4])
