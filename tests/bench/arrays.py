"""Time the functions on arrays in memory beside the plain NumPy expressions, in one process.

    python tests/bench/arrays.py

Prints a Markdown table of the best of some repetitions, which other work on the machine disturbs least.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from timeit import repeat

import numpy as np

import msecli

SIZES = (10, 1000, 100_000, 10_000_000)
ELEMENTS = 2_000_000
"""Computed in each repetition, but at least once and at most CALLS times."""
CALLS, REPETITIONS = 2000, 7


def expressions(size: int) -> Iterator[tuple[str, Callable[[], object], Callable[[], object]]]:
    """Yield the name of a function, a call of it, and the NumPy expression for the same."""
    prediction, target = np.random.default_rng(0).normal(size=(2, size))
    yield "mse_loss", lambda: msecli.mse_loss(prediction, target), lambda: np.mean((prediction - target) ** 2)
    yield (
        "mse_loss_grad",
        lambda: msecli.mse_loss_grad(prediction, target),
        lambda: (prediction - target) * (2 / prediction.size),
    )


def microseconds(call: Callable[[], object], size: int) -> float:
    """Return how long a call takes."""
    number = max(1, min(CALLS, ELEMENTS // size))
    return min(repeat(call, number=number, repeat=REPETITIONS)) / number * 1e6


def main() -> None:
    """Print the table."""
    write = sys.stdout.write
    write("| function | elements | msecli µs | NumPy µs | msecli / NumPy |\n|---|--:|--:|--:|--:|\n")
    for size in SIZES:
        for name, ours, numpys in expressions(size):
            mine, theirs = microseconds(ours, size), microseconds(numpys, size)
            write(f"| `{name}` | {size:,} | {mine:,.0f} | {theirs:,.0f} | {mine / theirs:.2f} |\n")


if __name__ == "__main__":
    main()
