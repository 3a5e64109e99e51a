"""The pages of the manual, made from the commands.

`python -m msecli.cli.manual` writes them anew; the package installs them where `man` looks for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from msecli.cli.grouped import GROUPS
from msecli.errors import (
    EXIT_BUG,
    EXIT_CLOSED_PIPE,
    EXIT_DATA,
    EXIT_GATE,
    EXIT_INTERRUPTED,
    EXIT_READ_WRITE,
    EXIT_USAGE,
)

FOLDER = Path(__file__).parent.parent / "man"

EXIT_CODES = {
    0: "done",
    EXIT_BUG: "a bug in msecli",
    EXIT_USAGE: "the command line is wrong",
    EXIT_DATA: "the data are wrong",
    EXIT_READ_WRITE: "a file cannot be read or written",
    EXIT_GATE: "a gate failed",
    EXIT_INTERRUPTED: "interrupted",
    EXIT_CLOSED_PIPE: "the reader closed the pipe",
}

ENVIRONMENT = {
    "MSECLI_COMMAND_OPTION": "The value of an option, as in MSECLI_COMPUTE_REDUCTION=sum; the command line overrides "
    "it. Several values are separated by blanks, several files by colons.",
    "MSECLI_KERNEL": "The kernel to use, native or python; by default the native one, if it was built. Their results "
    "are the same.",
    "MSECLI_TIMEOUT": "The seconds, 60 by default, after which a server that sends nothing is given up.",
    "NO_COLOR": "If set, tables have no colours.",
    "FORCE_COLOR": "If set, tables have colours in pipes, too.",
}


def pages(group: click.Group) -> dict[str, str]:
    """Return the pages by the names of their files: one for the program, and one for each command."""
    context = click.Context(group, info_name="msecli")
    names = group.list_commands(context)
    commands = [command for name in names if (command := group.get_command(context, name)) is not None]
    made = {"msecli.1": _lines(_program_page(group, commands))}
    for command in commands:
        made[f"msecli-{command.name}.1"] = _lines(_command_page(command, context))
    return made


def _program_page(group: click.Group, commands: Sequence[click.Command]) -> Iterator[str]:
    yield from _head("msecli", group.help or "")
    yield from (".B msecli", ".I COMMAND", "[OPTIONS] [ARGUMENTS]")
    yield ".SH COMMANDS"
    for command in commands:
        yield from _item(f"msecli-{command.name}(1)", command.short_help or "")
    yield ".SH OPTIONS"
    yield from _item("--version", "Show the version and exit.")
    yield from _item("-h, --help", "Show a short help and exit.")
    yield from _table("EXIT STATUS", {str(code): meaning for code, meaning in EXIT_CODES.items()})
    yield from _table("ENVIRONMENT", ENVIRONMENT)
    yield from _examples(group.epilog)


def _command_page(command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=command.name, parent=parent)
    yield from _head(f"msecli-{command.name}", command.short_help or "")
    yield from (f".B msecli {command.name}", _escaped(" ".join(command.collect_usage_pieces(context))))
    yield ".SH DESCRIPTION"
    for number, paragraph in enumerate((command.help or "").split("\n\n")):
        if number:
            yield ".PP"
        yield _escaped(" ".join(paragraph.split()))
    options = [
        option for option in command.get_params(context) if isinstance(option, click.Option) and not option.hidden
    ]
    for title in GROUPS:
        members = [option for option in options if getattr(option, "group", GROUPS[-1]) == title]
        if members:
            yield f".SH {title.upper()}"
        for option in members:
            yield from _item(_synopsis(option), _meaning(option))
    yield from _examples(command.epilog)
    yield ".SH SEE ALSO"
    yield ".BR msecli (1)"


def _head(name: str, summary: str) -> Iterator[str]:
    yield f'.TH {name.upper()} 1 "" msecli "Manual of msecli"'
    yield ".SH NAME"
    yield f"{_escaped(name)} \\- {_escaped(summary.rstrip('.'))}"
    yield ".SH SYNOPSIS"


def _table(title: str, meanings: dict[str, str]) -> Iterator[str]:
    yield f".SH {title}"
    for name, meaning in meanings.items():
        yield from _item(name, meaning)


def _item(term: str, meaning: str) -> Iterator[str]:
    yield from (".TP", f".B {_escaped(term)}", _escaped(meaning))


def _examples(epilog: str | None) -> Iterator[str]:
    """Yield a section for each block of lines that is not to be filled."""
    for block in (epilog or "").split("\b\n")[1:]:
        title, *lines = block.rstrip().splitlines()
        yield f".SH {title.rstrip(':').upper()}"
        yield from (".nf", *(_escaped(line.strip()) for line in lines), ".fi")


def _synopsis(option: click.Option) -> str:
    names = [*option.opts, *option.secondary_opts]
    if option.is_flag:
        return ", ".join(names)
    words = f"[{'|'.join(map(str, option.type.choices))}]" if isinstance(option.type, click.Choice) else ""
    return f"{', '.join(names)} {option.metavar or words}"


def _meaning(option: click.Option) -> str:
    default = f" [default: {option.default}]" if option.show_default else ""
    return f"{option.help}{default}"


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _lines(lines: Iterator[str]) -> str:
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    from msecli.cli.main import cli

    FOLDER.mkdir(exist_ok=True)
    for name, page in pages(cli).items():
        (FOLDER / name).write_text(page, encoding="utf-8")
