"""What to compare, and how, checked before any file is touched."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from msecli.core.metrics import badness
from msecli.core.paired import TESTS, Settings, Test
from msecli.core.parameters import data, flag, optional, real_number, rows, text, whole_number
from msecli.engines import engine_named
from msecli.errors import UsageError, not_one_of, redacted
from msecli.places import name_in, paths_of
from msecli.places.file import STDIN
from msecli.scoring.elsewhere import check_input
from msecli.scoring.request import Request
from msecli.tuples import NamedTuple

ADJUSTMENTS = ("holm", "none")
"""How p-values are adjusted for the number of systems."""

LOSS = "loss"


class Named(NamedTuple):
    """A system: its name, and the path of its predictions or the predictions themselves."""

    name: str
    data: Any


TAKEN_AS = {
    "reference": optional(text),
    "test": text,
    "resamples": optional(whole_number),
    "seed": optional(whole_number),
    "horizon": optional(whole_number),
    "cluster": optional(text),
    "confidence": real_number,
    "adjust": text,
    "sort": optional(text),
    "alpha": optional(real_number),
    **dict.fromkeys(("reverse", "fail_fast", "fail_if_worse"), flag),
}
"""The conversion of each parameter of a comparison, given its name and its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareRequest:
    """What to compare, and how.

    Parameters
    ----------
    systems : tuple of Named
        The files or data in memory with the predictions. A single one may hold those of several systems, in the columns
        `pred`.
    pred : tuple of str
        The columns of the predictions: of every system, or of a single file one for each system.
    base : Request
        What is said of all systems; its predictions are those of the first.
    reference : str, optional
        The system that the others are compared with; by default the first.
    test : str
        A name in the `TESTS` table.
    resamples, seed, horizon : int, optional
        The settings of some tests.
    cluster : str, optional
        The column of the targets that tells which rows depend on each other.
    confidence : float
    adjust : {"holm", "none"}
        Whether p-values are adjusted for the number of systems.
    sort : str, optional
        List the systems by the loss or by this metric, the best first; by default in the order given.
    reverse : bool
        List them in the opposite order.
    fail_fast : bool
        Whether a system that cannot be scored ends the comparison.
    fail_if_worse : bool
        Whether there is a gate for every system: that it is not significantly worse than the reference.
    alpha : float, optional
        The p-value below which a difference is significant; by default 0.05.

    Raises
    ------
    UsageError
        If a value is impossible, or two contradict each other.
    """

    systems: tuple[Named, ...]
    pred: tuple[str, ...]
    base: Request
    reference: str | None = None
    test: str = "t"
    resamples: int | None = None
    seed: int | None = None
    horizon: int | None = None
    cluster: str | None = None
    confidence: float = 0.95
    adjust: str = "holm"
    sort: str | None = None
    reverse: bool = False
    fail_fast: bool = False
    fail_if_worse: bool = False
    alpha: float | None = None

    @classmethod
    def of(cls, systems: Sequence[Named], pred: tuple[str, ...], **parameters: Any) -> Self:
        """Return a request from parameters as Python callers write them: those of a `Request`, and of a comparison."""
        if not systems:
            raise UsageError("`predictions`: there are no systems to compare")
        own = {name: TAKEN_AS[name](name, value) for name, value in parameters.items() if name in TAKEN_AS}
        others = {name: value for name, value in parameters.items() if name not in TAKEN_AS}
        return cls(systems=tuple(systems), pred=pred, base=Request.of(predictions=systems[0].data, **others), **own)

    def __post_init__(self) -> None:
        _check_engine(self)
        _check_systems(self)
        _check_test(self)
        _check_choices(self)

    @property
    def by_column(self) -> bool:
        """Whether every system is a column of the one file of predictions."""
        several = len(self.pred) > 1 or any("," in name for name in self.pred)
        return len(self.systems) == 1 and bool(self.pred) and (several or self.base.targets is None)

    @property
    def chosen_test(self) -> Test:
        """The test, from its table."""
        return TESTS[self.test]

    @property
    def settings(self) -> Settings:
        """The settings of the test."""
        given = {name: getattr(self, name) for name in ("resamples", "seed", "horizon")}
        return Settings(self.confidence, **{name: value for name, value in given.items() if value is not None})

    @property
    def needs_row_numbers(self) -> bool:
        """Whether what is kept of a row depends on its number."""
        return "seed" in self.chosen_test.settings and self.cluster is None

    @property
    def limit(self) -> float:
        """The p-value below which a difference is significant."""
        return 0.05 if self.alpha is None else self.alpha

    @property
    def files(self) -> tuple[str, ...]:
        """The paths of all files to read."""
        others = list(self.base.files)
        for path in paths_of([self.base.predictions]):
            others.remove(path)
        return (*paths_of([system.data for system in self.systems]), *others)

    def of_system(self, data: Any, pred: tuple[str, ...]) -> Request:
        """Return the request to score one system."""
        return replace(self.base, predictions=data, pred=pred)

    def badness(self, numbers: Mapping[str, float | None]) -> float | None:
        """Return the larger a number the worse a system is by what the systems are sorted by; None without a value."""
        best = {metric.name: metric.best for metric in self.base.chosen_metrics(weighted=self.base.weighted)}
        value = numbers.get(self.sort or LOSS)
        return None if value is None or math.isnan(value) else badness(value, best.get(self.sort or LOSS, 0.0))


def _check_engine(request: CompareRequest) -> None:
    """Refuse what an engine with workers does not do; the base is checked already."""
    name = request.base.engine
    if not engine_named(name).distributed:
        return
    for system in request.systems:
        check_input(name, system.data, system.name, request.base.reading.of("predictions").encoding)


def _check_systems(request: CompareRequest) -> None:
    names = Counter(system.name for system in request.systems)
    repeated = next((name for name, count in names.items() if count > 1), None)
    if repeated is not None:
        raise UsageError(f"two systems are named {repeated!r}; give one another name, as NAME=FILE")
    if len(request.systems) > 1 and request.base.targets is None:
        raise UsageError("`targets`: systems in several files need a file of targets, the last one")
    if request.files.count(STDIN) > 1:
        raise UsageError("standard input can be given only once; write the others to files")
    if request.by_column and len(request.base.target) > 1:
        named = ", ".join(map(repr, request.base.target))
        raise UsageError(f"systems in the columns of one file share one target column, not {named}")
    if not request.by_column:
        request.of_system(request.systems[0].data, request.pred)  # checks the columns
    unused = {
        "`axis`": bool(request.base.axis),
        "`batch_size`": request.base.batch_size is not None,
        "the reduction none": request.base.chosen_reduction.keeps_elements,
        "penalties": request.base.penalized,
    }
    for name, given in unused.items():
        if given:
            raise UsageError(f"a comparison has one loss for each system; {name} is not for it")


def _check_test(request: CompareRequest) -> None:
    if request.test not in TESTS:
        raise UsageError(f"`test`: {not_one_of(request.test, TESTS)}")
    test = request.chosen_test
    for name in ("resamples", "seed", "horizon"):
        if getattr(request, name) is not None and name not in test.settings:
            tests = " and ".join(each.name for each in TESTS.values() if name in each.settings)
            raise UsageError(f"`{name}` is for the test {tests}, not for {test.name}")
    for name, least in (("resamples", 1), ("seed", 0), ("horizon", 1)):
        value = getattr(request, name)
        if value is not None and value < least:
            raise UsageError(f"`{name}`: {value} is not at least {least}")
    if not 0 < request.confidence < 1:
        raise UsageError(f"`confidence`: {request.confidence!r} is not between 0 and 1; 0.95 is 95 %")
    if request.cluster is not None and not test.clusters:
        raise UsageError(f"`cluster` does not go with the test {test.name}; use t, bootstrap or permutation")
    base = request.base
    broken = {
        "weights": base.weighted,
        "`unmatched=skip`": base.unmatched == "skip",
        "`nan_target=omit`": base.nan_target == "omit",
        "`nan_pred=omit`": base.nan_pred == "omit",
        "`ignore_index`": bool(base.ignore_index),
    }
    found = [name for name, given in broken.items() if given]
    if test.ordered and found:
        raise UsageError(
            f"the test {test.name} needs every row, in order and without weights; it does not go with "
            f"{' and '.join(found)}"
        )


def _check_choices(request: CompareRequest) -> None:
    if request.adjust not in ADJUSTMENTS:
        raise UsageError(f"`adjust`: {not_one_of(request.adjust, ADJUSTMENTS)}")
    known = [LOSS, *(metric.name for metric in request.base.asked_metrics(weighted=request.base.weighted))]
    if request.sort is not None and request.sort not in known:
        raise UsageError(
            f"`sort`: {not_one_of(request.sort, known)}; a metric to sort by is one of those asked for: `metrics`"
        )
    if request.alpha is not None and not request.fail_if_worse:
        raise UsageError("`alpha` is for `fail_if_worse`")
    if not 0 < request.limit < 1:
        raise UsageError(f"`alpha`: {request.limit!r} is not between 0 and 1")
    if request.fail_if_worse and not request.chosen_test.p_value:
        raise UsageError(f"`fail_if_worse` needs a test; {request.test} is none")


def named_systems(given: Iterable[tuple[str | None, Any]]) -> tuple[Named, ...]:
    """Name systems: those without a name after the stem of their path, or as much of it as makes it unique.

    Examples
    --------
    >>> [system.name for system in named_systems([(None, "a/ridge.csv"), (None, "b/ridge.csv"), ("mean", "m.csv")])]
    ['a/ridge', 'b/ridge', 'mean']
    """
    pairs = list(given)
    paths = [path for name, path in pairs if name is None and isinstance(path, str)]
    taken = {name for name, _ in pairs if name is not None}
    names = dict(zip(paths, _unique(paths, taken), strict=True))
    return tuple(Named(names[path] if name is None else name, path) for name, path in pairs)


def _unique(paths: Sequence[str], taken: set[str]) -> list[str]:
    """Return a name for each path: its stem, with as many folders, and at last its suffix, as tell it from others."""
    pieces = [os.path.normpath(redacted(name_in(path))).split(os.sep) for path in paths]
    names = [""] * len(paths)
    for suffixed in (False, True):
        for depth in range(1, max(map(len, pieces), default=0) + 1):
            found = Counter(names)
            for number, (*folders, last) in enumerate(pieces):
                if not names[number] or found[names[number]] > 1 or names[number] in taken:
                    stem = last if suffixed else os.path.splitext(last)[0]
                    names[number] = "/".join([*folders[max(0, len(folders) - depth + 1) :], stem])
    return names


def systems_of(predictions: Any) -> tuple[Named, ...]:
    """Return the systems that Python callers give: a mapping by name, several paths, or one file or table.

    Raises
    ------
    UsageError
    """
    if isinstance(predictions, Mapping):
        return tuple(Named(text("predictions", name), rows("predictions", each)) for name, each in predictions.items())
    several = isinstance(predictions, list | tuple) and predictions
    if several and all(isinstance(each, str | os.PathLike) for each in predictions):
        return named_systems((None, data("predictions", each)) for each in predictions)
    one = data("predictions", predictions)
    return named_systems([(None, one)]) if isinstance(one, str) else (Named("predictions", one),)
