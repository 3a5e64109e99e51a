"""Numbers with marks between thousands, which no kernel reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from msecli import kernel
from msecli.kernel.interface import Dialect, Found, Kind, Wanted
from msecli.text.grammar import NOT_FINITE, Grammar, marks, number_pattern


def grouped_numbers(fields: Sequence[str], grammar: Grammar) -> Found | None:
    """Return the numbers that fields stand for, NaN for empty ones; None if one stands for none."""
    number = f"{number_pattern(grammar.decimal, grammar.thousands)}|(?i:{NOT_FINITE.pattern})"
    known = re.compile(rf"(?:[ \t]*(?:{number})[ \t]*)?")
    if not all(map(known.fullmatch, fields)):
        return None
    plain = re.sub(f"[{marks(grammar.thousands)}]", "", "\n".join([*fields, ""]))
    # Any delimiter that no number holds.
    dialect = Dialect(1, delimiter="|", decimal=grammar.decimal)
    found = kernel.chosen().scan(plain.encode(), dialect, [Wanted(0, Kind.NUMBER)])
    return None if found.fault is not None else found.columns[0]
