"""The exact sum. Expected values are exact arithmetic: `fractions.Fraction`, Python integers, and `math.fsum`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from random import Random
from threading import Thread

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msecli.arrays import FloatArray, IntArray
from msecli.core.exact import BLOCK, MERGES_BEFORE_CARRY, ONE, UNIT_EXPONENT, ExactSum, Total, ratio, root, units_of
from msecli.kernel.interface import WIDTH
from msecli.kernel.python_sums import LARGEST, SPAN

MAX = math.ldexp(2.0 - 2.0**-52, 1023)
TINY = 5e-324
FINITE = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(min_value=-1e-290, max_value=1e-290),
    st.floats(min_value=1e300),
    st.floats(max_value=-1e300),
    st.builds(math.ldexp, st.sampled_from([1.0, -1.0, 1.0 + 2.0**-52, -2.0 + 2.0**-52]), st.integers(-1074, 1022)),
).filter(math.isfinite)
LISTS = st.lists(FINITE, max_size=40)
WHOLE_NUMBERS = st.one_of(st.integers(0, 2**70), st.integers(0, 2**2200), st.integers(0, 2200).map(lambda k: 1 << k))
DENOMINATORS = st.one_of(st.integers(1, 2**70), st.integers(1, 2**1200), st.integers(0, 2200).map(lambda k: 1 << k))


def units(values: Sequence[float]) -> int:
    """Return the sum of finite values in units of 2**-1074, by exact fractions."""
    total = sum(map(Fraction, values), Fraction(0)) * 2**1074
    assert total.denominator == 1
    return total.numerator


def exact(values: Sequence[float], codes: Sequence[int] | None = None, slots: int = 1) -> ExactSum:
    total = ExactSum(slots)
    total.add(np.array(values, dtype=np.float64), None if codes is None else np.array(codes, dtype=np.int64))
    return total


def wide(size: int, seed: int, exponents: int = 60) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.ldexp(rng.standard_normal(size), rng.integers(-exponents, exponents, size))


def midpoints(result: float) -> tuple[Fraction, Fraction]:
    """Return the borders of the interval that rounds to a result >= 0; beyond the largest float64 comes 2**1024."""
    if math.isinf(result):
        return Fraction(2**1024 - 2**970), Fraction(2**5000)
    above = math.nextafter(result, math.inf)
    upper = Fraction(2**1024) if math.isinf(above) else Fraction(above)
    lower = Fraction(math.nextafter(result, -math.inf))
    return (lower + Fraction(result)) / 2, (upper + Fraction(result)) / 2


def assert_nearest(result: float, compare: Callable[[Fraction], int]) -> None:
    """Check round-half-even; `compare` gives a number with the sign of the true value minus its argument."""
    low, high = (compare(point) for point in midpoints(result))
    assert low >= 0 >= high
    if (low == 0 or high == 0) and math.isfinite(result):
        assert int(np.float64(result).view(np.int64)) % 2 == 0


@settings(deadline=None, max_examples=300)
@given(LISTS)
@example([TINY, -TINY, TINY])
@example([MAX, MAX, -MAX, TINY])
@example([1e300, 1.0, 1e-300, -1e300])
@example([LARGEST, -math.nextafter(LARGEST, 0.0), 1.0])
def test_a_sum_of_any_finite_values_is_that_of_fractions(values: list[float]) -> None:
    assert exact(values).total().units == units(values)


@settings(deadline=None)
@given(LISTS)
def test_the_value_of_a_sum_is_correctly_rounded(values: list[float]) -> None:
    assert exact(values).total().value() == ratio(units(values), ONE)


@settings(deadline=None, max_examples=200)
@given(LISTS, st.lists(st.integers(0, 40), max_size=6), st.randoms(use_true_random=False))
def test_any_split_order_and_merge_gives_the_same_total(values: list[float], cuts: list[int], random: Random) -> None:
    expected = exact(values).totals()
    shuffled = values.copy()
    random.shuffle(shuffled)
    borders = [0, *sorted(cuts), len(values)]
    parts = [exact(shuffled[start:stop]) for start, stop in pairwise(borders)]
    while len(parts) > 1:
        part = parts.pop(random.randrange(len(parts)))
        parts[random.randrange(len(parts))].merge(part)
    assert parts[0].totals() == expected


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(FINITE, st.integers(0, 4)), max_size=40))
def test_each_slot_has_the_sum_of_its_own_values(pairs: list[tuple[float, int]]) -> None:
    totals = exact([value for value, _ in pairs], [code for _, code in pairs], slots=5).totals()
    expected = [units([value for value, code in pairs if code == slot]) for slot in range(5)]
    assert [total.units for total in totals] == expected


@settings(deadline=None)
@given(st.lists(st.tuples(FINITE, st.integers(0, 2)), max_size=30), st.lists(st.tuples(FINITE, st.integers(0, 2))))
def test_slots_merge_slot_by_slot(first: list[tuple[float, int]], second: list[tuple[float, int]]) -> None:
    merged, whole = ExactSum(3), ExactSum(3)
    for pairs in (first, second):
        merged.merge(exact([value for value, _ in pairs], [code for _, code in pairs], slots=3))
    both = first + second
    whole.add(np.array([value for value, _ in both]), np.array([code for _, code in both], dtype=np.int64))
    assert merged.totals() == whole.totals()


@settings(deadline=None)
@given(st.lists(st.lists(st.tuples(FINITE, st.integers(0, 9)), min_size=1, max_size=10), max_size=6))
def test_slots_that_are_met_one_by_one_are_grown_and_merged_where_they_belong(
    parts: list[list[tuple[float, int]]],
) -> None:
    merged, place = ExactSum(0), dict[int, int]()
    for part in parts:
        local = {label: code for code, label in enumerate({label for _, label in part})}
        here = np.array([place.setdefault(label, len(place)) for label in local], dtype=np.int64)
        merged.grow(len(place))
        merged.merge(exact([value for value, _ in part], [local[label] for _, label in part], len(local)), here)
    everything = [pair for part in parts for pair in part]
    expected = {label: units([value for value, other in everything if other == label]) for label in place}
    totals = merged.totals()
    assert len(totals) == len(place)
    assert {label: totals[slot].units for label, slot in place.items()} == expected


def test_the_total_of_slots_is_the_sum_over_all_of_them() -> None:
    total = exact([1e16, 1.0, 1.0, -3.0], [0, 1, 1, 2], slots=4).total()
    assert total == Total(units([1e16, 1.0, 1.0, -3.0]))


def test_powers_of_two_and_their_neighbours_are_summed_exactly() -> None:
    for exponent in range(-1074, 1024):
        power = math.ldexp(1.0, exponent)
        below, above = math.nextafter(power, 0.0), math.nextafter(power, math.inf)
        cases = ([power], [below], [above], [power, below, above], [-power, -below, -above], [power, -below, 1.0, -0.1])
        assert [exact(case).total().units for case in cases] == [units(case) for case in cases], exponent


def test_the_borders_of_all_levels_together_are_summed_exactly() -> None:
    powers = [math.ldexp(1.0, exponent) for exponent in range(-1074, 1024)]
    values = [near for power in powers for near in (power, math.nextafter(power, 0.0), -power / 3)]
    assert exact(values).total().units == units(values)


@pytest.mark.parametrize("level", range(1, (970 - UNIT_EXPONENT) // WIDTH + 1))
def test_values_half_way_between_two_steps_of_the_ladder_lose_nothing(level: int) -> None:
    step = math.ldexp(1.0, UNIT_EXPONENT + WIDTH * level)
    values = [0.5 * step, -0.5 * step, 1.5 * step, 2.5 * step, -3.5 * step, (2.0**WIDTH - 0.5) * step]
    slots = ExactSum()
    slots.add(np.array(values), np.zeros(len(values), dtype=np.int64))
    assert exact(values).total().units == slots.total().units == units(values)


@pytest.mark.parametrize("exponent", [-1000, -850, -1, 0, 1, 45, 900, 1000, 1024])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1])
def test_a_full_block_of_the_largest_values_is_summed_exactly(exponent: int, sign: int, size: int) -> None:
    # Just below a power of two every value is rounded up to 2**SPAN units, so that 2**17 of them have 2**62.
    value = sign * math.ldexp(1.0 - 2.0**-53, exponent)
    assert exact([value] * size).total().units == size * units_of(value)


@pytest.mark.parametrize("exponent", [-880, -300, 0, 300])
def test_values_half_way_between_two_units_of_the_largest_lose_nothing(exponent: int) -> None:
    unit = math.ldexp(1.0, exponent - SPAN)
    values = [
        math.ldexp(1.0, exponent - 1),
        *(sign * (k + 0.5) * unit for k in range(9) for sign in (1, -1, 1)),
        unit / 3,
    ]
    assert exact(values).total().units == units(values)


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 131_072, 131_073, 300_000])
def test_blocks_of_any_size_are_summed_exactly(size: int) -> None:
    values = wide(size, seed=size)
    assert exact(values.tolist()).total().value() == math.fsum(values)


def test_a_large_array_of_mixed_magnitudes_has_the_sum_of_fractions() -> None:
    values = np.concatenate([wide(140_000, seed=1, exponents=300), wide(2_000, seed=2, exponents=1000) * 1e-10])
    values[:100] = TINY
    assert exact(values.tolist()).total().units == sum(map(units_of, values.tolist()))


def test_a_large_array_in_slots_has_the_sums_of_its_parts() -> None:
    values, codes = wide(200_000, seed=3), np.random.default_rng(4).integers(0, 7, 200_000)
    total = ExactSum(7)
    total.add(values.copy(), codes)
    assert [slot.value() for slot in total.totals()] == [math.fsum(values[codes == slot]) for slot in range(7)]


def test_sparse_leftovers_are_added_to_their_slots() -> None:
    values, codes = np.ones(BLOCK), np.arange(BLOCK, dtype=np.int64) % 3
    values[5::1000] = 1.0 + 2.0**-52
    values[7::997] = TINY
    total = ExactSum(3)
    total.add(values.copy(), codes)
    expected = [sum(map(units_of, values[slot::3].tolist())) for slot in range(3)]
    assert [slot.units for slot in total.totals()] == expected


def test_values_of_the_most_bits_are_not_too_many_for_one_float_sum() -> None:
    # 300 001 odd multiples of a step, just below 2**36 of them each, need 55 bits.
    value, size = math.ldexp(2.0**WIDTH - 1, UNIT_EXPONENT + 30 * WIDTH), 300_001
    slots = ExactSum(2)
    slots.add(np.full(size, value), np.ones(size, dtype=np.int64))
    assert exact([value] * size).total().units == slots.totals()[1].units == size * units_of(value)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("codes", [None, np.zeros(BLOCK, dtype=np.int64)], ids=["plain", "codes"])
def test_more_full_blocks_than_an_int64_can_add_stay_exact(sign: int, codes: IntArray | None) -> None:
    value, blocks = sign * math.ldexp(2.0**WIDTH - 1, UNIT_EXPONENT + 30 * WIDTH), 1500
    total, part, merged = ExactSum(), ExactSum(), ExactSum()
    for _ in range(blocks):
        total.add(np.full(BLOCK, value), codes)
    part.add(np.full(BLOCK, value), codes)
    for _ in range(blocks):
        merged.merge(part)
    assert total.total().units == merged.total().units == units_of(value) * BLOCK * blocks
    merged.merge(total)
    assert merged.total().units == 2 * units_of(value) * BLOCK * blocks


@pytest.mark.parametrize("sign", [1, -1])
def test_merging_two_states_just_before_their_carry_stays_exact(sign: int) -> None:
    value, blocks = sign * math.ldexp(2.0**WIDTH - 1, UNIT_EXPONENT + 30 * WIDTH), MERGES_BEFORE_CARRY - 1
    states = [ExactSum(), ExactSum()]
    for state in states:
        for _ in range(blocks):
            state.add(np.full(BLOCK, value), np.zeros(BLOCK, dtype=np.int64))
    states[0].merge(states[1])
    assert states[0].total().units == 2 * blocks * BLOCK * units_of(value)


@pytest.mark.parametrize("number", [255, 256, 257, pytest.param(10_001, marks=pytest.mark.slow)])
@pytest.mark.parametrize("values", [[1e300, -7.1], [-1e-3, 3e-200], [-1e16, 1.0, TINY]])
def test_thousands_of_additions_stay_exact(values: list[float], number: int) -> None:
    total = ExactSum()
    for _ in range(number):
        total.add(np.array(values))
    assert total.total().units == number * units(values)


@pytest.mark.parametrize("number", [255, 256, 257, pytest.param(10_001, marks=pytest.mark.slow)])
@pytest.mark.parametrize("values", [[1e300, -7.1], [-1e-3, 3e-200], [-1e16, 1.0, TINY]])
def test_thousands_of_merges_stay_exact(values: list[float], number: int) -> None:
    total, part = ExactSum(2), exact([*values, 2.5], [1] * len(values) + [0], slots=2)
    for _ in range(number):
        total.merge(part)
    assert [slot.units for slot in total.totals()] == [number * units([2.5]), number * units(values)]


def test_values_that_cancel_over_thousands_of_additions_leave_zero() -> None:
    total, values = ExactSum(), wide(1000, seed=5, exponents=900)
    for sign in (1.0, -1.0):
        for _ in range(1000):
            total.add(sign * values)
    assert total.total() == Total(0)


@pytest.mark.parametrize("value", [-1.1, 1e290, -TINY])
def test_a_sum_doubled_three_hundred_times_stays_exact(value: float) -> None:
    total = exact([value, value / 3])
    for _ in range(300):
        other = ExactSum()
        other.merge(total)
        total.merge(other)
    assert total.total().units == units([value, value / 3]) << 300


def test_merging_and_reading_leave_the_other_state_as_it_was() -> None:
    one, other = exact([1.0]), exact([2.0, 1e300, TINY])
    before = other.totals()
    one.merge(other)
    one.add(np.array([5.0]))
    assert other.totals() == before == other.totals()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], math.inf),
        ([1.0, -math.inf, MAX], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.inf, math.inf], math.inf),
        ([math.nan, 1.0], math.nan),
        ([math.inf, math.nan], math.nan),
    ],
)
def test_infinities_and_nan_add_up_as_in_ieee_arithmetic(values: list[float], expected: float) -> None:
    merged = exact(values[:1])
    merged.merge(exact(values[1:]))
    for total in (exact(values).total(), exact(values[::-1]).total(), merged.total()):
        assert total.value() == pytest.approx(expected, nan_ok=True)
        assert total.over(3 * ONE) == pytest.approx(expected, nan_ok=True)


def test_a_special_value_stays_in_its_slot() -> None:
    totals = exact([1.0, math.inf, 0.1, math.nan], [0, 1, 2, 3], slots=4).totals()
    assert [total.value() for total in totals[:3]] == [1.0, math.inf, 0.1]
    assert math.isnan(totals[3].value())


def test_special_values_do_not_disturb_the_finite_ones_beside_them() -> None:
    values = wide(1000, seed=6).tolist()
    assert exact([*values, math.inf, 1e308]).total().units == units([*values, 1e308])


@pytest.mark.slow
def test_a_processor_that_flushes_subnormals_does_not_change_a_sum_of_normal_values() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch, which can switch the processor's mode, is not installed")
    values = np.ldexp(np.random.default_rng(7).uniform(0.5, 1.0, 5000), np.repeat(range(-1020, -20), 5))
    values[::3] *= -1
    found: list[Total] = []

    def flushing() -> None:
        if torch.set_flush_denormal(True):
            assert not np.any(np.full(8, TINY) + 0.0)
            found.append(exact(values.tolist()).total())

    # The mode is that of one thread.
    thread = Thread(target=flushing)
    thread.start()
    thread.join()
    if not found:
        pytest.skip("this processor cannot flush subnormals")
    assert found == [Total(units(values.tolist()))]


def test_nothing_sums_to_zero() -> None:
    assert exact([]).total() == Total(0)
    assert exact([0.0, -0.0]).total() == Total(0)
    assert math.copysign(1.0, exact([-0.0]).total().value()) == 1.0


@given(FINITE)
def test_units_of_is_the_value_in_units_of_the_smallest_subnormal(value: float) -> None:
    assert Fraction(units_of(value), 2**1074) == Fraction(value)


@settings(deadline=None, max_examples=300)
@given(WHOLE_NUMBERS, DENOMINATORS, st.sampled_from([1, -1]))
@example(3, 2**1075, 1)
@example(1, 2**1075, 1)
@example(2**53 + 1, 1, -1)
@example(2**54 + 3, 2, 1)
@example(2**1024 - 2**970, 1, -1)
@example(2**1024 - 2**970 - 1, 1, 1)
def test_a_ratio_is_correctly_rounded(numerator: int, denominator: int, sign: int) -> None:
    result = sign * ratio(sign * numerator, denominator)
    assert_nearest(result, lambda x: numerator * x.denominator - x.numerator * denominator)
    if math.isfinite(result):
        assert result == float(Fraction(numerator, denominator))


@settings(deadline=None, max_examples=300)
@given(WHOLE_NUMBERS, DENOMINATORS)
@example(2**106 - 1, 1)
@example(2**2048 - 1, 1)
@example(1, 2**2148)
@example(1, 2**2149)
def test_a_root_is_correctly_rounded(numerator: int, denominator: int) -> None:
    def compare(x: Fraction) -> int:
        return 1 if x < 0 else numerator * x.denominator**2 - x.numerator**2 * denominator

    assert_nearest(root(numerator, denominator), compare)


@given(st.integers(2**52, 2**53 - 1), st.integers(-500, 500), st.sampled_from([-1, 0, 1]))
def test_a_root_half_way_between_two_floats_goes_to_the_even_one(mantissa: int, exponent: int, nudge: int) -> None:
    middle = Fraction(2 * mantissa + 1) * Fraction(2) ** exponent
    square = middle**2 + nudge * middle**2 / 2**300
    even = mantissa + mantissa % 2 if nudge == 0 else mantissa + (nudge > 0)
    assert root(square.numerator, square.denominator) == math.ldexp(2 * even, exponent)


@given(st.integers(2**52, 2**53 - 1), st.integers(60, 800), st.sampled_from([-1, 0, 1]))
def test_a_root_next_to_half_way_between_two_floats_goes_to_the_nearest(mantissa: int, zeros: int, nudge: int) -> None:
    even = mantissa + mantissa % 2 if nudge == 0 else mantissa + (nudge > 0)
    square = ((2 * mantissa + 1) << zeros) ** 2 + nudge
    assert root(square, 1) == math.ldexp(even, zeros + 1)


@given(st.integers(0, 2**53), st.integers(1, 2**53))
def test_the_root_of_a_squared_fraction_is_the_fraction(numerator: int, denominator: int) -> None:
    assert root(numerator**2, denominator**2) == numerator / denominator


def test_ratios_and_roots_beyond_float64_are_infinite_and_of_nothing_zero() -> None:
    assert ratio(2**1024, 1) == math.inf
    assert ratio(-(2**1024), 1) == -math.inf
    assert ratio(2**1024, -1) == -math.inf
    assert root(2**2048, 1) == math.inf
    assert ratio(0, 7) == root(0, 7) == 0.0
    assert ratio(1, 2**1076) == 0.0


def test_a_total_divides_and_takes_roots_in_units() -> None:
    total = exact([7.0, 3.0]).total()
    assert total.over(4 * ONE) == 2.5
    assert total.root_over(2 * ONE) == math.sqrt(5.0)
    assert (total + Total(0, math.inf)).root_over(ONE) == math.inf
    assert Total(5) + Total(-7) == Total(-2)


def test_a_mean_is_finite_where_the_sum_is_not() -> None:
    total = exact([MAX, MAX, MAX, MAX]).total()
    assert total.value() == math.inf
    assert total.over(4 * ONE) == MAX
