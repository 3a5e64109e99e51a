"""Fields to numbers where Arrow's parser knows no such notation: marks between thousands, and truth values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from msecli.arrow.columns import floats, validity
from msecli.arrow.functions import cast, is_in, matches, replaced, trimmed
from msecli.core.exact import FloatArray
from msecli.text.grammar import BLANKS, NOT_FINITE, Grammar, Truth, marks, number_pattern


def numbers_of(fields: pa.Array, grammar: Grammar, column: int) -> FloatArray | None:
    """Return the numbers that the fields of a column stand for, NaN for null; None if one stands for none."""
    truth = grammar.truths.get(column)
    return _grouped(fields, grammar) if truth is None else _truth_values(fields, truth)


def without_marks(fields: pa.Array, grammar: Grammar) -> pa.Array:
    """Return numbers with a decimal point, and without marks between thousands and blanks around them."""
    texts = trimmed(fields, BLANKS)
    if grammar.thousands:
        texts = replaced(texts, f"[{marks(grammar.thousands)}]", "")
    return texts if grammar.decimal == "." else replaced(texts, f"[{grammar.decimal}]", ".")


def _grouped(fields: pa.Array, grammar: Grammar) -> FloatArray | None:
    texts = trimmed(fields, BLANKS)
    number = f"{number_pattern(grammar.decimal, grammar.thousands)}|(?i:{NOT_FINITE.pattern})"
    if (matches(texts, number) != validity(texts)).any():
        return None
    return floats(cast(without_marks(texts, grammar), pa.float64()), "")[0]


def _truth_values(fields: pa.Array, truth: Truth) -> FloatArray | None:
    texts = trimmed(fields, BLANKS)
    true, false = is_in(texts, truth[:1]), is_in(texts, truth[1:])
    valid = validity(texts)
    return None if ((true | false) != valid).any() else np.where(valid, true.astype(np.float64), np.nan)
