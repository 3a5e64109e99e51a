"""Numbers at both ends of float64: gradients, metrics, norms and penalties lose nothing on the way.

Expected values are `fractions.Fraction` arithmetic on the residuals as float64 has them, rounded once where the result
promises that, and within a few units in the last place where it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import msecli

Run = Callable[..., Any]

TINY, HUGE = 5e-324, 1.7976931348623157e308
ANY = st.floats(allow_nan=False, allow_infinity=False)
SIZES = st.floats(min_value=0.0, allow_infinity=False)
ULPS = 4 * 2.0**-53


def rounded(exact: Fraction) -> float:
    """Return the nearest float64, infinite beyond the largest."""
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


def near(found: float, exact: Fraction, relative: float = ULPS) -> bool:
    """Tell whether a result differs from the exact value by a few roundings, or by the smallest subnormal."""
    if not math.isfinite(found):
        return rounded(exact * (1 + Fraction(relative))) == found
    return abs(Fraction(found) - exact) <= max(abs(exact) * Fraction(relative), Fraction(TINY))


def exact_root(exact: Fraction) -> float:
    """Return the correctly rounded square root: an integer root of many bits, made odd where something was cut off."""
    scaled = exact * 4**2000
    whole = math.isqrt(scaled.numerator // scaled.denominator)
    return rounded(Fraction(2 * whole + (whole * whole != scaled), 2**2001))


def table(folder: Path, **columns: Sequence[float]) -> Path:
    """Write a CSV file whose numbers read back to the same float64."""
    path = folder / "table.csv"
    rows = zip(*columns.values(), strict=True)
    path.write_text(",".join(columns) + "\n" + "".join(",".join(map(repr, row)) + "\n" for row in rows))
    return path


def exact_gradient(p: Sequence[float], t: Sequence[float], w: Sequence[float]) -> list[Fraction]:
    divisor = sum(map(Fraction, w))
    return [2 * Fraction(x) * Fraction(a - b) / divisor for a, b, x in zip(p, t, w, strict=True)]


GRADIENTS = {
    "the sum of the weights overflows": ([1.1, 2.2], [1.0, 2.0], [HUGE, HUGE]),
    "that sum and the products overflow": ([11.0, 22.0], [1.0, 2.0], [1.7e308, 1.7e308]),
    "the products overflow": ([1e200, 1e150], [0.0, 0.0], [1e200, 3e200]),
    "the products underflow": ([1e-200, 3e-200], [0.0, 0.0], [1e-200, 1e-200]),
    "the weights are subnormal": ([1.5, -2.5], [1.0, 2.0], [1e-310, 3e-310]),
    "one weight is the smallest number": ([1.5], [1.0], [TINY]),
    "twice the error overflows": ([HUGE, 1.0], [0.0, 0.5], [1.0, 3.0]),
    "subnormal errors": ([1e-310, TINY], [0.0, 0.0], [0.1, 0.3]),
    "both ends in one file": ([1e300, 1e-300, 5.0], [0.0, 0.0, 4.0], [1e-300, 1e300, 1.0]),
}


@pytest.mark.parametrize(("p", "t", "w"), GRADIENTS.values(), ids=GRADIENTS)
def test_the_gradient_is_right_to_within_its_roundings(
    run: Run, tmp_path: Path, p: list[float], t: list[float], w: list[float]
) -> None:
    expected = exact_gradient(p, t, w)
    module = msecli.MSELoss(weight=w)
    module(p, t)
    ran = run("compute", table(tmp_path, pred=p, target=t, w=w), "-w", "w", "--grad", tmp_path / "grad.npy")
    assert (ran.code, ran.err) == (0, "")
    for gradient in (msecli.mse_loss_grad(p, t, weight=w), module.backward()[0], np.load(tmp_path / "grad.npy")):
        assert all(near(g, e) for g, e in zip(gradient.tolist(), expected, strict=True)), gradient


@given(st.lists(st.tuples(ANY, SIZES.filter(bool)), min_size=1, max_size=5))
def test_any_gradient_is_right_to_within_its_roundings(pairs: list[tuple[float, float]]) -> None:
    p, w = [p for p, _ in pairs], [w for _, w in pairs]
    gradient = msecli.mse_loss_grad(p, np.zeros(len(p)), weight=w).tolist()
    assert all(near(g, e) for g, e in zip(gradient, exact_gradient(p, [0.0] * len(p), w), strict=True))


def test_long_files_with_some_extreme_weights_have_every_gradient_in_its_place(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    p, t, w = rng.normal(size=(300_000, 2)), rng.normal(size=(300_000, 2)), rng.random((300_000, 2))
    w[150_000, 1], w[299_999, 0] = 1e306, 1e-310
    names = [tmp_path / f"{name}.npy" for name in ("p", "t", "w", "grad", "negative")]
    for name, array in zip(names, (p, t, w), strict=False):
        np.save(name, array)
    options = ["--weight-file", names[2], "--grad", names[3], "--grad-target", names[4]]
    ran = run("compute", *names[:2], "-r", "sum", *options)
    assert (ran.code, ran.err) == (0, "")
    # A sum is divided by nothing, so NumPy loses nothing either.
    assert np.array_equal(np.load(names[3]), 2 * (p - t) * w)
    assert np.array_equal(np.load(names[4]), 0.0 - 2 * (p - t) * w)


@pytest.mark.parametrize(
    ("x", "t", "w"),
    [
        ([1.0, 2.0], [1.5, 1.0], [1.7e308, 1.7e308]),
        ([1e200, 3e200], [1e200, 2e200], [1e200, 1e200]),
        ([1e-200, 3e-200], [1e-200, 1e-200], [1e-200, 1e-200]),
        ([2.0, 3.0], [1.0, 1.0], [1e-310, 3e-310]),
    ],
    ids=["divisor", "overflow", "underflow", "subnormal weights"],
)
def test_the_gradient_of_a_model_is_right_to_within_its_roundings(
    run: Run, tmp_path: Path, x: list[float], t: list[float], w: list[float]
) -> None:
    residuals = [2.0 * a - b for a, b in zip(x, t, strict=True)]
    divisor = sum(map(Fraction, w))
    terms = [2 * Fraction(v) * Fraction(r) for v, r in zip(w, residuals, strict=True)]
    coef = sum((d * Fraction(a) for d, a in zip(terms, x, strict=True)), Fraction(0)) / divisor
    intercept = sum(terms, Fraction(0)) / divisor
    result = msecli.linear_loss(x, t, [2.0], [0.0], weight=w)
    assert result.grad_intercept is not None
    found = [(result.grad_coef, result.grad_intercept)]
    np.save(tmp_path / "coef.npy", [2.0])
    np.save(tmp_path / "intercept.npy", [0.0])
    outputs = [tmp_path / "grad_coef.npy", tmp_path / "grad_intercept.npy"]
    model = ["--coef", tmp_path / "coef.npy", "--intercept", tmp_path / "intercept.npy"]
    options = ["-x", "x", "-t", "y", "-w", "w", *model, "--grad-coef", outputs[0], "--grad-intercept", outputs[1]]
    ran = run("linear", table(tmp_path, x=x, y=t, w=w), *options)
    assert (ran.code, ran.err) == (0, "")
    found.append((np.load(outputs[0]), np.load(outputs[1])))
    for in_coef, in_intercept in found:
        assert near(in_coef[0], coef)
        assert near(in_intercept[0], intercept)


def exact_r2(p: Sequence[float], t: Sequence[float], w: Sequence[float]) -> float:
    weights, targets = list(map(Fraction, w)), list(map(Fraction, t))
    residuals = [Fraction(a - b) for a, b in zip(p, t, strict=True)]
    mean = sum((v * b for v, b in zip(weights, targets, strict=True)), Fraction(0)) / sum(weights)
    spread = sum((v * (b - mean) ** 2 for v, b in zip(weights, targets, strict=True)), Fraction(0))
    errors = sum((v * r**2 for v, r in zip(weights, residuals, strict=True)), Fraction(0))
    return math.nan if spread == 0 else rounded(1 - errors / spread)


R2 = {
    "tiny targets": ([1.1e-161, 2e-161, 3e-161], [1e-161, 2e-161, 3e-161], None),
    "tiny and constant": ([1.1e-170, 2e-170], [1e-170, 1e-170], None),
    "large targets": ([1e300, 2e300, 3.5e300], [1e300, 2e300, 3e300], None),
    "subnormal targets": ([1e-310, 2e-310, 4e-310], [1e-310, 2e-310, 3e-310], None),
    "constant, subnormal weights": ([1.0, 2.0], [3.3, 3.3], [1e-310, 3e-310]),
    "subnormal weights": ([1.0, 2.0], [3.3, 1.7], [1e-310, 3e-310]),
    "large weights": ([1.0, 2.0, 2.5], [1.1, 2.0, 3.0], [1e308, 1e308, 1e300]),
    "all at once": ([1e154, 1e-170, 3.0], [2e154, 1e-160, 2.0], [1e-300, 1e300, 1.0]),
}


@pytest.mark.parametrize(("p", "t", "w"), R2.values(), ids=R2)
def test_r2_is_correctly_rounded(tmp_path: Path, p: list[float], t: list[float], w: list[float] | None) -> None:
    path = table(tmp_path, pred=p, target=t, w=[1.0] * len(p) if w is None else w)
    result = msecli.score(path, pred="pred", target="target", weight=None if w is None else "w", metrics="r2")
    np.testing.assert_equal(result.metrics["r2"], exact_r2(p, t, [1.0] * len(p) if w is None else w))


RESIDUALS = {
    "tiny": [1e-170, 2e-170],
    "subnormal": [3e-310, TINY],
    "large": [1e200, 2e200],
    "the largest": [HUGE, HUGE],
    "both ends": [1e200, 1e-200, 1.0],
    "ordinary": [3.0, -4.0, 0.0],
    "nothing": [0.0, 0.0],
}


@pytest.mark.parametrize("residuals", RESIDUALS.values(), ids=RESIDUALS)
def test_residual_norms_are_those_of_the_norm_command(run: Run, tmp_path: Path, residuals: list[float]) -> None:
    path = table(tmp_path, pred=residuals, target=[0.0] * len(residuals))
    metrics = ("l1", "l2", "lp:1", "lp:2", "lp:1.5", "lp:3", "lp:100", "lp:1e6", "lp:1e300", "linf")
    found = msecli.score(path, metrics=metrics).metrics
    vector = table(tmp_path, x=residuals)
    ran = run("norm", vector, "--ord", "1,2,1.5,3,100,1e6,1e300,inf")
    assert (ran.code, ran.err) == (0, "")
    one, two, *others, largest = (float(line.split("\t")[1]) for line in ran.out.splitlines())
    assert [found[name] for name in ("l1", "lp:1", "l2", "lp:2", "linf")] == [one, one, two, two, largest]
    assert [found[f"lp:{order}"] for order in ("1.5", "3", "100", "1e6", "1e300")] == others
    assert two == exact_root(sum((Fraction(r) ** 2 for r in residuals), Fraction(0)))
    for order, value in zip((1.5, 3, 100, 1e6, 1e300), others, strict=True):
        assert value == msecli.vector_norm(residuals, ord=order)


@given(st.lists(ANY, min_size=1, max_size=8), st.sampled_from([1.5, 3, 4, 17]))
def test_norms_of_other_orders_are_within_a_few_units_in_the_last_place(values: list[float], order: float) -> None:
    found = msecli.vector_norm(values, ord=order)
    # Orders in halves: the square of the power sum is compared, so that all exponents are integers.
    scale = max(map(abs, values))
    exact = sum((Fraction(abs(v)) / Fraction(scale)) ** int(order) for v in values) if scale and order > 2 else None
    if exact is None:
        expected = scale * float(sum((abs(v) / scale) ** order for v in values)) ** (1 / order) if scale else 0.0
        assert found == pytest.approx(expected, rel=1e-14, abs=TINY)
    else:
        low, high = (Fraction(found) * (1 + sign * Fraction(2.0**-50)) for sign in (-1, 1)) if found < math.inf else (
            Fraction(HUGE) * (1 - Fraction(2.0**-50)), Fraction(HUGE) * 2
        )  # fmt: skip
        power = exact * Fraction(scale) ** int(order)
        spare = Fraction(TINY)
        assert max(low - spare, Fraction(0)) ** int(order) <= power <= (high + spare) ** int(order)


@pytest.mark.parametrize("order", ["2", "3", "1.1", "100", "1e6"])
def test_a_residual_norm_does_not_depend_on_how_the_rows_are_cut(tmp_path: Path, order: str) -> None:
    rng = np.random.default_rng(5)
    values = rng.normal(size=400_000) * 10.0 ** rng.choice([-200, -3, 0, 0, 0, 2], 400_000)
    forwards, backwards, zeros = (tmp_path / f"{name}.npy" for name in ("forwards", "backwards", "zeros"))
    for path, array in ((forwards, values), (backwards, values[::-1]), (zeros, np.zeros(values.size))):
        np.save(path, array)
    ways: list[dict[str, Any]] = [{}, {"jobs": 1}, {"batch_size": 1237}]
    results = [
        msecli.score(path, zeros, metrics=f"lp:{order}", **way) for path in (forwards, backwards) for way in ways
    ]
    assert {result.metrics[f"lp:{order}"] for result in results} == {msecli.vector_norm(values, ord=float(order))}


@given(st.lists(ANY, min_size=1, max_size=8), st.floats(min_value=0.0, allow_infinity=False))
def test_penalties_are_correctly_rounded(values: list[float], factor: float) -> None:
    exact = [Fraction(value) for value in values]
    assert msecli.penalty(values, l2=factor) == rounded(Fraction(factor) * sum((x * x for x in exact), Fraction(0)))
    assert msecli.penalty(values, l1=factor) == rounded(Fraction(factor) * sum(map(abs, exact), Fraction(0)))
