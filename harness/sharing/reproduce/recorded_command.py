"""A recorded command line as its options and arguments, so that it can be given again with some replaced."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click

from harness.core.documents.circumstances import shell_line
from harness.core.shell.paths import OutputFile
from harness.errors import UsageError

#: Options that say where a command works and what it prints, not what it does.
_OWN = frozenset({"results", "form", "quiet", "executor", "address", "trackers", "track_uri"})


class _Part(NamedTuple):
    """An option with its value, or an argument, whose ``name`` is that of the parameter."""

    name: str
    words: list[str]


class RecordedCommand:
    """The command of a record. Files that it would write, and its output, are left out."""

    def __init__(self, words: Sequence[str], allowed: Sequence[str]) -> None:
        """Take the command apart; ``allowed`` are the commands that may be given again.

        Raises:
            UsageError: it is another command, or has an option that this version does not know.
        """
        from harness.core.shell.main import cli

        self.name = next(iter(words), "")
        command = cli.get_command(click.Context(cli), self.name) if self.name in allowed else None
        if command is None:
            known = " or ".join(f"harness {name}" for name in allowed) or "none"
            raise UsageError(f"the recorded command is not {known}: harness {shell_line(words)}")
        parameters = command.get_params(click.Context(command))
        options = [each for each in parameters if isinstance(each, click.Option)]
        self._options = {text: each for each in options for text in (*each.opts, *each.secondary_opts)}
        self._arguments = [each for each in parameters if isinstance(each, click.Argument)]
        self._parts = [
            part for part in self._taken_apart(list(words[1:])) if not self._is_output(part.name, options)
        ]

    @staticmethod
    def _is_output(name: str, options: Sequence[click.Option]) -> bool:
        writes = any(each.name == name and isinstance(each.type, OutputFile) for each in options)
        return writes or name in _OWN

    def _taken_apart(self, words: list[str]) -> list[_Part]:
        parts, position, only_arguments = list[_Part](), 0, False
        while words:
            word = words.pop(0)
            if word == "--" and not only_arguments:
                only_arguments = True
                continue
            if only_arguments or not word.startswith("--"):
                at = min(position, len(self._arguments) - 1)
                parts.append(_Part((self._arguments[at].name or "") if self._arguments else "", [word]))
                position += 1 if self._arguments and self._arguments[at].nargs == 1 else 0
                continue
            name, equals, value = word.partition("=")
            option = self._options.get(name)
            if option is None:
                raise UsageError(
                    f"this version of harness {self.name} has no option {name}, which is recorded"
                )
            values = [value] if equals else [] if option.is_flag else [words.pop(0)] if words else []
            parts.append(_Part(option.name or "", [name, *values]))
        return parts

    def values(self, name: str) -> list[str]:
        """Return the texts of the parameter ``name``: of an option its values, of a flag nothing."""
        return [text for part in self._parts if part.name == name for text in part.words[-1:]]

    def has(self, name: str) -> bool:
        """Check whether the parameter ``name`` is given."""
        return any(part.name == name for part in self._parts)

    def drop(self, *names: str) -> None:
        """Leave out the parameters of these names."""
        self._parts = [part for part in self._parts if part.name not in names]

    def set(self, name: str, *texts: str) -> None:
        """Give the parameter ``name`` these values in place of others; None of them leaves it out."""
        self.drop(name)
        option = next((each for each in self._options.values() if each.name == name), None)
        lead = [] if option is None else [option.opts[0]]
        self._parts += [_Part(name, [*lead, text]) for text in texts]

    def words(self, results: Path) -> list[str]:
        """Return the words of the command, without the name of the program, for this results folder."""
        options = [part for part in self._parts if not self._is_argument(part)]
        arguments = [word for part in self._parts if self._is_argument(part) for word in part.words]
        given = [word for part in options for word in part.words]
        return [self.name, *given, "--results", str(results), *["--", *arguments] * bool(arguments)]

    def text(self, results: Path) -> str:
        """Return the command in one line, quoted for a shell."""
        return f"harness {shell_line(self.words(results))}"

    def _is_argument(self, part: _Part) -> bool:
        return any(each.name == part.name for each in self._arguments)
