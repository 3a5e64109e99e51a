"""How to read files: the user's settings."""

from __future__ import annotations

from typing import NamedTuple


class Reading(NamedTuple):
    """How to read files that do not describe themselves.

    Parameters
    ----------
    format : str, optional
        A name in the `FORMATS` table. By default the content decides, then the suffix.
    delimiter : str, optional
        The column delimiter of text files, one character. By default a comma, or a tab for TSV.
    header : bool, optional
        Whether the first line of text files holds the column names. By default it does, and a first line of only
        numbers is refused.
    decimal : str
        The decimal mark of text files.
    na_values : tuple of str
        Further words that mean "missing" in text files.
    encoding : str, optional
        The encoding of text files. By default UTF-8.
    comment : str, optional
        Skip the lines of text files that begin with this character.
    """

    format: str | None = None
    delimiter: str | None = None
    header: bool | None = None
    decimal: str = "."
    na_values: tuple[str, ...] = ()
    encoding: str | None = None
    comment: str | None = None


AS_FILES_SAY = Reading()
"""The defaults."""
