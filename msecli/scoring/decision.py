"""Check what a request asks for besides the loss, to decide something: the order of groups, the worst elements."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msecli.core.metrics import ALL
from msecli.errors import UsageError

if TYPE_CHECKING:
    from msecli.scoring.request import Request

PERCENT = 100
"""A level above 1 and below this was probably meant as a percentage."""

SORTED_BY = ("loss", "used")
"""What groups can be sorted by besides metrics."""


def check_decision(request: Request) -> None:
    """Refuse settings that are impossible, or that have nothing to decide on, and conditions that cannot be read.

    Raises
    ------
    UsageError
    """
    if request.by_bins is not None:
        from msecli.pairing.bins import Bins

        Bins.of(request.by_bins)
    if request.where is not None:
        from msecli.pairing.conditions import condition_of

        condition_of(request.where)
    _check_interval(request)
    for name in ("worst", "top"):
        number = getattr(request, name)
        if number is not None and number < 1:
            raise UsageError(f"`{name}`: {number} is not at least 1")
    listing = [name for name in ("sort", "reverse", "top") if getattr(request, name) not in (None, False)]
    if listing and not request.grouped:
        raise UsageError(f"`{listing[0]}` is for groups, but there are none; group the rows with `by=COLUMN`")
    if request.sort is not None and request.sort.lower() == ALL:
        raise UsageError("`sort`: groups are sorted by one metric; name it")
    if listing == ["reverse"]:
        raise UsageError("`reverse` turns the order of the groups around; name one, as with `sort=loss`")


FEWEST_RESAMPLES = 100
"""With fewer resamples the ends of an interval are hardly those of a distribution."""


def _check_interval(request: Request) -> None:
    if request.ci is None:
        for name in ("cluster", "bootstrap", "seed"):
            if getattr(request, name) is not None:
                raise UsageError(f"`{name}` is for a confidence interval; add its level, as with `ci=0.95`")
        return
    if not 0 < request.ci < 1:
        hint = f"; for {request.ci:g} % it is {request.ci / 100:g}" if 1 < request.ci < PERCENT else ""
        raise UsageError(f"`ci`: the level {request.ci:g} is not between 0 and 1{hint}")
    if request.reduction != "mean":
        raise UsageError(f"`ci` is the interval of a mean; it does not go with reduction {request.reduction!r}")
    if request.axis:
        raise UsageError("`ci` is the interval of the mean over all elements; it does not go with `axis`")
    if request.bootstrap is None and request.seed is not None:
        raise UsageError("`seed` is for the bootstrap; add the number of its resamples, as with `bootstrap=1000`")
    if request.bootstrap is not None and request.bootstrap < FEWEST_RESAMPLES:
        raise UsageError(f"`bootstrap`: {request.bootstrap} is not at least {FEWEST_RESAMPLES}")
    if request.seed is not None and request.seed < 0:
        raise UsageError(f"`seed`: {request.seed} is negative")
