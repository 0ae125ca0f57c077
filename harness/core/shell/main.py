"""The command ``harness``: parses, calls the rooms below and prints. It measures and decides nothing.

Each command is a module of this package, imported when it is called. It may import every other room
but the pytest plugin; no room imports it.
"""

import atexit
import errno
import importlib
import io
import os
import sys
import threading
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from harness.core.shell.printing import (
    discard,
    echo,
    interrupt_on_termination,
    print_error,
)
from harness.errors import HarnessError, UsageError

_COMMANDS = {
    "run": "Train and score tasks on backends; record every run.",
    "duel": "Compare the training speed of two or more configurations.",
    "time": "Time a training step of your own.",
    "gate": "Compare HEAD with a base commit: speed, memory and quality.",
    "upgrade": "Compare two versions of a framework before you upgrade.",
    "bisect": "Find the commit or version that changed a step.",
    "history": "Find changes of speed and memory over the gates of a branch.",
    "list": "List backends, tasks, data sets and results.",
    "show": "Print one record in full.",
    "score": "Score the weights of a recorded run in any framework.",
    "explain": "Show which inputs a recorded network depends on.",
    "compare": "Compare recorded runs: speed, quality, overfitting.",
    "report": "Write the findings as HTML, Markdown, a table or a notebook.",
    "export": "Show recorded runs in MLflow or TensorBoard.",
    "study": "Compare remedies for overfitting or class imbalance.",
    "port": "Check whether two models are equal, and locate differences.",
    "data": "List, fetch, import and verify data sets.",
    "check": "Check backends against the committed reference, in float64.",
    "new": "Write the skeleton of a backend, a task or a data set.",
    "reference": "Write a task's reference once two frameworks agree.",
    "ledger": "Print framework defaults that differ, and how tasks fix them.",
    "clean": "Remove lost runs, unfinished files and old caches.",
    "doctor": "Describe this machine and find what disturbs measurements.",
}
_MODULES = {
    "duel": "harness.timing.duel.command",
    "time": "harness.timing.time.command",
    "gate": "harness.timing.gate.command",
    "upgrade": "harness.timing.gate.upgrade_command",
    "bisect": "harness.timing.bisect.command",
    "history": "harness.timing.history.command",
    "score": "harness.weights.score.command",
    "explain": "harness.weights.explain.command",
    "compare": "harness.learning.runs.command",
    "export": "harness.tracking.command",
    "study": "harness.learning.study.command",
    "port": "harness.port.command",
}
#: Commands that write records, which contain the command line.
_RECORDING = {"run", "duel", "time", "gate", "upgrade", "bisect", "study", "port"}
_REFUSED = 2
_INTERRUPTED = 130
_STANDARD_ERROR = 2
_OUTPUT_FAILED = (errno.ENOSPC, errno.EPIPE, errno.EIO)


class _LazyGroup(click.Group):
    """Commands by name and short help. A command's module is imported only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS]  # the module harness.core.shell.commands.list hides the builtin here

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(
            _MODULES.get(name, f"harness.core.shell.commands.{name}")
        ).command
        command.short_help = _COMMANDS[name]
        command.name = name  # each module calls its function "command"
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The commands that begin so, without importing any, and the options of the group."""
        commands = [(name, text) for name, text in _COMMANDS.items() if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(name, help=text) for name, text in commands), *options]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        completing = ctx.resilient_parsing
        if args and not completing and args[0] not in _COMMANDS and not args[0].startswith("-"):
            from harness.errors import unknown_name

            raise unknown_name("command", args[0], _COMMANDS)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([*_COMMANDS.items()])


def _remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta[str(parameter.name)] = value


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Print the version; the option before it says whether others are printed, too."""
    if ctx.resilient_parsing:
        return
    if not value:
        if ctx.meta["verbose"]:
            raise UsageError("-v belongs to --version: harness --version -v")
        return
    echo(version_text(verbose=ctx.meta["verbose"]))
    ctx.exit()


def version_text(*, verbose: bool) -> str:
    """``harness, version 0.1.0``; if ``verbose`` also Python and each backend, from packages' metadata."""
    import platform
    from importlib import metadata

    own = f"harness, version {metadata.version('dl-harness')}"
    if not verbose:
        return own
    from harness.core.plugins import registry
    from harness.core.plugins.installation import installation

    states = {name: installation(name) for name in registry.names("backend")}
    versions = {"python": platform.python_version()}
    versions |= {name: detail if state == "installed" else state for name, (state, detail) in states.items()}
    width = max(map(len, versions))
    return "\n".join([own, "", *(f"{name:{width}}  {version}" for name, version in versions.items())])


@click.group(
    cls=_LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with: harness run --backend torch --task cnn",
)
@click.option(
    "-v",
    "verbose",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_remember,
    help="With --version, also show the versions of Python and of each backend's frameworks.",
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli() -> None:
    """Benchmark deep-learning frameworks on work that is proven to be the same.

    Every backend starts from the same weights and sees the same batches. A certificate in float64 shows that
    it computes the same; then time, memory and quality are measured and compared.
    """


def main() -> None:
    """Run the command line of this process, and end it."""
    interrupt_on_termination()
    _occupy_closed_descriptors()
    if sys.stdout is None:
        print_error("standard output is closed; redirect it to a file or to /dev/null")
        sys.exit(_REFUSED)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # for terminals without Unicode
    code = execute(sys.argv[1:])
    _flush_standard_error()
    _leave(code)


def execute(arguments: list[str]) -> int:
    """Run a command line; returns its exit code. Errors that a user can correct take one or two lines."""
    try:
        _refuse_other_encodings(arguments)
        code: int | None = cli.main(arguments, standalone_mode=False, prog_name="harness")
        sys.stdout.flush()
    except HarnessError as error:
        print_error(str(error))
        code = error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        print_error(_one_line(error))
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        print_error("interrupted")
        code = _INTERRUPTED
    except OSError as error:
        if error.errno not in _OUTPUT_FAILED:
            raise
        discard(sys.stdout)
        if error.errno != errno.EPIPE:  # EPIPE: the reader left, as `| head` does
            print_error(f"cannot write the output: {error.strerror}; records are kept")
        code = 1
    return code or 0


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads that a plugin left running."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        atexit._run_exitfuncs()  # noqa: SLF001  what Python does next
        os._exit(code)
    sys.exit(code)


def _flush_standard_error() -> None:
    """Flush here: a failure at exit would replace the exit code by one of Python's own."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        discard(sys.stderr)


def _occupy_closed_descriptors() -> None:
    """Open closed standard streams, so that no file that is opened later gets their descriptor."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STANDARD_ERROR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _refuse_other_encodings(arguments: list[str]) -> None:
    """Refuse arguments that are not UTF-8: records contain the command line, and JSON is UTF-8."""
    for argument in arguments if arguments[:1] and arguments[0] in _RECORDING else ():
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{argument!a} is not UTF-8 and cannot be stored in a record.") from None


def _takes_task_options(context: click.Context | None) -> bool:
    return context is not None and any("--set" in parameter.opts for parameter in context.command.params)


def _one_line(error: click.ClickException) -> str:
    """A click error on one line, with a pointer to the help instead of the usage."""
    text = " ".join(error.format_message().split())
    text = text[:1].lower() + text[1:] + "." * (text[-1] not in ".?!")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and not error.possibilities and _takes_task_options(context):
        name = error.option_name.lstrip("-").replace("-", "_")
        text += f" An option of the task is given as --set {name}=VALUE."
    return f"{text} See: {context.command_path} --help" if context else text
