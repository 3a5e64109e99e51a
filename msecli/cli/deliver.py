"""Results to where the user wants them: standard output, or files that appear together."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from msecli.outputs import RENDERERS, Renderer, Style, Values, renderer_for

if TYPE_CHECKING:
    from msecli.api import Scored

OUTPUT_OPTIONS = {"output": "-o", "grad": "--grad", "grad_target": "--grad-target"}


def outputs_from(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the output files as (option, path), their suffixes checked."""
    outputs = [(option, values[name]) for name, option in OUTPUT_OPTIONS.items() if values.get(name)]
    for option, path in outputs:
        renderer_for(path, option)
    return outputs


def deliver(scored: Scored, values: Mapping[str, Any], style: Style) -> None:
    """Write the files, then the result to standard output unless a file takes it."""
    from msecli.api import Staging

    for warning in scored.result.warnings:
        click.echo(f"Warning: {warning.where}: {warning.meaning} ({warning.count})", err=True)
    with Staging() as staging:
        for option, path, gradient in _gradients(scored, values):
            with staging.open(path) as stream:
                renderer_for(path, option).values(stream, None, gradient, style)
        if values["output"]:
            with staging.open(values["output"]) as stream:
                _write(stream, renderer_for(values["output"], "-o"), scored, style)
    if not values["output"]:
        default = "table" if sys.stdout.isatty() else "plain"
        _write(sys.stdout.buffer, RENDERERS[values["format"] or default], scored, style)
        sys.stdout.buffer.flush()


def _gradients(scored: Scored, values: Mapping[str, Any]) -> Iterator[tuple[str, str, Values]]:
    if scored.gradient is None:
        return
    if values["grad"]:
        yield "--grad", values["grad"], scored.gradient
    if values["grad_target"]:
        yield "--grad-target", values["grad_target"], scored.gradient.negated()


def _write(stream: BinaryIO, renderer: Renderer, scored: Scored, style: Style) -> None:
    document = scored.result.to_dict()
    if scored.losses is None:
        renderer.result(stream, document, style)
    else:
        renderer.values(stream, document, scored.losses, style)
