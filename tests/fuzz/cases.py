"""Many numbered random cases in one test, each of which can be run again by itself."""

from __future__ import annotations

import math
import re
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest

SHOWN = 10
"""Kinds of failures that are shown, each by its shortest case."""


class Mismatch(Exception):  # noqa: N818 - no error of the program
    """What msecli did is not what the reference says: in a few words that many cases share, then in detail."""

    def __init__(self, kind: str, detail: object = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


class Near(float):
    """A number whose last bits are not promised."""


def compare(found: Any, expected: Any, what: str = "") -> None:
    """Raise `Mismatch` unless all that is expected was found, as in JSON, where nan and infinities are None."""
    if isinstance(expected, dict):
        for name, value in expected.items():
            compare(found.get(name), value, f"{what} {name}")
    elif isinstance(expected, list):
        if len(found) != len(expected):
            raise Mismatch(f"other number of{what}", f"expected {len(expected)}, found {len(found)}")
        for number, pair in enumerate(zip(found, expected, strict=True)):
            compare(*pair, f"{what} {number}")
    elif isinstance(expected, Near) and found is not None and math.isclose(found, expected, rel_tol=1e-15):
        return
    elif _null(found) != _null(expected):
        raise Mismatch(f"other{what}", f"expected{what} {expected}, found {found}")


def _null(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


@dataclass(frozen=True)
class Fuzz:
    """The cases that the command line of pytest asks for."""

    seed: str
    numbers: Iterable[int]
    test: str

    def run(self, check: Callable[[Random], None], describe: Callable[[Random], str]) -> None:
        """Check all cases, and fail with the shortest of every kind of mismatch.

        Both functions are given the random numbers of the case, and make the same case of them.
        """
        found: dict[str, list[tuple[str, int, str]]] = {}
        for number in self.numbers:
            try:
                check(self._random(number))
            except Mismatch as mismatch:
                kind, detail = mismatch.kind, str(mismatch.detail)
            except Exception as error:  # noqa: BLE001 - a crash is a finding like any other
                kind, detail = f"crash: {type(error).__name__}: {error}", traceback.format_exc(limit=-4)
            else:
                continue
            found.setdefault(_alike(kind), []).append((describe(self._random(number)), number, detail))
        if found:
            pytest.fail(self._report(found), pytrace=False)

    def _random(self, number: int) -> Random:
        return Random(f"{self.seed} {number}")  # noqa: S311 - cases, not secrets

    def _report(self, found: dict[str, list[tuple[str, int, str]]]) -> str:
        count = sum(map(len, found.values()))
        lines = [f"{count} of {len(list(self.numbers))} cases of seed {self.seed} differ from the reference"]
        # What is refused for a wrong reason is refused at least.
        worst_first = sorted(found.items(), key=lambda item: (item[0].startswith("refused"), -len(item[1])))
        for kind, cases in worst_first[:SHOWN]:
            described, number, detail = min(cases, key=lambda case: len(case[0]))
            lines += [
                f"\n{kind}: {len(cases)} times; {', '.join(str(case[1]) for case in cases[:10])}; the shortest:",
                described,
                detail.strip(),
                f"again: python -m pytest {self.test} --fuzz-seed {self.seed} --fuzz-case {number}",
            ]
        left = len(found) - SHOWN
        return "\n".join([*lines, f"\nand {left} more kinds" if left > 0 else ""])


def _alike(kind: str) -> str:
    """Return a description without what differs from case to case."""
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'|\"[^\"]*\"|/\S+/", "…", kind)).splitlines()[0][:60]
