"""Options that name folders, in which the workers of a cluster write values in parts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from msecli.engines import ENGINES
from msecli.errors import UsageError
from msecli.outputs import RENDERERS

if TYPE_CHECKING:
    from msecli.outputs.parts import PartsFolder
    from msecli.scoring.request import Request


def folders_from(values: Mapping[str, Any], request: Request) -> dict[str, tuple[str, PartsFolder]]:
    """Return the folders for values by the name of these, each with its option; none without a cluster.

    Raises
    ------
    UsageError
        If there are no losses of elements or rows to write to one.
    """
    if not ENGINES[request.engine].distributed:
        return {}
    from msecli.outputs.parts import PartsFolder, folder_named
    from msecli.scoring.parts import OPTIONS

    resumed = request.resume is not None and os.path.exists(request.resume) and os.path.getsize(request.resume) > 0
    found: dict[str, tuple[str, PartsFolder]] = {}
    for name, (_, option) in OPTIONS.items():
        for text in _texts(values, name):
            named = folder_named(text, RENDERERS)
            if named is None:
                continue
            path, renderer = named
            if name == "losses" and not (request.chosen_reduction.keeps_elements or 0 not in (request.axis or (0,))):
                raise UsageError(f"{option} {text}: only losses of elements or rows go to a folder; name a file")
            folder = PartsFolder(path, renderer, overwrite=values["overwrite"], resumed=resumed)
            if folder.path in {other.path for _, other in found.values()} or name in found:
                raise UsageError(f"{option} {text}: each kind of values has one folder of its own")
            found[name] = option, folder
    return found


def only_files(values: Mapping[str, Any], request: Request) -> dict[str, Any]:
    """Return the options without the folders."""
    if not ENGINES[request.engine].distributed:
        return dict(values)
    from msecli.outputs.parts import folder_named
    from msecli.scoring.parts import OPTIONS

    files = {name: [text for text in _texts(values, name) if folder_named(text, RENDERERS) is None] for name in OPTIONS}
    others = {name: texts[0] if texts else None for name, texts in files.items() if name in values}
    return {**values, **others, "output": tuple(files["losses"])}


def _texts(values: Mapping[str, Any], name: str) -> tuple[str, ...]:
    given = values["output"] if name == "losses" else values.get(name)
    return (given,) if isinstance(given, str) else tuple(given or ())
