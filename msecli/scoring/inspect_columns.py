"""What is told of a file and its columns: what they hold, what they are for, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from msecli.core.profiles import Profile, Value
from msecli.engines import Engine
from msecli.errors import MsecliError
from msecli.formats.base import ARRAY, Column, Facts, facts_of
from msecli.pairing.candidates import PREDICTION_NAMES, TARGET_NAMES, is_identifying
from msecli.pairing.choice import MATRIX, SAME
from msecli.pairing.lookup import folded_name
from msecli.pairing.roles import PREDICTION, is_comparable
from msecli.results.look import Description, InspectedColumn, InspectedFile
from msecli.scoring.inspect_keys import is_unique
from msecli.scoring.look import Look
from msecli.scoring.plan import Plan
from msecli.scoring.request import Request
from msecli.tuples import NamedTuple

FLOATING = ("float", "double", "half", "decimal", "bfloat")
"""How the types begin whose numbers are no integers even where they are whole."""


EXAMPLE = " such as "
"""Before the example in the kind of a column of text, which messages need more than a table that shows its values."""


class Uses(NamedTuple):
    """What the columns of a file are for.

    Parameters
    ----------
    file : int
        The number of the file.
    request : Request
    plan : Plan, optional
        None if it is not known what would be scored.
    """

    file: int
    request: Request
    plan: Plan | None

    def of(self, number: int, column: Column) -> tuple[tuple[str, ...], str]:
        """Return the roles of a column, and why it is scored, or why not."""
        roles = self.roles(column.name)
        if set(roles) & {"prediction", "target"}:
            return roles, self.reason(column.name, roles)
        if is_identifying(number, column):
            return roles, "identifies rows"
        if roles:
            return roles, ""
        scorable = column.numeric or column.lists
        return (), "no numbers" if not scorable else "" if self.plan is None else "not chosen"

    def roles(self, name: str | None) -> tuple[str, ...]:
        """Return the roles of a column, or of a whole array."""
        return () if self.plan is None else tuple(dict.fromkeys(self._roles(self.plan, name)))

    def _roles(self, plan: Plan, name: str | None) -> Iterator[str]:
        roles = plan.roles
        places = [("prediction", roles.prediction), ("target", roles.target), ("weight", roles.weight)]
        places += [("group", place) for place in roles.by]
        places += [("cluster", roles.cluster), *(("baseline", place) for _, place in roles.baselines)]
        bins = None if plan.bins is None else plan.bins.place
        places += [("bins" if place == bins else "condition", place) for place in (*roles.beside, *roles.labels_beside)]
        for role, place in places:
            if place is not None and place.file == self.file and (name in place.columns or not place.columns):
                yield role
        if self.file not in (PREDICTION, roles.target.file):
            return
        if roles.keys and name in roles.keys[self.file]:
            yield "key"
        for role, shared in (("check", roles.checked), ("look", roles.looked_at)):
            if any(each.columns[self.file] == name for each in shared):
                yield role

    def reason(self, name: str | None, roles: tuple[str, ...]) -> str:
        """Return why a column is scored, or a whole array."""
        ours = "prediction" in roles
        named, other = bool(self.request.pred), bool(self.request.target)
        named, other = (named, other) if ours else (other, named)
        if named:
            return "named"
        if name is None or self.plan is None:
            return "whole array"
        prediction, target = self.plan.roles.prediction.columns, self.plan.roles.target.columns
        if self.plan.roles.rule == SAME or (other and prediction == target):
            return "same name"
        if self.plan.roles.rule == MATRIX:
            return "in order"
        known = PREDICTION_NAMES if ours else TARGET_NAMES
        return "known name" if folded_name(name) in known else "only one"


def inspected(
    look: Look | MsecliError, path: str, message: Callable[[MsecliError], str], engine: Engine, uses: Uses
) -> InspectedFile:
    """Return what is told of a file.

    Parameters
    ----------
    look : Look or MsecliError
        What was seen in it, or why it cannot be read.
    path : str
        That of the file, or the name of data in memory.
    message : callable
        Words errors.
    engine : Engine
        Reads the columns again of which it must be known whether their values are unique.
    uses : Uses
    """
    if isinstance(look, MsecliError):
        return InspectedFile(path, None, problem=message(look))
    source, facts = look.source, facts_of(look.source)
    if source.columns is None:
        columns: tuple[InspectedColumn, ...] = (_values(look, facts.get(ARRAY, Facts()), uses),)
    else:
        columns = tuple(
            _column(look, number, column, facts.get(column.name, Facts()), uses)
            for number, column in enumerate(source.columns)
        )
        columns = tuple(_settled(look, column, message, engine) for column in columns)
    rows = look.rows if look.whole else source.rows
    return InspectedFile(
        source.path,
        source.format,
        rows,
        look.about if rows is None else None,
        look.rows,
        None if source.item is None or rows is None else (rows, *source.item),
        columns,
        None if look.problem is None else message(look.problem),
    )


def _values(look: Look, facts: Facts, uses: Uses) -> InspectedColumn:
    """Return what is told of all values of an array without columns."""
    roles = uses.roles(None)
    kind = facts.kind or "number"
    known, first = _described(look.numbers.get(ARRAY), look, facts, floating=kind.startswith(FLOATING))
    reason = uses.reason(None, roles) if roles else ""
    return InspectedColumn(None, kind, numeric=True, roles=roles, why=reason, known=known, first=first)


def _column(look: Look, number: int, column: Column, facts: Facts, uses: Uses) -> InspectedColumn:
    identifying = is_identifying(number, column)
    numbers, labels = look.numbers.get(column.name), look.labels.get(column.name)
    profile = numbers or labels
    if numbers is not None and labels is not None:
        # Integers that float64 would round are told apart as labels.
        ends = labels if isinstance(labels.minimum, int) else numbers
        profile = replace(
            numbers,
            minimum=ends.minimum,
            maximum=ends.maximum,
            distinct=labels.distinct,
            ends=labels.ends or numbers.ends,
        )
    known, first = _described(profile, look, facts, floating=column.kind.startswith(FLOATING))
    return InspectedColumn(
        column.name,
        column.kind.partition(EXAMPLE)[0],
        column.numeric,
        "name" if identifying else "type" if not column.numeric and is_comparable(column.kind) else None,
        *uses.of(number, column),
        known,
        first,
    )


def _settled(
    look: Look, column: InspectedColumn, message: Callable[[MsecliError], str], engine: Engine
) -> InspectedColumn:
    """Return a column with what is wrong with it, and with whether its values are unique if it identifies rows."""
    problem = look.problems.get(column.name or "")
    known = column.known
    if look.whole and column.identifies_rows and known.distinct_above is not None and known.unique is None:
        known = known._replace(unique=is_unique(look.source, look.rows, column.name or "", engine))
    return column._replace(known=known, problem=None if problem is None else message(problem))


def _described(
    profile: Profile | None, look: Look, facts: Facts, *, floating: bool
) -> tuple[Description, Description | None]:
    """Return what is known of all values, and of those of the first rows unless these are all."""
    seen = None if profile is None else _description(profile, floating=floating)
    if look.whole:
        return seen or Description(), None
    known = Description(facts.missing, None, facts.minimum, facts.maximum)
    # A value that is there twice in the first rows is there twice in all.
    twice = profile is not None and (profile.unique is False)
    return known._replace(unique=False if twice else None), seen


def _description(profile: Profile, *, floating: bool) -> Description:
    more = profile.distinct is None
    whole = profile.whole and not floating
    low, high = (_whole(value) if whole else value for value in (profile.minimum, profile.maximum))
    return Description(
        profile.missing,
        None if profile.total is None else profile.infinite,
        low,
        high,
        profile.mean,
        None if profile.distinct is None else len(profile.distinct),
        profile.most if more else None,
        profile.unique,
    )


def _whole(value: Value | None) -> Value | None:
    return int(value) if isinstance(value, float) else value
