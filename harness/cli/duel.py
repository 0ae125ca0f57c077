"""``harness duel``: which side trains faster on this machine, by how much, how sure."""

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec
from rich.console import Console

from harness import plugins
from harness.cli.data_progress import shown_progress
from harness.cli.ending import end_as_by_ctrl_c
from harness.cli.plugin_option import plugin_option
from harness.cli.run import check_device
from harness.cli.selection_options import check_finite
from harness.cli.side_options import interpreter, variables
from harness.data_choice import choose_dataset
from harness.definition import define_task, resized
from harness.duel.conduct import TURNS, Duel, DuelRequest
from harness.duel.files import DUELS
from harness.duel.record import DuelRecord
from harness.duel.sides import Side, labelled, refuse_different_work
from harness.errors import UsageError, unknown_name
from harness.installation import select_backend
from harness.interpreter import installed_harness
from harness.machine import default_threads
from harness.options import parse_options
from harness.report.duel import duel_text, ratio_text
from harness.spec import Plan, TaskDefinition
from harness.store import Store

_LETTERS = "abcd"
_FEWEST_SIDES = 2
_F = TypeVar("_F", bound=Callable[..., Any])


def _side_options(function: _F) -> _F:
    """The options that one side has for itself, ``--b-python`` and so on, for each letter."""
    for letter in reversed(_LETTERS):
        kinds = (
            click.option(f"--{letter}-python", metavar="PATH", hidden=letter != "b",
                         help="Side b's interpreter: another virtual environment."),
            click.option(f"--{letter}-env", multiple=True, metavar="NAME=VALUE", hidden=letter != "b",
                         help="An environment variable of side b's processes; repeatable."),
            click.option(f"--{letter}-set", multiple=True, metavar="KEY=VALUE", hidden=letter != "b",
                         help="batch_size=N for side b alone."),
            click.option(f"--{letter}-threads", type=click.IntRange(min=1, max=1024), hidden=letter != "b",
                         help="Side b's CPU threads."),
            click.option(f"--{letter}-precision", type=click.Choice(["float32", "float64", "bfloat16"]),
                         hidden=letter != "b", help="Side b's arithmetic; a, c, d alike."),
        )  # fmt: skip
        for option in reversed(kinds):
            function = option(function)
    return function


@click.command(short_help="Say which of two or more sides trains faster, by how much, how sure.")
@click.argument("names", metavar="SIDE SIDE...", nargs=-1, required=True)
@click.option("--task", "task_name", required=True, metavar="NAME", help="The task that all sides train.")
@click.option("--dataset", metavar="NAME", help="Data set, strictly this one. Default: as of `harness run`.")
@click.option(
    "--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One of the task's options, for all."
)
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples a step. Default: the task's.")
@click.option(
    "--device",
    default="auto",
    callback=check_device,
    show_default=True,
    metavar="DEVICE",
    help="As of `harness run`.",
)
@click.option(
    "--precision",
    default="float32",
    show_default=True,
    type=click.Choice(["float32", "float64", "bfloat16"]),
    help="Arithmetic.",
)
@click.option(
    "--threads", type=click.IntRange(min=1, max=1024), help="CPU threads. Default: the physical cores."
)
@click.option("--seed", type=click.IntRange(min=0, max=2**31 - 1), default=0, show_default=True)
@_side_options
@click.option(
    "--within",
    default="2%",
    show_default=True,
    metavar="PERCENT",
    help="Sides whose times are surely within this of each other are the same.",
)
@click.option(
    "--budget",
    type=click.FloatRange(min=0, min_open=True),
    callback=check_finite,
    default=300.0,
    show_default=True,
    metavar="SECONDS",
    help="Stop after so long, certification not counted; sooner when every verdict is in and precise.",
)
@click.option(
    "--turns",
    type=click.IntRange(min=2, max=1000),
    default=TURNS,
    show_default=True,
    help="Blocks of each side in a pair: more make a pair surer and longer.",
)
@click.option(
    "--environment",
    type=click.Choice(["quiet", "plain"]),
    default="quiet",
    show_default=True,
    help="quiet: allocator, threads and hash seed fixed against noise; plain: as your shell has it.",
)
@click.option(
    "--certify/--no-certify",
    default=True,
    show_default=True,
    help="Prove first, in float64, that each side does the reference's work (cached).",
)
@click.option(
    "--results",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("results"),
    show_default=True,
    help="Folder of the records.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output.",
)
@click.option("--quiet", is_flag=True, help="No progress: the outcome alone.")
@plugin_option
@click.pass_context
def command(ctx: click.Context, /, names: tuple[str, ...], **options: Any) -> None:
    """Hold sides against the first one: who trains TASK faster on this machine, by how much, how sure.

    A side is BACKEND or BACKEND:MODE. Fresh processes of all sides take turns in short blocks, one
    running at a time, until an exact test over pairs of processes can tell, or the budget is spent.

    \b
      harness duel torch keras --task cnn
      harness duel torch torch:compile --task mlp --budget 120
      harness duel torch torch --task cnn --b-python ../other-venv/bin/python
      harness duel torch torch --task cnn --b-env MALLOC_ARENA_MAX=1

    Exit code: 0 with a verdict or an honest "cannot tell yet", 1 when a side failed, 2 when the duel
    was refused, 130 after Ctrl-C (what was measured is kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    end_as_by_ctrl_c()
    request = _request(names, options)
    Store(options["results"]).prepare()
    display = _Display(quiet=options["quiet"])
    ctx.call_on_close(display.stop)
    duel = Duel(request, options["results"] / DUELS, display)
    record = duel.carry_out()
    display.stop()
    if options["form"] == "json":
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    else:
        click.echo(duel_text(record))
        click.echo(f"\nRecord: {duel.path}")
    ctx.exit({"ok": 0, "interrupted": 130}.get(record.status, 1))


class _Display:
    """Lines on standard error: what is going on, and the ratios after each pair."""

    def __init__(self, *, quiet: bool) -> None:
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)
        self._status = self._console.status("")
        if self._console.is_terminal and not quiet:
            self._status.start()

    def phase(self, name: str) -> None:
        """See :class:`harness.duel.conduct.DuelObserver`."""
        self._status.update(name)
        if not self._console.is_terminal:
            self._console.print(name, markup=False)

    def paired(self, record: DuelRecord) -> None:
        """See :class:`harness.duel.conduct.DuelObserver`."""
        told = "; ".join(
            f"{one.side} / {one.against} {ratio_text(one)}"
            + (f", {one.verdict}" if one.verdict != "cannot tell yet" else "")
            for one in record.comparisons
        )
        self._console.print(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {told}", markup=False)
        self._status.update(f"pair {len(record.pairs) + 1}")

    def stop(self) -> None:
        """Take the live line away."""
        self._status.stop()


def _request(names: tuple[str, ...], options: Mapping[str, Any]) -> DuelRequest:
    """All that can be refused before anything runs is refused here."""
    if not _FEWEST_SIDES <= len(names) <= len(_LETTERS):
        raise UsageError(
            f"a duel takes 2 to {len(_LETTERS)} sides, such as: harness duel torch keras --task cnn"
        )
    definition = plugins.task(options["task_name"])
    sides = labelled(
        [_side(letter, name, definition, options) for letter, name in zip(_LETTERS, names, strict=False)]
    )
    _refuse_surplus_letters(len(names), options)
    refuse_different_work(sides)
    with shown_progress(quiet=options["quiet"]) as progress:
        dataset = choose_dataset(definition, options["dataset"], progress)
    return DuelRequest(
        sides=sides,
        dataset=dataset,
        margin=_share(options["within"]),
        budget_seconds=options["budget"],
        quiet_environment=options["environment"] == "quiet",
        certify=options["certify"],
        seed=options["seed"],
        turns=options["turns"],
    )


def _side(letter: str, name: str, definition: TaskDefinition, options: Mapping[str, Any]) -> Side:
    def own(kind: str) -> Any:
        return options[f"{letter}_{kind}"]

    python = interpreter(f"--{letter}-python", own("python"))
    environment = variables(f"--{letter}-env", own("env"))
    if own("python"):
        installed_harness(f"--{letter}-python", python, environment)
    backend, mode = _backend_and_mode(name, here=python == sys.executable)
    assignments, batch_size = _without_batch_size(letter, own("set"), options["batch_size"])
    settings = parse_options(definition, [*options["assignments"], *assignments])
    task = resized(define_task(definition, settings), batch_size)
    plan = Plan(
        task=task,
        mode=mode,
        device=options["device"],
        precision=own("precision") or options["precision"],
        threads=own("threads") or options["threads"] or default_threads(),
        seed=options["seed"],
    )
    return Side(
        label=f"{backend}:{mode}",
        backend=backend,
        plan=plan,
        options=msgspec.structs.asdict(settings),
        python=python,
        environment=environment,
    )


def _backend_and_mode(name: str, *, here: bool) -> tuple[str, str]:
    """What another interpreter has installed is seen when it is started."""
    if here:
        backend, mode = select_backend(name)
        return backend.name, mode
    backend_name, _, mode = name.partition(":")
    backend = plugins.backend(backend_name)
    if mode and mode not in backend.modes:
        raise unknown_name(f"mode of backend {backend_name}", mode, backend.modes)
    return backend_name, mode or backend.modes[0]


def _without_batch_size(
    letter: str, assignments: tuple[str, ...], batch_size: int | None
) -> tuple[list[str], int | None]:
    """The batch size is no option of a task, but a side may have its own."""
    rest = []
    for text in assignments:
        key, _, value = text.partition("=")
        if key != "batch_size":
            rest.append(text)
        elif value.isdecimal() and int(value) > 0:
            batch_size = int(value)
        else:
            raise UsageError(f"--{letter}-set {text}: batch_size takes a whole number > 0.")
    return rest, batch_size


def _refuse_surplus_letters(sides: int, options: Mapping[str, Any]) -> None:
    for letter in _LETTERS[sides:]:
        for kind in ("python", "env", "set", "threads", "precision"):
            if options[f"{letter}_{kind}"]:
                raise UsageError(f"--{letter}-{kind} is of a side that is not there: {sides} were given")


def _share(text: str) -> float:
    """``2%`` as 0.02."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not text.endswith("%") or not 0 < share < 1:
        raise UsageError(f"--within {text}: write a percentage above 0 and below 100, such as 2%")
    return share
