"""How the fields of delimited text are written: what is a number, and what means missing."""

from __future__ import annotations

import re
from typing import NamedTuple

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity|nan)", re.IGNORECASE)
BLANKS = " \t"
"""What Arrow's parser allows around a number."""
COMMENT_MARKS = ("#", "%", "//")


class Grammar(NamedTuple):
    """How fields are read as numbers.

    Parameters
    ----------
    names : tuple of str
        The column names.
    decimal : str
        The decimal mark.
    missing : tuple of str
        The words that mean missing.
    """

    names: tuple[str, ...] = ()
    decimal: str = "."
    missing: tuple[str, ...] = ()

    def is_number(self, field: str) -> bool:
        """Tell whether the field is a number, an infinity or NaN."""
        return self.is_finite(field) or NOT_FINITE.fullmatch(field.strip(BLANKS)) is not None

    def is_finite(self, field: str) -> bool:
        """Tell whether the field is a number written in digits."""
        text = field.strip(BLANKS)
        if self.decimal != ".":
            # With another decimal mark, a point makes the field not a number.
            text = text.replace(".", "?").replace(self.decimal, ".")
        return NUMBER.fullmatch(text) is not None

    def is_missing(self, field: str) -> bool:
        """Tell whether the field is empty or one of the words for missing."""
        return field in self.missing
