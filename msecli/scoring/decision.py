"""Check what a request asks for besides the loss, to decide something: the order of groups, the worst elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msecli.errors import UsageError

if TYPE_CHECKING:
    from msecli.scoring.request import Request

SORTED_BY = ("loss", "used")
"""What groups can be sorted by besides metrics."""


def check_decision(request: Request) -> None:
    """Refuse settings that are impossible, or that have nothing to decide on.

    Raises
    ------
    UsageError
    """
    for name in ("worst", "top"):
        number = getattr(request, name)
        if number is not None and number < 1:
            raise UsageError(f"`{name}`: {number} is not at least 1")
    listing = [name for name in ("sort", "reverse", "top") if getattr(request, name) not in (None, False)]
    if listing and not request.grouped:
        raise UsageError(f"`{listing[0]}` is for groups, but there are none; group the rows with `by=COLUMN`")
    if listing == ["reverse"]:
        raise UsageError("`reverse` turns the order of `sort=METRIC` around, which is not given")
