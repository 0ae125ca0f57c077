"""The command ``harness``. Each command is a module of this package, imported when it is called."""

import errno
import importlib
import io
import os
import sys

import click

from harness.cli.ending import complain, forget
from harness.errors import HarnessError, UsageError

_COMMANDS = {
    "run": "Train tasks on backends, score them and record all of it.",
    "duel": "Say which of two or more sides trains faster, by how much, how sure.",
    "gate": "Hold head against base in CI: slower, hungrier, worse?",
    "history": "Find slips in speed and memory over the stored gates of a branch.",
    "list": "List backends, tasks, data sets and results.",
    "show": "Print one record in full.",
    "compare": "Compare sides: quality, time, overfitting.",
    "report": "Write findings as HTML, Markdown, a table or a notebook.",
    "study": "Try remedies for overfitting or imbalance side by side.",
    "data": "Fetch, import and check data sets.",
    "check": "Hold a backend against the committed reference, in float64.",
    "reference": "Make a task's reference from the agreement of frameworks.",
    "ledger": "Print where frameworks differ by default, and what is pinned.",
    "doctor": "Describe this machine and what will spoil timings on it.",
}
#: Those whose records tell how they were called.
_RECORDING = {"run", "duel", "gate", "study"}
_REFUSED = 2
_INTERRUPTED = 130
_STANDARD_ERROR = 2
_OUTPUT_FAILED = (errno.ENOSPC, errno.EPIPE, errno.EIO)


class _LazyGroup(click.Group):
    """Knows each command's name and one line of help; imports its module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"harness.cli.{name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from harness.errors import unknown_name

            raise unknown_name("command", args[0], _COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: harness run --backend torch --task cnn",
)
@click.version_option(package_name="dl-harness", prog_name="harness")
def cli() -> None:
    """Benchmarks of deep-learning frameworks: the same work first, then the time, then how sure."""


def main() -> None:
    """Run the command line; errors that a person can act on end in a line or two."""
    _occupy_closed_descriptors()
    if sys.stdout is None:
        complain("standard output is closed; send it to a file, or to /dev/null")
        sys.exit(_REFUSED)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a sign must not end a command
    try:
        _refuse_what_is_no_text(sys.argv[1:])
        code = cli.main(standalone_mode=False, prog_name="harness")
        sys.stdout.flush()
    except HarnessError as error:
        complain(str(error))
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        complain(_in_our_words(error))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        complain("interrupted")
        code = _INTERRUPTED
    except OSError as error:
        if error.errno not in _OUTPUT_FAILED:
            raise
        forget(sys.stdout)
        if error.errno != errno.EPIPE:  # a reader that left, as `| head` does, wants no more words
            complain(f"output cannot be written: {error.strerror}; records are kept")
        code = 1
    _flush_standard_error()
    sys.exit(code or 0)


def _flush_standard_error() -> None:
    """What it cannot take would else end the process with a code of Python's own."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        forget(sys.stderr)


def _occupy_closed_descriptors() -> None:
    """A file that is opened later must not get the number of a standard stream that came closed."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STANDARD_ERROR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _refuse_what_is_no_text(arguments: list[str]) -> None:
    """Records keep the command line, and JSON is text."""
    for argument in arguments if arguments[:1] and arguments[0] in _RECORDING else ():
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"{argument!a} is not UTF-8, which records are in; give it another name"
            ) from None


def _in_our_words(error: click.ClickException) -> str:
    """Click's complaint as one line of ours, with the help to look at in place of the usage."""
    text = " ".join(error.format_message().split())
    text = text[:1].lower() + text[1:]
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"{text} See: {context.command_path} --help" if context else text
