"""The choice of one of the named things in a file: tables, sheets, arrays or tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msecli.errors import DataError, meant, shown
from msecli.places import INNER
from msecli.places.file import STDIN

LISTED = 20
"""How many of them a message lists."""


def chosen(path: str, name: str, what: str, known: Mapping[str, str], example: str = "") -> str:
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
        What messages add to each name: its size, or its shape and type.
    example : str, optional
        The one that messages suggest; by default the first.

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
    listed = ", ".join(f"{shown(each)} {size}".rstrip() for each, size in [*known.items()][:LISTED]) + more
    if name:
        raise DataError(f"{path}: no {what} {shown(name)}{meant(name, known)}; there is {listed or 'none'}")
    if len(known) == 1:
        return next(iter(known))
    if not known:
        raise DataError(f"{path}: the file holds no {what}")
    example = inside(path, example or next(iter(known)))
    raise DataError(f"{path}: the file holds several {what}s: {listed}; name one of them: {example}")


def inside(path: str, name: str) -> str:
    """Return how something in a file is named in a shell, in quotes where it needs them.

    Examples
    --------
    >>> inside("x.xlsx", "Runs"), inside("x.xlsx", "Fold 2"), inside("-", "pred")
    ('x.xlsx::Runs', "'x.xlsx::Fold 2'", '/dev/stdin::pred')
    """
    import shlex

    # On the command line "-::name" is an option.
    return shlex.quote(f"{'/dev/stdin' if path == STDIN else path}{INNER}{name}")


def among(name: str, found: Mapping[str, Any] | Sequence[str]) -> str:
    """Return which names there are, in a message that one is not among them."""
    names = [*map(repr, found)]
    more = f", … ({len(names)} in all)" if len(names) > LISTED else ""
    return f"there are {', '.join(names[:LISTED])}{more}{meant(name, found)}" if names else "there are none"
