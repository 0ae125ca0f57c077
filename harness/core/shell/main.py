"""The command ``harness``: parses, finds the command of the core or of a feature, and ends the process.

A command is imported when it is called.
"""

import atexit
import errno
import io
import os
import sys
import threading
from typing import NoReturn

import click
from click.shell_completion import CompletionItem

from harness.core.shell.features import Command, broken, features, resolved
from harness.core.shell.paths import UNUSABLE, shown
from harness.core.shell.printing import discard, echo, print_error
from harness.core.shell.signals import interrupt_on_termination
from harness.errors import HarnessError, UsageError, unknown_name

#: The commands of the core. Those of features follow them.
_COMMANDS = tuple(
    Command(name, text, f"harness.core.shell.commands.{name}:command", records=name == "run")
    for name, text in {
        "run": "Train and score tasks on backends; record every run.",
        "list": "List backends, tasks, data sets and results.",
        "show": "Print one record in full.",
        "report": "Write the findings as HTML, Markdown or a table.",
        "data": "List, fetch, import and verify data sets.",
        "check": "Check backends against the committed reference, in float64.",
        "reference": "Write a task's reference once two frameworks agree.",
        "new": "Write the skeleton of a plugin.",
        "clean": "Remove lost runs, unfinished files and old caches.",
        "doctor": "Describe this machine and find what disturbs measurements.",
    }.items()
)


def commands_by_heading() -> dict[str, tuple[Command, ...]]:
    """Return the commands by their headings: those of the core, then those of each feature that has any."""
    return {"Commands": _COMMANDS} | {each.title: each.commands for each in features() if each.commands}


def commands() -> dict[str, Command]:
    """Return all commands by name; a feature cannot replace a command that comes before it."""
    every = [command for group in commands_by_heading().values() for command in group]
    return {command.name: command for command in reversed(every)}


def shadowed() -> list[str]:
    """Return warnings for commands of features that have the name of an earlier command."""
    known, texts = set[str](), []
    for heading, group in commands_by_heading().items():
        texts += [
            f"{heading}: harness {each.name} exists already; the command {each.function} is left out"
            for each in group
            if each.name in known
        ]
        known |= {each.name for each in group}
    return texts


_REFUSED = 2
_INTERRUPTED = 130
_STANDARD_ERROR = 2
_OUTPUT_FAILED = (errno.ENOSPC, errno.EPIPE, errno.EIO)


class _LazyGroup(click.Group):
    """Commands by name and short help. A command's module is imported only when it runs."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [command.name for group in commands_by_heading().values() for command in group]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        listed = commands().get(name)
        if listed is None:
            return None
        command: click.Command = resolved(listed.name, listed.function)
        command.short_help = listed.help
        command.name = name  # each module calls its function "command"
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete commands, without importing any, and the options of the group."""
        found = [each for name, each in commands().items() if name.startswith(incomplete)]
        options = click.Command.shell_complete(self, ctx, incomplete)
        return [*(CompletionItem(each.name, help=each.help) for each in found), *options]

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        completing = ctx.resilient_parsing
        if args and not completing and args[0] not in commands() and not args[0].startswith("-"):
            raise unknown_name("command", args[0], commands())
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and not completing:
            _refuse_dropped(command, click.Context(command, ctx, name, resilient_parsing=True), rest)
        return name, command, rest

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = commands_by_heading()
        width = max(len(command.name) for group in groups.values() for command in group)
        for heading, group in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(command.name.ljust(width), command.help) for command in group])


def _refuse_dropped(command: click.Command, ctx: click.Context, arguments: list[str]) -> None:
    """Refuse a parameter without a value, and an option given twice, of which click would use the last.

    ``ctx`` is a context of the command that does not raise; errors of other kinds are left to click.
    """
    values, rest, given = command.make_parser(ctx).parse_args([*arguments])
    for parameter in dict.fromkeys(given):
        value = values[str(parameter.name)]
        texts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(text, str) and not text.strip() for text in texts):
            raise click.BadParameter("it is empty.", ctx, parameter)
        if given.count(parameter) > 1 and not _takes_repeats(parameter):
            names = " or ".join([*parameter.opts, *parameter.secondary_opts])
            raise UsageError(f"{names} is given twice; give it once.")
    if isinstance(command, click.Group) and rest and (inner := command.get_command(ctx, rest[0])):
        _refuse_dropped(inner, click.Context(inner, ctx, rest[0], resilient_parsing=True), rest[1:])


def _takes_repeats(parameter: click.Parameter) -> bool:
    """Check that a parameter keeps every value, or is a flag that can only be set."""
    flag = isinstance(parameter, click.Option) and (parameter.count or parameter.is_flag)
    return bool(parameter.multiple or (flag and not parameter.secondary_opts))


def _remember(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:
    ctx.meta[str(parameter.name)] = value


def _print_version(ctx: click.Context, _parameter: click.Parameter, value: bool) -> None:
    """Print the version; after ``-v``, also the versions of Python and of each backend's frameworks."""
    if ctx.resilient_parsing:
        return
    if not value:
        if ctx.meta["verbose"]:
            raise UsageError("-v belongs to --version: harness --version -v")
        return
    echo(version_text(verbose=ctx.meta["verbose"]))
    ctx.exit()


def version_text(*, verbose: bool) -> str:
    """Return ``harness, version 0.1.0``; if ``verbose``, also versions of Python and of each backend."""
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
    """Run a command line; return its exit code. Errors that a user can correct take one or two lines."""
    try:
        for text in [*map(str, broken()), *shadowed()]:
            print_error(text)
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
        if error.filename is not None and error.errno in UNUSABLE:  # derived from a name that a user gave
            print_error(f"{shown(os.fsdecode(error.filename))}: {error.strerror}")
            code = _REFUSED
        elif error.errno in _OUTPUT_FAILED:
            discard(sys.stdout)
            if error.errno != errno.EPIPE:  # EPIPE: the reader left, as `| head` does
                print_error(f"cannot write the output: {error.strerror}; records are kept")
            code = 1
        else:
            raise
    return code or 0


def _leave(code: int) -> NoReturn:
    """Exit without waiting for threads that a plugin left running."""
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        atexit._run_exitfuncs()  # noqa: SLF001  what Python does next
        os._exit(code)
    sys.exit(code)


def _flush_standard_error() -> None:
    """Flush standard error: a failure at exit would replace the exit code by one of Python's own."""
    try:
        if sys.stderr is not None:
            sys.stderr.flush()
    except OSError:
        discard(sys.stderr)


def _occupy_closed_descriptors() -> None:
    """Open closed standard streams, so that no file opened later gets their descriptors."""
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= _STANDARD_ERROR:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


def _refuse_other_encodings(arguments: list[str]) -> None:
    """Refuse arguments that are not UTF-8: records contain the command line, and JSON is UTF-8."""
    command = commands().get(arguments[0]) if arguments else None
    for argument in arguments if command and command.records else ():
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{argument!a} is not UTF-8 and cannot be stored in a record.") from None


def _takes_task_options(context: click.Context | None) -> bool:
    return context is not None and any("--set" in parameter.opts for parameter in context.command.params)


def _one_line(error: click.ClickException) -> str:
    """Write a click error on one line, with a pointer to the help instead of the usage."""
    text = " ".join(error.format_message().split())
    text = text[:1].lower() + text[1:] + "." * (text[-1] not in ".?!")
    context = error.ctx if isinstance(error, click.UsageError) else None
    if isinstance(error, click.NoSuchOption) and not error.possibilities and _takes_task_options(context):
        name = error.option_name.lstrip("-").replace("-", "_")
        text += f" An option of the task is given as --set {name}=VALUE."
    return f"{text} See: {context.command_path} --help" if context else text
