"""The choice of one of the named things in a file: tables, or sheets."""

from __future__ import annotations

from collections.abc import Mapping

from msecli.errors import DataError, meant, shown
from msecli.places import INNER
from msecli.places.file import STDIN

LISTED = 20
"""How many of them a message lists."""


def chosen(path: str, name: str, what: str, known: Mapping[str, str]) -> str:
    """Return what a name after "::" means, in any case; without a name the only thing there is.

    Parameters
    ----------
    path : str
        The file, as the user wrote it.
    name : str
        "" if there is none.
    what : str
        What the things are, one of them.
    known : mapping of str to str
        What messages add to each name: its size.

    Raises
    ------
    DataError
        If there is none of this name, or there are several.
    """
    path = path.removesuffix(INNER)
    folded = [each for each in known if each.casefold() == name.casefold()]
    if name in known or len(folded) == 1:
        return name if name in known else folded[0]
    more = f", … ({len(known)} in all)" if len(known) > LISTED else ""
    listed = (
        ", ".join(f"{shown(each)} ({size})" if size else shown(each) for each, size in [*known.items()][:LISTED]) + more
    )
    if name:
        raise DataError(f"{path}: no {what} {shown(name)}{meant(name, known)}; there is {listed or 'none'}")
    if len(known) == 1:
        return next(iter(known))
    if not known:
        raise DataError(f"{path}: the file holds no {what}")
    # On the command line "-::name" is an option.
    typed = f"{'/dev/stdin' if path == STDIN else path}::{next(iter(known))}"
    raise DataError(f"{path}: the file holds several {what}s: {listed}; name one of them: {typed}")
