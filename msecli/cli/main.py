"""The command group, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import contextlib
import errno
import io
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import click

from msecli import kernel
from msecli._version import __version__
from msecli.cli import process
from msecli.cli.colors import say
from msecli.cli.grouped import CommandGroup, Commands
from msecli.cli.wording import as_options, typed
from msecli.errors import (
    EXIT_BUG,
    EXIT_CLOSED_PIPE,
    EXIT_INTERRUPTED,
    EXIT_READ_WRITE,
    MsecliError,
    redacted,
    visible,
)

LINE_END = "\n"

EXAMPLES = """\b
Example: msecli compute pred.csv target.csv -m rmse,r2
A screen of help: msecli COMMAND -h      All options: msecli COMMAND --help
The manual: man msecli, and README.md of the project
"""


def _version(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - as Click calls it
    """Show the version, and which kernel there is."""
    if value:
        click.echo(f"msecli {__version__} (kernel: {kernel.name()})")
        context.exit()


@click.group(
    cls=CommandGroup,
    commands=Commands(
        "compute",
        "compare",
        "batch",
        "linear",
        "norm",
        "gradcheck",
        "merge",
        "inspect",
        "diff",
        "selftest",
        "completion",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "MSECLI", "max_content_width": 100},
    epilog=EXAMPLES,
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_version,
    allow_from_autoenv=False,
    help="Show the version and exit.",
)
def cli() -> None:
    """Score prediction files against target files: exact, every row accounted for."""
    kernel.name()  # an unknown kernel is refused before anything is read


def main(arguments: Sequence[str] | None = None, program: str = "msecli") -> NoReturn:
    """Run the command line, and exit with its code.

    The settings of the process are left alone, unless `process.start` has made it this run's.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    instruction = os.environ.get(process.COMPLETION)
    run = partial(_complete, instruction) if instruction else partial(_invoke, words, program)
    process.end(guarded(run, words, program))


def _complete(instruction: str) -> int:
    from msecli.cli.completion import complete

    return complete(cli, instruction)


def _invoke(arguments: list[str], program: str) -> int:
    # Not cli.main, which has its own exit code for a closed pipe.
    code = 0
    try:
        with cli.make_context(program, arguments) as context:
            cli.invoke(context)
    except click.exceptions.Exit as end:
        code = end.exit_code
    if sys.stdout is not None:
        sys.stdout.flush()
    return code


def guarded(run: Callable[[], int], arguments: Sequence[str] = (), program: str = "msecli") -> int:
    """Return the exit code of a run, and print any error to standard error."""
    try:
        return run()
    except MsecliError as error:
        message = error.worded(
            as_options,
            lambda added: f"run: {program} {_line(arguments, [added])}",
        )
        # Messages may have several lines; a line end in a file's name must not add one.
        for word in arguments:
            message = message.replace(word, visible(word)) if LINE_END in word else message
        return _tell("\n".join([message, *_notes(error)]), error.exit_code)
    except click.ClickException as error:
        told = io.StringIO()
        error.show(told)
        told.writelines(f"{note}\n" for note in _notes(error))
        usage, _, message = (
            visible(redacted(told.getvalue()), kept=LINE_END).removesuffix(LINE_END).partition("Error: ")
        )
        # Without any argument the help is all there is to say.
        click.echo(usage, nl=not message, err=True)
        if message:
            say("Error", message)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        return _tell("interrupted", EXIT_INTERRUPTED)
    except OSError as error:
        return _output_failed(error)
    except Exception:  # noqa: BLE001 - the boundary: anything else is a bug, shown with its traceback
        import traceback

        click.echo(redacted(traceback.format_exc()), nl=False, err=True)
        return _tell("this is a bug in msecli; please report it with the lines above", EXIT_BUG)


def _line(arguments: Sequence[str], added: Sequence[str]) -> str:
    """Return arguments as they are typed, with options added ahead of a "--", which ends the options."""
    words = [typed([word]) for word in arguments]
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return " ".join([*words[:end], *added, *words[end:]])


def _notes(error: Exception) -> Sequence[str]:
    """Return what was added to an error on its way."""
    return getattr(error, "__notes__", ())


def _tell(message: str, code: int) -> int:
    # If standard error is closed, the exit code has to suffice.
    with contextlib.suppress(OSError):
        say("Error", visible(redacted(message), kept=LINE_END))
    return code


def _output_failed(error: OSError) -> int:
    """Return the exit code for a failed write to standard output; a closed pipe is no error to report."""
    # Python flushes standard output again at exit, which would fail again.
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno in (errno.EPIPE, errno.ESHUTDOWN):
        return EXIT_CLOSED_PIPE
    return _tell(f"cannot write the result: {error.strerror or error}", EXIT_READ_WRITE)
