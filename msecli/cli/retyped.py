"""The command that does what was asked, typed anew: with every chosen column named, and what the environment set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msecli.cli.compute import compute
from msecli.cli.grouped import ALONE, GroupedOption
from msecli.cli.wording import as_options, typed
from msecli.places.file import STDIN

if TYPE_CHECKING:
    from msecli.scoring.inspect import Chosen, Wording
    from msecli.scoring.request import Request

PROGRAM = "msecli"

CHOOSING = frozenset({"Columns and rows", "Reading"})
"""The groups of options that say what is scored, and how files are read."""

LOOKING = frozenset({"dry_run", "explain_plan"})
"""The options with which nothing is scored."""

LISTED = frozenset({"pred", "target"})
"""The options whose values may be a list with commas."""


def wording_of(request: Request, values: Mapping[str, Any], *, whole: bool) -> Wording:
    """Return how to word what `compute` would do with these options; unless `whole`, only those that choose columns."""
    from msecli.scoring.inspect import Wording

    def command(chosen: Chosen) -> str:
        return _command(request, {**values, **{name: tuple(chosen.get(name, ())) for name in LISTED}}, whole=whole)

    def advised(added: str) -> str:
        return f"run: {_command(request, values, whole=whole, added=added)}"

    return Wording(lambda error: error.worded(as_options, advised), command)


def _command(request: Request, values: Mapping[str, Any], *, whole: bool, added: str = "") -> str:
    """Return a command of `compute`, with options that are spelled already."""
    files = [path for path in (request.predictions, request.targets) if path is not None]
    words = [word for option in _options(whole=whole) for word in _words(option, values.get(option.name or ""))]
    options = " ".join(filter(None, (typed(words), added)))
    if any(path.startswith("-") and path != STDIN for path in files):
        return " ".join(filter(None, (PROGRAM, "compute", options, "--", typed(files))))
    return " ".join(filter(None, (PROGRAM, "compute", typed(files), options)))


def _options(*, whole: bool) -> Iterator[GroupedOption]:
    for option in compute.params:
        own = isinstance(option, GroupedOption) and option.expose_value and option.name not in LOOKING
        if own and isinstance(option, GroupedOption) and (whole or option.group in CHOOSING):
            yield option


def _words(option: GroupedOption, value: Any) -> Iterator[str]:
    """Yield an option with its value as they are typed; nothing for what is so anyway."""
    if value is None or value == option.default or value in ((), {}):
        return
    name = option.opts[0]
    if option.is_flag:
        if value or option.secondary_opts:
            yield name if value else option.secondary_opts[0]
    elif isinstance(value, Mapping):
        for word, text in value.items():
            yield from (name, f"{word}={text}" if word else text)
    elif option.words is not None:
        for word in value:
            yield from (name, word) if word else (f"{name}={ALONE}",)
    elif option.name in LISTED and not any("," in each or each != each.strip() for each in value):
        yield from (name, ",".join(value))
    else:
        for each in value if isinstance(value, tuple) else (value,):
            yield from (name, each if isinstance(each, str) else repr(each))
