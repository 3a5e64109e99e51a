"""From bytes to a request, and the check that all kernels answer it alike: what fuzzing and its corpus share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from msecli.kernel.interface import Dialect, Kernel, Kind, Wanted
from tests.kernel.kernels import bits

OPTIONS = 5
"""The bytes that choose the request; the others are the text, and the numbers to be summed."""

MISSING: tuple[tuple[str, ...], ...] = (("", "NA", "nan"), (), ("", "5", "-1.5"), ("x", "é", "1e5"))
MARKS = ",;\t 5-.ex|"


def request_of(data: bytes) -> tuple[bytes, Dialect, list[Wanted], int, bool]:
    """Return the arguments of a scan, and the place and the flag for finding a border."""
    first, second, third, fourth, fifth = data[:OPTIONS]
    text = data[OPTIONS:]
    width = first % 4 + 1
    dialect = Dialect(
        width,
        delimiter=MARKS[second % len(MARKS)] if second & 128 else ",",
        decimal="..,e"[first >> 6],
        quote="'" if second & 64 else '"',
        comment="#" if third & 2 else None,
        missing=MISSING[third >> 3 & 3],
    )
    kinds = [Kind(fourth >> shift & 3) for shift in (0, 2, 4)][: fourth >> 6]
    columns = sorted((fourth + 7 * place) % width for place in range(len(kinds)))
    wanted = [Wanted(column, kind, ("true", "0")) for column, kind in zip(columns, kinds, strict=True)]
    place = len(text) if fifth & 1 else (fifth >> 2) * max(1, len(text)) // 63
    return text, dialect, wanted, place, bool(fifth & 2)


def differing(data: bytes, kernels: Mapping[str, Kernel]) -> str | None:
    """Return how the kernels differ on the request that some bytes make; None if they agree."""
    if len(data) < OPTIONS:
        return None
    text, dialect, wanted, place, last = request_of(data)
    numbers = np.frombuffer(text[: len(text) // 8 * 8], dtype=np.float64)
    codes = np.arange(numbers.size, dtype=np.int64) % 3
    half = numbers.size // 2

    def answers(kernel: Kernel) -> dict[str, object]:
        return {
            "scan": bits(kernel.scan(text, dialect, wanted)),
            "border": kernel.border(text, dialect, place, last=last),
            "exact_sum": bits(kernel.exact_sum(numbers)),
            "squared_error": bits(kernel.squared_error(numbers[:half], numbers[half : 2 * half])),
            "sums_by_slot": bits(kernel.sums_by_slot(numbers, codes, 3)),
            "squared_error_by_slot": bits(
                kernel.squared_error_by_slot(numbers[:half], numbers[half : 2 * half], None, codes[:half], 3)
            ),
        }

    found = {name: answers(kernel) for name, kernel in kernels.items()}
    first, *others = found
    for other in others:
        for question, answer in found[first].items():
            if found[other][question] != answer:
                answers_differ = f"{first} says {answer}, {other} {found[other][question]}"
                return f"{question} of {text!r} in {dialect}, {wanted}, {place=}, {last=}: {answers_differ}"
    return None
