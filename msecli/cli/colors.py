"""Messages on standard error, with colours where they are wanted."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

import click

HEADS = {"Error": "red", "Warning": None, "gate failed": "red"}
"""The colours of the heads. Yellow could not be read on white."""


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a standard stream is a terminal; the stream may be missing."""
    return stream is not None and stream.isatty()


def colored(stream: TextIO | None, environment: Mapping[str, str]) -> bool:
    """Tell whether to write colours to a stream: NO_COLOR forbids them, FORCE_COLOR wants them everywhere.

    Otherwise they are for terminals, but not for those of TERM=dumb.
    """
    if environment.get("NO_COLOR"):
        return False
    return bool(environment.get("FORCE_COLOR")) or (is_terminal(stream) and environment.get("TERM") != "dumb")


def say(head: str, message: str) -> None:
    """Print "Error: …", "Warning: …" or "gate failed: …" to standard error."""
    color = colored(sys.stderr, os.environ)
    click.echo(f"{click.style(f'{head}:', fg=HEADS[head], bold=True)} {message}", err=True, color=color)
