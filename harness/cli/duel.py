"""``harness duel``: which configuration trains faster on this machine, and by how much."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.cli import completion, executor_options
from harness.cli import options as shared
from harness.cli.data_progress import shown_progress
from harness.cli.duel_display import DuelDisplay, ModeDisplay
from harness.cli.duel_workloads import (
    check_number_of_configurations,
    configuration_options,
    workloads_of,
)
from harness.cli.executor_options import on_cluster
from harness.cli.own_model import with_own_pair
from harness.cli.printing import echo, echo_json
from harness.cli.signals import interrupt_on_termination
from harness.duel.conduct import Duel
from harness.duel.fastest_mode import FastestModes
from harness.duel.record import DUELS, DuelRecord
from harness.duel.workloads import DuelRequest, Workload, labelled, refuse_different_work
from harness.errors import UsageError
from harness.plugins import registry
from harness.report.duel import duel_text
from harness.report.mode_words import faster_modes
from harness.runs.request import choose_dataset
from harness.runs.store import prepare_folder, results_option


@click.command()
@click.argument(
    "names",
    metavar="CONFIGURATION CONFIGURATION...",
    nargs=-1,
    required=True,
    callback=check_number_of_configurations,
    shell_complete=completion.BACKENDS,
)
@shared.task(required=False)
@shared.dataset
@shared.assignments
@shared.batch_size
@shared.device
@shared.precision
@shared.threads
@shared.seed
@configuration_options
@click.option(
    "--within",
    default="2%",
    show_default=True,
    metavar="PERCENT",
    help="Configurations are the same if their times are shown to differ by less than this.",
)
@shared.budget(
    "Stop after this time, such as 90s or 5m, certification excluded. Default: until every verdict is in and "
    "precise enough, or more time would not decide, and at most 15 minutes."
)
@click.option(
    "--turns",
    type=click.IntRange(min=2, max=1000),
    metavar="N",
    help="Timed blocks of each configuration in a pair. More make a pair more precise and longer. Default: "
    "10 to 60, more where blocks are shorter.",
)
@click.option(
    "--process-environment",
    type=click.Choice(["quiet", "plain"]),
    default="quiet",
    show_default=True,
    help="quiet sets allocator, threads, CPUs and hash seed so that times vary less; plain leaves the "
    "environment variables as they are.",
)
@shared.certify
@executor_options.executor
@shared.results
@shared.form
@shared.quiet
@shared.plugin_of_configurations
@click.pass_context
def command(ctx: click.Context, /, names: tuple[str, ...], **options: Any) -> None:
    """Compare the training speed of configurations with the first one, the reference.

    A CONFIGURATION is BACKEND or BACKEND:MODE; MODE best is the fastest one, found by a short duel first and
    kept, and * stands for all modes. With --dataset in place of --task, two CONFIGURATIONs may be models of
    your own in two frameworks, FILE.py:CALLABLE or package.module:CALLABLE, which are proved to be the same
    first.

    Fresh processes of all configurations train in alternating
    short blocks, one at a time. The duel ends when an exact test over pairs of processes has decided, or
    when more time would not help. The verdict is faster, slower, same (within --within) or undecided.

    Options that begin with --b- are for the second configuration alone; --a-, --c- and --d- exist for the
    first, third and fourth.

    \b
      harness duel torch keras --task cnn
      harness duel torch torch:compile --task mlp --budget 2m
      harness duel torch:best keras:best --task cnn
      harness duel torch torch --task cnn --b-python ../other-venv/bin/python
      harness duel keras keras --task cnn --b-env TF_ENABLE_ONEDNN_OPTS=0
      harness duel torch torch --task cnn --b-batch-size 128
      harness duel my_torch.py:make_model my_keras.py:make_model --dataset cifar10

    Exit code: 0 with any verdict, undecided included, 1 if a configuration failed, 2 on wrong input, 130
    after Ctrl-C (what was measured is kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    interrupt_on_termination()
    names, options = with_own_pair(names, options)
    record, path = _on_cluster(names, options) if on_cluster(options) else _here(ctx, names, options)
    if options["form"] == "json":
        echo_json(msgspec.json.encode(record))
    else:
        echo(duel_text(record))
        ran = [(each, record.task.description, record.machine) for each in record.configurations]
        echo("".join(f"\n{sentence}\n" for sentence in faster_modes(ran)), nl=False)
        if path.exists():
            where = results_option(options["results"])
            echo(f"\nPage: harness report last{where} --to duel.html\nRecord: {path}")
    ctx.exit({"ok": 0, "interrupted": 130}.get(record.status, 1))


def _here(ctx: click.Context, names: tuple[str, ...], options: Mapping[str, Any]) -> tuple[DuelRecord, Path]:
    request = _request(names, options)
    request = msgspec.structs.replace(request, workloads=labelled(_in_fastest_modes(request, options)))
    prepare_folder(options["results"] / DUELS.folder)
    display = DuelDisplay(quiet=options["quiet"])
    ctx.call_on_close(display.stop)
    duel = Duel(request, options["results"] / DUELS.folder, display)
    record = duel.carry_out()
    display.stop()
    return record, duel.path


def _on_cluster(names: tuple[str, ...], options: Mapping[str, Any]) -> tuple[DuelRecord, Path]:
    from harness.cli.cluster_duel import duel_on_cluster

    folder = options["results"] / DUELS.folder
    prepare_folder(folder)

    def request_for(threads: int) -> DuelRequest:
        return _request(names, {**options, "threads": options["threads"] or threads})

    return duel_on_cluster(request_for, folder, address=options["address"], quiet=options["quiet"])


def _request(names: tuple[str, ...], options: Mapping[str, Any]) -> DuelRequest:
    """The request, with modes still to be found; what can be refused before a process starts is refused."""
    definition = registry.task(options["task"])
    margin = _share(options["within"])
    workloads = workloads_of(names, definition, options)
    refuse_different_work(workloads)
    with shown_progress(quiet=options["quiet"]) as progress:
        dataset = choose_dataset(definition, options["dataset"], progress)
    return DuelRequest(
        workloads=workloads,
        dataset=dataset,
        margin=margin,
        budget_seconds=options["budget"],
        quiet_environment=options["process_environment"] == "quiet",
        certify=options["certify"],
        seed=options["seed"],
        turns=options["turns"],
    )


def _in_fastest_modes(request: DuelRequest, options: Mapping[str, Any]) -> list[Workload]:
    display = ModeDisplay(quiet=options["quiet"])
    try:
        modes = FastestModes(options["results"] / DUELS.folder, display, certify=options["certify"])
        return [modes.resolved(workload, request.dataset) for workload in request.workloads]
    finally:
        display.stop()


def _share(text: str) -> float:
    """``2%`` as 0.02."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = math.nan
    if not text.endswith("%") or not 0 < share < 1:
        raise UsageError(f"--within {text}: write a percentage above 0 and below 100, such as 2%.")
    return share
