"""`msecli completion`: what the Tab key completes in bash, zsh and fish."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from msecli.cli.grouped import GroupedCommand, one_of
from msecli.cli.process import COMPLETION
from msecli.core.metrics import ALL, metric_names
from msecli.errors import MsecliError
from msecli.formats import FORMATS, names_inside, open_source
from msecli.places import INNER, LOCAL, alternatives, files_of, local_path, place_of, split_inner

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem, ShellComplete

PROGRAM = "msecli"
BASH = """\
%(complete_func)s() {
    local line type value IFS=$'\\n'
    COMPREPLY=()
    while read -r line; do
        type=${line%%%%,*} value=${line#*,}
        if [[ $type == file ]]; then
            compopt -o default
            continue
        fi
        if [[ $value == *[^[:alnum:]_,.:=+-]* && ${COMP_WORDS[COMP_CWORD]} != [\\"\\']* ]]; then
            printf -v value %%q "$value"
        fi
        COMPREPLY+=("$value")
    done < <(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD %(complete_var)s=bash_complete "$1" 2> /dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""Unlike Click's own script it quotes: a column's name may hold blanks and asterisks."""

ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local type value meaning
    local -a found plain described
    found=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT-1)) %(complete_var)s=zsh_complete \
%(prog_name)s 2> /dev/null)}")
    [[ $PREFIX == --*=* ]] && compset -P 1 '--*='
    for type value meaning in "${found[@]}"; do
        if [[ $type == file ]]; then
            _path_files -f
        elif [[ $meaning == _ ]]; then
            plain+=("$value")
        else
            described+=("$value:$meaning")
        fi
    done
    (( $#described )) && _describe -V unsorted described -U
    (( $#plain )) && compadd -U -i "$IPREFIX" -V unsorted -a plain
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
"""Unlike Click's own script it completes `--option=value`."""

FISH = """\
function %(complete_func)s
    set -l before (string match -r -- '^--[^=]*=' (commandline -t))
    for line in (COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t) %(complete_var)s=fish_complete \
%(prog_name)s 2> /dev/null)
        set -l found (string split -m 1 , -- $line)
        if test $found[1] = file
            for path in (__fish_complete_path $found[2])
                echo -- "$before$path"
            end
        else
            echo -- "$before$found[2]"
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""
"""Unlike Click's own script it keeps commas in what it completes, and completes `--option=value`."""

TEMPLATES = {"bash": BASH, "zsh": ZSH, "fish": FISH}
"""The shells and their scripts."""

EXAMPLES = """\b
Examples:
  eval "$(msecli completion bash)"    # in ~/.bashrc
  eval "$(msecli completion zsh)"     # in ~/.zshrc, after compinit
  msecli completion fish > ~/.config/fish/completions/msecli.fish
"""


@click.command(cls=GroupedCommand, epilog=EXAMPLES, short_help="Print a script that completes msecli in your shell.")
@click.argument("shell", type=one_of(TEMPLATES))
def completion(shell: str) -> None:
    """Print the script that makes SHELL complete the command line of msecli.

    It completes commands, options, the words that options take, metrics, names of files and of what is in them, and
    the names of columns in the files that the line already has.
    """
    from msecli.cli.main import cli

    click.echo(_shell(shell)(cli, {}, PROGRAM, COMPLETION).source(), nl=False)


def complete(command: click.Command, instruction: str) -> int:
    """Answer the shell's script, or print it, as Click's own hook does; return the exit code."""
    from click.shell_completion import shell_complete

    for name in TEMPLATES:
        _shell(name)
    return shell_complete(command, {}, PROGRAM, COMPLETION, instruction)


def _shell(name: str) -> type[ShellComplete]:
    """Return Click's class for a shell, after putting our script and our reading of the line into it."""
    from click.shell_completion import BashComplete, FishComplete, ZshComplete, add_completion_class

    shells: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}
    known = shells[name]

    class Completion(known):  # type: ignore[misc, valid-type]
        source_template = TEMPLATES[name]
        before = ""

        def source(self) -> str:
            # Click's asks bash for its version first, which starts another process.
            return str(self.source_template % self.source_vars())

        def get_completion_args(self) -> tuple[list[str], str]:
            words, incomplete = super().get_completion_args()
            # For bash, `--format=js` is three words, and completes the last of them; so is `id=Id`.
            if incomplete == "=":
                words, incomplete = [*words, "="], ""
            while "=" in words:
                place = words.index("=")
                del words[place if words[place - 1].startswith("-") else place - 1 : place + 1]
            # So are `lp:3`, `skill:naive` and `x.npz::pred`, and again only the last of their words is replaced.
            if incomplete in COLONS:
                words, incomplete = [*words, incomplete], ""
            while place := next((at for at in range(1, len(words)) if words[at] in COLONS), 0):
                if place + 1 < len(words):
                    words[place - 1 : place + 2] = ["".join(words[place - 1 : place + 2])]
                else:
                    self.before = "".join(words[place - 1 :])
                    del words[place - 1 :]
            return words, self.before + incomplete

        def format_completion(self, item: CompletionItem[str]) -> str:
            item.value = item.value.removeprefix(self.before)
            return str(super().format_completion(item))

    return add_completion_class(Completion, name)


def completed(option: click.Option, context: click.Context, incomplete: str) -> list[CompletionItem[str]] | None:
    """Return the values that an option may have, by what its metavar stands for; None if nothing is known of it."""
    if option.metavar == "FILE":
        return files(incomplete)
    if option.metavar == "COLUMN":
        return _listed(_columns(option, context), incomplete)
    if option.metavar == "NAMES" and incomplete.rpartition(",")[2].lower().startswith(BEFORE_COLUMN):
        return _listed(_columns(option, context), incomplete, ",:")
    words = WORDS.get(option.metavar or "")
    return None if words is None else _listed(words, incomplete)


def files(incomplete: str) -> list[CompletionItem[str]]:
    """Return the names of what is in a file behind its "::"; leave the names of files to the shell."""
    from click.shell_completion import CompletionItem

    file, start = split_inner(incomplete)
    if file == incomplete or not _may_be_read(file):
        return [CompletionItem(incomplete, type="file")]
    try:
        return [CompletionItem(f"{file}{INNER}{name}") for name in names_inside(file) if name.startswith(start)]
    except (MsecliError, OSError):
        return []


def _may_be_read(path: str) -> bool:
    """Tell whether the files of a path are regular ones of this machine: a pipe could be read only once."""
    outer, _ = split_inner(path)
    try:
        return place_of(outer) is LOCAL and all(os.path.isfile(local_path(each)) for each in files_of(outer))
    except MsecliError:
        return False


def _listed(names: Iterable[str], incomplete: str, marks: str = ",=") -> list[CompletionItem[str]]:
    """Return the names that complete the last one in a list with commas, or behind another of the marks."""
    from click.shell_completion import CompletionItem

    start = max(incomplete.rfind(mark) for mark in marks) + 1
    return [CompletionItem(incomplete[:start] + name) for name in names if name.startswith(incomplete[start:])]


def _columns(option: click.Option, context: click.Context) -> Iterator[str]:
    """Yield the columns of the files on the line: those of predictions, of targets, or, if it may be any, of all."""
    from msecli.cli.reading import readings_from

    found: dict[str, None] = {}
    arguments = [each.name or "" for each in context.command.params if isinstance(each, click.Argument)]
    given = [context.params.get(name) or () for name in arguments]
    paths = [path for value in given for path in ((value,) if isinstance(value, str) else value)]
    readings = readings_from(context.params)
    # The targets are last, behind any number of predictions.
    names = [*[NAMES[0]] * max(1, len(paths) - 1), NAMES[1]]
    for name, path in [*zip(names, paths, strict=False)][FILES.get(option.name or "", slice(None))]:
        if all(map(_may_be_read, alternatives(path))):
            try:
                source = open_source(path, readings.of(name), path)
            except (MsecliError, OSError):
                continue
            found.update(dict.fromkeys(column.name for column in source.columns or ()))
    return iter(found)


FILES = {"pred": slice(0, 1), "inputs": slice(0, 1), "target": slice(-1, None)}
"""The files on the line that have the columns of an option; by default all."""

NAMES = ("predictions", "targets")
"""The parameters that the files on the line are, in every command."""

BEFORE_COLUMN = "skill:"
"""What a column follows in the name of a metric."""

COLONS = frozenset({":", INNER})
"""What bash takes for words of their own."""

WORDS: dict[str, Iterable[str]] = {"[INPUT=]FORMAT": FORMATS, "NAMES": (*metric_names(), ALL)}
"""What other metavars of options stand for."""
