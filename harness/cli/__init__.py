"""The command ``harness``. Each command is a module of this package, imported when it is called."""

import errno
import importlib
import os
import sys

import click

from harness.errors import HarnessError

_COMMANDS = {
    "run": "Train tasks on backends, score them and record all of it.",
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
_INTERRUPTED = 130


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
    try:
        code = cli.main(standalone_mode=False, prog_name="harness")
    except HarnessError as error:
        click.echo(f"harness: {error}", err=True)
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("harness: interrupted", err=True)
        code = _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left, as `| head` does; nothing is lost by stopping.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        click.echo(f"harness: output cannot be written: {error.strerror}; records are kept", err=True)
        code = 1
    sys.exit(code or 0)
