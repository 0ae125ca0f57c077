"""``harness duel``: which side trains faster on this machine, by how much, how sure."""

import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli.data_progress import shown_progress
from harness.cli.duel_sides import side_options, sides_of
from harness.cli.options import check_device, check_finite
from harness.cli.options import plugin as plugin_option
from harness.cli.signals import interrupt_on_termination
from harness.cli.standard_error import LiveLine
from harness.duel.conduct import Duel, DuelRequest
from harness.duel.files import DUELS
from harness.duel.record import DuelRecord
from harness.duel.workloads import refuse_different_work
from harness.errors import UsageError
from harness.plugins import registry
from harness.report.duel import duel_text, ratio_text
from harness.runs.data_choice import choose_dataset
from harness.runs.store import prepare_folder


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
@side_options
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
    help="Blocks of each side in a pair: more make a pair surer and longer. Default: 10 to 60, more "
    "of shorter ones.",
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
    interrupt_on_termination()
    request = _request(names, options)
    prepare_folder(options["results"] / DUELS)
    display = _Display(quiet=options["quiet"])
    ctx.call_on_close(display.stop)
    duel = Duel(request, options["results"] / DUELS, display)
    record = duel.carry_out()
    display.stop()
    if options["form"] == "json":
        sys.stdout.buffer.write(msgspec.json.encode(record) + b"\n")
    else:
        click.echo(duel_text(record))
        if duel.path.exists():
            click.echo(f"\nRecord: {duel.path}")
    ctx.exit({"ok": 0, "interrupted": 130}.get(record.status, 1))


class _Display(LiveLine):
    """Lines on standard error: what is going on, and the ratios after each pair."""

    def phase(self, name: str) -> None:
        """See :class:`harness.duel.conduct.DuelObserver`."""
        self.doing(name)

    def paired(self, record: DuelRecord) -> None:
        """See :class:`harness.duel.conduct.DuelObserver`."""
        told = "; ".join(
            f"{one.side} / {one.against} {ratio_text(one)}"
            + (f", {one.verdict}" if one.verdict != "cannot tell yet" else "")
            for one in record.comparisons
        )
        self.say(f"pair {len(record.pairs)} ({record.seconds:.0f} s): {told}")
        self.show(f"pair {len(record.pairs) + 1}")


def _request(names: tuple[str, ...], options: Mapping[str, Any]) -> DuelRequest:
    """All that can be refused before anything runs is refused here."""
    definition = registry.task(options["task_name"])
    sides = sides_of(names, definition, options)
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


def _share(text: str) -> float:
    """``2%`` as 0.02."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not text.endswith("%") or not 0 < share < 1:
        raise UsageError(f"--within {text}: write a percentage above 0 and below 100, such as 2%")
    return share
