"""A recorded command line as its options and arguments, so that it can be given again with some replaced."""

import re
from collections.abc import Sequence
from pathlib import Path

import click

from harness.core.documents.circumstances import shell_line
from harness.core.shell.paths import OutputFile
from harness.errors import UsageError

#: Options that say where a command works and what it prints, not what it does.
_OWN = frozenset({"results", "form", "quiet", "executor", "address"})


class RecordedCommand:
    """The command of a record. Files that it would write, and its output, are left out."""

    def __init__(self, words: Sequence[str], allowed: Sequence[str]) -> None:
        """Parse the command; ``allowed`` are the commands that may be given again."""
        from harness.core.shell.main import cli

        words = [re.sub(r"(?<![\w./~-])~/", f"{Path.home()}/", word) for word in words]
        self.name = next(iter(words), "")
        command = cli.get_command(click.Context(cli), self.name) if self.name in allowed else None
        if command is None:
            known = " or ".join(f"harness {name}" for name in allowed) or "none"
            raise UsageError(f"the recorded command is not {known}: harness {shell_line(words)}")
        context = click.Context(command)
        self._parameters = {each.name or "": each for each in command.get_params(context)}
        try:
            given, left, order = command.make_parser(context).parse_args(list(words[1:]))
            if left:
                context.fail(f"Got unexpected extra argument ({left[0]})")
        except click.UsageError as error:
            message = f"this version of harness {self.name} does not take the recorded command"
            raise UsageError(f"{message}: {error.format_message()}") from error
        #: By parameter, its texts, or of a flag a boolean.
        self._given: dict[str, list[str | bool]] = {}
        for parameter in order:
            if (name := parameter.name or "") not in _OWN and not isinstance(parameter.type, OutputFile):
                values = given[name] if isinstance(given[name], list | tuple) else [given[name]]
                # Click has an object of its own for an argument that is not given.
                self._given[name] = [each for each in values if isinstance(each, str | bool)]

    def values(self, name: str) -> list[str]:
        """Return the texts of the parameter ``name``; none if it is not given, or a flag."""
        return [each for each in self._given.get(name, ()) if isinstance(each, str)]

    def drop(self, name: str) -> None:
        """Leave out the parameter of this name."""
        self._given.pop(name, None)

    def set(self, name: str, *texts: str) -> None:
        """Give the parameter ``name`` these values in place of others."""
        self._given[name] = [*texts]

    def words(self, results: Path) -> list[str]:
        """Return the words of the command, without the name of the program, for this results folder."""
        options, arguments = list[str](), list[str]()
        for name, values in self._given.items():
            parameter = self._parameters[name]
            for value in values:
                if isinstance(value, bool):
                    options.append((parameter.opts if value else parameter.secondary_opts)[0])
                elif isinstance(parameter, click.Argument):
                    arguments.append(value)
                else:
                    options += [parameter.opts[0], value]
        return [self.name, *options, "--results", str(results), *["--", *arguments] * bool(arguments)]

    def text(self, results: Path) -> str:
        """Return the command in one line, quoted for a shell."""
        return f"harness {shell_line(self.words(results))}"
