"""Settings in messages, spelled as options of the command line."""

from __future__ import annotations

from collections.abc import Sequence

from msecli.errors import PLACEHOLDERS, MsecliError, Setting

SHORT_OPTIONS = {"pred": "-p", "target": "-t", "inputs": "-x", "weight": "-w", "columns": "-c", "ord": "--ord"}
"""The parameters whose options have better-known names, and these names."""


def option(setting: Setting) -> str:
    """Spell a setting as a command-line option; a placeholder stays as it is.

    Examples
    --------
    >>> [option(Setting(*each)) for each in (("nan_pred", "omit"), ("on", "COLUMN"), ("comment", "#"))]
    ['--nan-pred omit', '--on COLUMN', "--comment '#'"]
    >>> option(Setting("header", "False", "pred")), option(Setting("decimal", ",", "both"))
    ('--no-header pred', '--decimal both=,')
    """
    name, value, file = setting
    if value in {"True", "False"}:
        return f"--{'' if value == 'True' else 'no-'}{name.replace('_', '-')}{file and f' {file}'}"
    spelled = SHORT_OPTIONS.get(name, f"--{name.replace('_', '-')}")
    if value is None:
        return spelled
    return f"{spelled} {value if value in PLACEHOLDERS else typed([f'{file}={value}' if file else value])}"


def as_options(settings: Sequence[Setting]) -> str:
    """Spell settings as command-line options."""
    return " ".join(map(option, settings))


def as_typed(error: MsecliError) -> str:
    """Return the message of an error with settings spelled as command-line options."""
    return error.worded(as_options)


def typed(words: Sequence[str]) -> str:
    """Return words as they are typed in a shell."""
    import shlex

    return shlex.join(words)
