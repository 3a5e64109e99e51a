"""Commands whose help comes in two lengths, with options by group, and whose settings may come from the environment."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from msecli.cli.colors import say
from msecli.errors import EXIT_DATA, EXIT_USAGE, MsecliError, meant, similar, visible
from msecli.kernel import VARIABLE
from msecli.places import TIMEOUT_VARIABLE

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

GROUPS = (
    "Columns and rows",
    "Model",
    "Norm",
    "Check",
    "Loss",
    "Decision",
    "Gradient",
    "Output",
    "Reading",
    "Running",
    "Help",
)
"""The groups of options, in the order of the help: what most people need first."""

SCREEN_COLUMNS = 80
EXAMPLES_SHOWN = 3
"""Of the examples, `-h` shows these first ones; it has to fit on a screen of 24 lines."""

ALONE = "all"
"""The value of an option that stands alone."""


class Word(click.Choice[str]):
    """One of several words, in any case; of another word it says which one was probably meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the word as it is in the list."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            near = meant(str(value), self.choices)
            if not near:
                raise
            self.fail(error.message.removesuffix(".") + near, param, ctx)


def one_of(words: Iterable[str]) -> Word:
    """Return the type of one of several words, in any case."""
    return Word(list(words), case_sensitive=False)


class GroupedOption(click.Option):
    """An option in a group of the help; those with a `brief` text are also on the screen that `-h` prints.

    With `words`, which tells the option's own words, it may stand alone, and then has the value `ALONE`.
    """

    def __init__(
        self,
        *args: Any,
        group: str,
        brief: str | None = None,
        words: Callable[[str], bool] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.group = group
        self.brief = brief
        self.words = words

    def resolve_envvar_value(self, ctx: click.Context) -> str | None:
        """Return the value that the environment has under one of the option's names."""
        set_by = _variables(ctx, self) if self.allow_from_autoenv else []
        return next((value for name in set_by if (value := os.environ.get(name))), None)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[str]]:
        """Complete a value by what the option's metavar stands for."""
        from msecli.cli.completion import completed

        found = completed(self, ctx, incomplete)
        return super().shell_complete(ctx, incomplete) if found is None else found


class Helpful(click.Command):
    """A command whose option for help is made here: Click's looks for a translation, which takes a millisecond."""

    _help_option: click.Option | None = None

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option for help, always the same one."""
        if self._help_option is None:
            self._help_option = click.Option(
                self.get_help_option_names(ctx),
                is_flag=True,
                is_eager=True,
                expose_value=False,
                callback=_show_help,
                help="Show this message and exit.",
            )
        return self._help_option


def _show_help(ctx: click.Context, option: click.Parameter, value: bool) -> None:  # noqa: FBT001 - Click's signature
    if value and not ctx.resilient_parsing:
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


class GroupedCommand(Helpful):
    """A command with a screen of help for `-h`, and all of it by group for `--help`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.context_settings = {"help_option_names": ["--help"], **self.context_settings}
        brief = GroupedOption(
            ["-h", "brief"],
            group="Help",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            allow_from_autoenv=False,
            callback=_show_brief,
            help="Show the most useful options and exit.",
        )
        self.params.append(brief)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each group."""
        sections: dict[str, list[tuple[str, str]]] = {title: [] for title in GROUPS}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                sections[getattr(parameter, "group", "Help")].append(record)
        for title, records in sections.items():
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples, and how to set options in the environment."""
        super().format_epilog(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(
            f"Every option can also be set in the environment: {ctx.auto_envvar_prefix}_ and its name, "
            f"as in {ctx.auto_envvar_prefix}_FORMAT=json."
        )

    def brief_help(self, ctx: click.Context) -> str:
        """Return help that fits on a screen: the most useful options and some examples."""
        formatter = click.HelpFormatter(max_width=SCREEN_COLUMNS)
        self.format_usage(ctx, formatter)
        formatter.write_paragraph()
        formatter.write_text(self.short_help or "")
        formatter.write_paragraph()
        if options := [(_spelled(option), option.brief) for option in self._options() if option.brief is not None]:
            formatter.write_dl(options, col_max=SCREEN_COLUMNS)
            formatter.write_paragraph()
        title, *examples = (self.epilog or "").replace("\b\n", "").rstrip().splitlines()
        formatter.write("\n".join([title, *examples[:EXAMPLES_SHOWN], ""]))
        formatter.write_paragraph()
        formatter.write(f"{ctx.command_path} --help lists all options.\n")
        return formatter.getvalue().rstrip("\n")

    def _options(self) -> Iterator[GroupedOption]:
        rank = GROUPS.index
        options = [option for option in self.params if isinstance(option, GroupedOption)]
        yield from sorted(options, key=lambda option: rank(option.group))

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the command line and the environment, and say what is wrong with either."""
        if ctx.resilient_parsing and args and self._takes_value(args[-1]):
            # The value is what is being completed; without one Click would not see the files before the option.
            args = [*args, ""]
        ctx.allow_extra_args = True  # they are refused here, with a hint
        try:
            rest = super().parse_args(ctx, self._with_values(ctx, args))
        except click.NoSuchOption as error:
            known = [name for option in self.params if not getattr(option, "hidden", False) for name in option.opts]
            raise _no_such(
                ctx, "option", error.option_name, [name for name in known if name.startswith("--")]
            ) from error
        except click.BadParameter as error:
            if error.param is not None:
                _add_variables(error, ctx, [error.param])
            raise
        if not ctx.resilient_parsing:
            _refuse_extra(ctx, rest)
            self._warn_of_variables(ctx)
        return rest

    def _with_values(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Give every option that may stand alone a value: the next word, if it is one of its own.

        Click would take any word, so that the file in `--no-header a.csv` would be the option's value.
        """
        alone = {name: option.words for option in self._options() if option.words for name in option.opts}
        found: list[str] = []
        left = list(args)
        while left:
            word = left.pop(0)
            if word == "--":
                return [*found, word, *left]
            if word in alone:
                value = left.pop(0) if left and alone[word](left[0]) else ALONE
                if value != ALONE and os.path.exists(value):
                    raise click.UsageError(
                        f"{value!r} is a file, too: write {word}={value}, or ./{value} for the file", ctx
                    )
                word = f"{word}={value}"
            found.append(word)
        return found

    def _takes_value(self, word: str) -> bool:
        return any(word in option.opts and not option.is_flag for option in self._options())

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that an option may have caused says which ones came from the environment."""
        try:
            return super().invoke(ctx)
        except MsecliError as error:
            if error.exit_code in (EXIT_USAGE, EXIT_DATA):
                _add_variables(error, ctx, self.params)
            raise

    def _warn_of_variables(self, ctx: click.Context) -> None:
        """Warn of variables in the environment that look like options of this command, but are none."""
        known = {
            name: getattr(parameter, "hidden", False)
            for parameter in self.get_params(ctx)
            for name in _variables(ctx, parameter)
        }
        for name in sorted(os.environ):
            if name.startswith(f"{ctx.auto_envvar_prefix}_") and name not in known:
                shown = [variable for variable, hidden in known.items() if not hidden]
                hint = meant(name, shown, f"{ctx.auto_envvar_prefix}_", str)
                say("Warning", f"{visible(name)} is set, but {ctx.info_name} has no such option{hint}")


def _refuse_extra(ctx: click.Context, extra: Sequence[str]) -> None:
    """Refuse further arguments; those of a pattern that the shell has replaced by files are better quoted."""
    if not extra:
        return
    suffix = os.path.splitext(extra[-1])[1]
    files = all(map(os.path.isfile, extra))
    hint = f". For several files of one side quote their pattern, as in 'preds/*{suffix}'" if files else ""
    raise click.UsageError(
        f"Got unexpected extra argument{'s' if len(extra) > 1 else ''} ({' '.join(extra)}){hint}", ctx
    )


class Commands(Mapping[str, click.Command]):
    """Commands by name, in the order of the help; each is loaded from its module of `msecli.cli` when it is needed."""

    def __init__(self, *names: str) -> None:
        self._names = dict.fromkeys(names)

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._names:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"msecli.cli.{name}"), name)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class CommandGroup(Helpful, click.Group):
    """The command that has the others, in their order."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, what most people need first."""
        return list(self.commands)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; warn of variables in the environment that are for none."""
        prefix = f"{ctx.auto_envvar_prefix}_"
        commands = {f"{prefix}{name.upper()}": name for name in self.commands}
        expected = (VARIABLE, TIMEOUT_VARIABLE, *(f"{each}_" for each in commands))
        for name in sorted(os.environ):
            if name.startswith(prefix) and not name.startswith(expected):
                known = [
                    f"{each}_{option.name.upper()}"
                    for each, command in commands.items()
                    for option in self.commands[command].params
                    if option.name and not getattr(option, "hidden", False)
                ]
                near = meant(name, [VARIABLE, TIMEOUT_VARIABLE, *known], prefix, str)
                hint = near or f"; options are set as {prefix}COMMAND_OPTION"
                say("Warning", f"{visible(name)} is set, but no command has such an option{hint}")
        return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first word names."""
        if (
            args
            and self.get_command(ctx, args[0]) is None
            and not args[0].startswith("-")
            and not ctx.resilient_parsing
        ):
            raise _no_such(ctx, "command", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def _no_such(ctx: click.Context, kind: str, name: str, known: Iterable[str]) -> click.UsageError:
    near = similar(name, known, "--")
    hint = f" Did you mean {near!r}?" if near else ""
    return click.UsageError(f"No such {kind} {name!r}.{hint}", ctx)


def _show_brief(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's callback
    if value and not ctx.resilient_parsing and isinstance(ctx.command, GroupedCommand):
        click.echo(ctx.command.brief_help(ctx))
        ctx.exit()


def _spelled(option: GroupedOption) -> str:
    """Return the names of an option, as in the help, and one word for its value."""
    long = [name for name in option.opts if name.startswith("--")]
    names = ", ".join([*(name for name in option.opts if name not in long), *long[:1]])
    return names if option.is_flag else f"{names} {option.metavar or 'WORD'}"


def _variables(ctx: click.Context, parameter: click.Parameter) -> list[str]:
    """Return the variables that set an option: one for each of its long names."""
    names = [parameter.name or "", *(name.removeprefix("--") for name in parameter.opts if name.startswith("--"))]
    return list(dict.fromkeys(f"{ctx.auto_envvar_prefix}_{name.upper().replace('-', '_')}" for name in names))


def _add_variables(error: Exception, ctx: click.Context, parameters: Iterable[click.Parameter]) -> None:
    """Add a note to an error: which of the parameters were set in the environment."""
    for parameter in parameters:
        if ctx.get_parameter_source(parameter.name or "") is ParameterSource.ENVIRONMENT:
            variable = next(name for name in _variables(ctx, parameter) if os.environ.get(name))
            error.add_note(f"set in the environment: {variable}={visible(os.environ[variable])}")
