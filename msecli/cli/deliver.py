"""Results to where the user wants them: standard output, or files that appear together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from msecli.cli import process
from msecli.cli.options import is_terminal, style_from
from msecli.cli.progress import ProgressBar
from msecli.errors import ReadWriteError, UsageError, visible
from msecli.outputs import RENDERERS, Renderer, Style, renderer_for

if TYPE_CHECKING:
    from msecli.api import Request, Scored
    from msecli.result import Warned

VALUE_OPTIONS = {
    "grad": "--grad",
    "grad_target": "--grad-target",
    "grad_coef": "--grad-coef",
    "grad_intercept": "--grad-intercept",
    "predictions": "--predictions",
}
"""The parameters that name files of values, as `Scored.values` names them, and the options as they are typed."""


def outputs_from(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the output files as (option, path), their suffixes checked."""
    options = {"output": "-o", **VALUE_OPTIONS}
    outputs = [(option, values[name]) for name, option in options.items() if values.get(name)]
    outputs += [("--grad-params", path) for path in values.get("grad_params", ())]
    wanted = len(values.get("params", ()))
    if len(values.get("grad_params", ())) not in (0, wanted):
        raise UsageError(f"--grad-params: one for each --params is wanted, {wanted} in all")
    for option, path in outputs:
        renderer_for(path, option)
    return outputs


def score_and_deliver(request: Request, values: Mapping[str, Any]) -> None:
    """Score as requested, and write the result to where the options say."""
    outputs = outputs_from(values)
    renderer = renderer_for(values["output"], "-o") if values["output"] else _renderer(values)
    if request.reduction == "none" and request.metrics and not renderer.whole:
        whole = ", ".join(renderer.name for renderer in RENDERERS.values() if renderer.whole)
        raise UsageError(
            f"reduction 'none' with metrics: the format {renderer.name} holds only the values; use one of {whole}"
        )
    from msecli import api

    api.check_request(request)
    api.check_outputs(outputs, request.files, overwrite=values["overwrite"])
    with ProgressBar(wanted=values["progress"]) as progress:
        scored = api.run(request, progress)
    deliver(scored, values, style_from(values, os.environ))


def deliver(scored: Scored, values: Mapping[str, Any], style: Style) -> None:
    """Write the files, then the result to standard output unless a file takes it; last, the files get their names."""
    from msecli.api import Staging

    warn(scored.result.warnings)
    with Staging(overwrite=values["overwrite"]) as staging:
        for name, path in _value_files(values):
            with staging.open(path) as stream:
                renderer_for(path, name).values(stream, None, scored.values[name], style)
        if values["output"]:
            with staging.open(values["output"]) as stream:
                _write(stream, renderer_for(values["output"], "-o"), scored, style)
        else:
            with standard_output() as stream:
                _write(stream, _renderer(values), scored, style)
        process.take_no_more_signals()


def write_document(document: Mapping[str, Any], values: Mapping[str, Any], style: Style) -> None:
    """Write a document that has no values of elements to the output file, or to standard output."""
    from msecli.api import Staging

    if values["output"]:
        with Staging(overwrite=values["overwrite"]) as staging:
            with staging.open(values["output"]) as stream:
                renderer_for(values["output"], "-o").result(stream, document, style)
            process.take_no_more_signals()
        return
    with standard_output() as stream:
        _renderer(values).result(stream, document, style)


@contextmanager
def standard_output() -> Iterator[BinaryIO]:
    """Return standard output as a stream of bytes, flushed at the end.

    Raises
    ------
    ReadWriteError
        If the process was started without one.
    """
    if sys.stdout is None:
        raise ReadWriteError("cannot write the result: standard output is closed; name a file with -o")
    yield sys.stdout.buffer
    sys.stdout.buffer.flush()


def _renderer(values: Mapping[str, Any]) -> Renderer:
    """Return the format for standard output."""
    return RENDERERS[values["format"] or ("table" if is_terminal(sys.stdout) else "plain")]


def warn(warnings: Iterable[Warned]) -> None:
    """Tell the warnings of a result."""
    for warning in warnings:
        message = f"{warning.where}: {warning.meaning} ({warning.count})"
        click.echo(f"Warning: {visible(message)}", err=True)


def _value_files(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the files of values, each with the name of what goes into it."""
    yield from ((name, values[name]) for name in VALUE_OPTIONS if values.get(name))
    yield from ((f"grad_params {number}", path) for number, path in enumerate(values.get("grad_params", ())))


def _write(stream: BinaryIO, renderer: Renderer, scored: Scored, style: Style) -> None:
    document = scored.result.to_dict()
    if scored.losses is None:
        renderer.result(stream, document, style)
    else:
        renderer.values(stream, document, scored.losses, style)
