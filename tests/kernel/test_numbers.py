"""Numbers: every kernel reads the float64 that is nearest to the text, as Python's `float` does."""

from __future__ import annotations

import math
import random
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from msecli.kernel.interface import Dialect, Fault, Found, Kernel, Kind, Wanted
from tests.kernel.kernels import KERNELS

NUMBER = [Wanted(0, Kind.NUMBER)]
PLAIN = Dialect(1, missing=())


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest) -> Kernel:
    return KERNELS[request.param]


def read(kernel: Kernel, *texts: str) -> Found:
    scan = kernel.scan("".join(f"{text}\n" for text in texts).encode(), PLAIN, NUMBER)
    assert scan.fault is None
    return scan.columns[0]


def bits(values: object) -> list[int]:
    found: list[int] = np.asarray(values, dtype=np.float64).view(np.int64).tolist()
    return found


def halfway(value: float) -> str:
    """Return the exact decimal digits of the point between a positive number and the next larger one."""
    middle = (Fraction(value) + Fraction(math.nextafter(value, math.inf))) / 2
    digits = middle.denominator.bit_length() - 1
    whole = middle.numerator * 5**digits
    return f"{whole}e-{digits}"


EDGES = [
    *("0", "-0", "0.0", "00", "1.", ".5", "+1.5", "-.5e+1", "1E5", "1e05", "0e999999999999999999999", "-0e-400"),
    *(
        "5e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.2250738585072011e-308",
        "2.2250738585072014e-308",
    ),
    *(
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "4.9406564584124654e-324",
        "1e-400",
        "1e22",
        "1e23",
        "9007199254740993",
    ),
    "0." + "0" * 400 + "1e400",
    "1" + "0" * 400 + "e-400",
    "0" * 30 + "7",
    "0." + "3" * 800,
    "179769313486231580793728971405301e276",
    *(halfway(value) for value in (1.0, 0.1, 1e23, 5e-324, 2.2250738585072014e-308, 9007199254740992.0, 1e300)),
    *(halfway(value) + "1" for value in (5e-324,)),
    *(halfway(value).replace("e", "1e") + "0" for value in (1.0,)),
]


@pytest.mark.parametrize("text", EDGES)
def test_numbers_at_the_edges(kernel: Kernel, text: str) -> None:
    assert bits(read(kernel, text).values) == bits([float(text)])


@pytest.mark.parametrize("seed", range(4))
def test_random_numbers_of_all_sizes_and_lengths(kernel: Kernel, seed: int) -> None:
    make = random.Random(seed)  # noqa: S311 - any numbers will do
    values = [abs(float(np.int64(make.getrandbits(63)).view(np.float64))) for _ in range(800)]
    values = [value for value in values if math.isfinite(value)]
    texts = [f"{value:.{make.randint(0, 40)}{make.choice('eg')}}" for value in values]
    texts += [f"{make.getrandbits(make.randint(1, 200))}e{make.randint(-350, 320)}" for _ in range(400)]
    texts += [f"{make.random():.{make.randint(1, 25)}f}" for _ in range(400)]
    texts += [f"{make.randint(0, 10 ** make.randint(1, 25))}" for _ in range(400)]
    assert bits(read(kernel, *texts).values) == bits([float(text) for text in texts])


@pytest.mark.parametrize("seed", range(2))
def test_numbers_halfway_between_two_and_next_to_it(kernel: Kernel, seed: int) -> None:
    make = random.Random(seed)  # noqa: S311
    texts = []
    for _ in range(150):
        value = math.ldexp(make.getrandbits(53) | 1, make.randint(-1120, 960))
        digits, exponent = halfway(value or 5e-324).split("e")
        texts += [f"{digits}e{exponent}", f"{digits}0001e{int(exponent) - 4}", f"{int(digits) - 1}e{exponent}"]
    assert bits(read(kernel, *texts).values) == bits([float(text) for text in texts])


@settings(max_examples=500, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 20))
@example(5e-324, 16)
def test_shortest_digits_and_rounded_ones_are_read_back(value: float, digits: int) -> None:
    texts = [repr(value), f"{value:.{digits}e}", f"{value:+.17g}"]
    for kernel in KERNELS.values():
        assert bits(read(kernel, *texts).values) == bits([float(text) for text in texts])


@pytest.mark.parametrize("text", ["inf", "-inf", "+Infinity", "INF", "-iNfInItY"])
def test_infinities_are_words_and_no_overflow(kernel: Kernel, text: str) -> None:
    column = read(kernel, text)
    assert bits(column.values) == bits([float(text)])
    assert (column.overflowed, column.rounded) == (0, 0)


@pytest.mark.parametrize("text", ["1e309", "-1e309", "9" * 400, "1e99999999999999999999", "1.7976931348623159e308"])
def test_finite_numbers_that_are_too_large_are_counted(kernel: Kernel, text: str) -> None:
    column = read(kernel, text, "1")
    assert bits(column.values) == bits([float(text), 1.0])
    assert (column.overflowed, column.rounded) == (1, 0)


# 2**53 + 1 is the first integer that is no float64; 2**64 and 2**70 are ones, 10**23 is none.
@pytest.mark.parametrize(
    ("text", "rounded"),
    [
        ("9007199254740992", 0),
        ("9007199254740993", 1),
        ("-9007199254740993", 1),
        ("+009007199254740993", 1),
        ("9007199254740994", 0),
        ("9007199254740993.0", 0),  # written as a decimal, it does not claim to be an integer
        ("9007199254740993e0", 0),
        ("18446744073709551615", 1),
        ("18446744073709551616", 0),
        (str(2**70), 0),
        (str(2**70 + 1), 1),
        ("00" + str(2**1000), 0),
        (str(2**1000 - 1), 1),
        (str(10**22), 0),
        (str(10**23), 1),
        (str(2**53 * 5**30 + 1), 1),
        (str((2**53 + 1) * 2**600), 1),  # halfway between two
        (str((2**53 - 1) * 2**600), 0),
    ],
)
def test_integers_that_are_rounded_are_counted(kernel: Kernel, text: str, rounded: int) -> None:
    column = read(kernel, text)
    assert bits(column.values) == bits([float(text)])
    assert (column.rounded, column.overflowed) == (rounded, 0)
    if text.lstrip("+-").isdecimal():
        assert rounded == (int(text) != int(float(text)))


@pytest.mark.parametrize(
    "text",
    [
        *("x", "1x", "e5", "1e", "1e+", "1e-", ".", "-", "+", "--1", "+-1", "1..2", "1.2.3", "1e5.0", "1e5e5", "1 2"),
        *(
            "0x1F",
            "1_000",
            "1d5",
            "5%",
            "$3",
            "\u0663",
            "\uff11",
            "\u22121",
            "infin",
            "infinit",
            "infinityy",
            "in",
            "i",
            "+",
            "1,5",
        ),
        *("1\x00", "\x001", "1\x0b", "1\u00a0", "True", "nan(ind)", "nanx", "1f", "0b1", "1e\u0661"),
    ],
)
def test_what_is_no_number(kernel: Kernel, text: str) -> None:
    dialect = PLAIN._replace(delimiter=";")
    assert kernel.scan(f"{text}\n".encode(), dialect, NUMBER).fault == Fault("number", 0, 0, 0, 0)


@pytest.mark.slow
@settings(max_examples=1000, deadline=None)
@given(st.text("+-.0123456789eE infaty", min_size=1, max_size=12))
def test_what_is_a_number_is_what_the_grammar_says(text: str) -> None:
    stripped = text.strip(" ")
    grammar = r"[+-]?((\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|(?i:inf|infinity|nan))"
    expected = None if re.fullmatch(grammar, stripped, re.ASCII) is None else float(stripped)
    for kernel in KERNELS.values():
        scan = kernel.scan(f"{text}\n".encode(), PLAIN, NUMBER)
        assert (scan.fault is None) == (expected is not None)
        if expected is not None:
            values = scan.columns[0].values
            assert isinstance(values, np.ndarray)
            assert np.array_equal(values, [expected], equal_nan=True)
