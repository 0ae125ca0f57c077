"""``harness duel``: the fastest configuration on this machine, and by how much."""

import dataclasses
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import click
import msgspec

from harness.core.documents.files import write_text
from harness.core.documents.render.html import html_page
from harness.core.documents.render.terminal import terminal_text
from harness.core.documents.results import prepare_folder
from harness.core.plugins import registry
from harness.core.runs.request import choose_dataset
from harness.core.shell import completion
from harness.core.shell import options as shared
from harness.core.shell.ending import code_of, deliver
from harness.core.shell.executors import executor_of
from harness.core.shell.options import is_local
from harness.core.shell.own_model import is_model
from harness.core.shell.parameters import WholeNumber
from harness.core.shell.printing import echo, echo_json
from harness.core.shell.progress import shown_progress
from harness.core.shell.run_options import several
from harness.core.shell.signals import interrupt_on_termination
from harness.errors import UsageError
from harness.timing.duel.configurations import MOST, check_number_of_configurations, workloads_of
from harness.timing.duel.display import DuelDisplay
from harness.timing.duel.placed import DuelRecorder, PlacedDuel
from harness.timing.duel.predictions_page import predictions_document
from harness.timing.duel.record import DUELS, DuelRecord
from harness.timing.duel.request import DuelRequest
from harness.timing.duel.runner import Duel
from harness.timing.engine.asked import Asked, parsed
from harness.timing.engine.pairs import Program
from harness.timing.engine.steps.options import (
    WorkOptions,
    operation,
    prediction_workload,
    seed_of_steps,
    step_options,
    step_workloads,
)
from harness.timing.engine.steps.own import labelled_steps
from harness.timing.engine.workloads import labelled, refuse_different_work


@dataclass(frozen=True, kw_only=True)
class Given(WorkOptions, shared.ExecutorOptions, shared.OutputOptions):
    """The values of the parameters of ``harness duel``."""

    texts: tuple[str, ...]
    batch_size: list[int]
    within: float
    budget: float | None
    profile: bool
    turns: int | None
    epochs: int | None
    max_steps: int | None
    process_environment: Literal["quiet", "plain"]
    certify: bool


@click.command()
@click.argument(
    "texts",
    metavar="CONFIGURATION CONFIGURATION...",
    nargs=-1,
    required=True,
    callback=check_number_of_configurations,
    shell_complete=completion.BACKENDS,
)
@shared.task(required=False)
@shared.dataset
@shared.assignments
@step_options
@operation
@several(
    "--batch-size",
    each=WholeNumber(),
    metavar="N[,N]",
    help="Samples per step. Default: the task's; 1 for predictions, of which several sizes may be given.",
)
@shared.device
@shared.precision
@shared.threads
@seed_of_steps
@shared.percentage(
    "--within",
    "Configurations are the same if their times are shown to differ by less than this.",
    example="2%",
    default="2%",
)
@shared.budget(
    "Stop after this time, such as 90s or 5m, certification excluded. Default: until every verdict is in and "
    "precise enough, and at most 15 minutes."
)
@shared.profile("Profile more processes of each afterwards: the operations that differ.")
@shared.turns(
    "Timed blocks of each configuration in a pair. More make a pair more precise and longer. Default: "
    "10 to 60, more where blocks are shorter."
)
@shared.number(
    "--epochs",
    text="Epochs of the training for which the duel says what finishes first. Default: the task's.",
)
@shared.number(
    "--max-steps",
    text="Most steps of the training for which the duel says what finishes first; of a step of your own, its "
    "calls.",
)
@shared.choice(
    "--process-environment",
    of=("quiet", "plain"),
    default="quiet",
    text="quiet sets allocator, threads, CPUs and hash seed so that times vary less; plain leaves the "
    "environment variables as they are.",
)
@shared.certify
@shared.executor
@shared.output
@shared.plugin
@shared.given_as(Given)
def command(ctx: click.Context, options: Given) -> None:
    """Compare the training speed of configurations with the first one, the reference.

    A CONFIGURATION is BACKEND or BACKEND:MODE; MODE * stands for all modes. In quotes it has settings of its
    own, python, env.NAME, threads, precision, device, batch_size and dp_NAME: "torch:compile threads=2".
    Options hold for the others.

    FILE.py:CALLABLE or package.module:CALLABLE is the factory of a training step of your own (see harness
    time): the values of the first calls are compared, then the steps are timed.

    Fresh processes of all configurations train in alternating
    short blocks, one at a time. The duel ends when a test over pairs of processes has decided, or
    when more time would not help. The verdict is faster, slower, same (within --within) or undecided.
    Whatever it is, the duel says which finishes your training first (--epochs, --max-steps), start-up and
    compilation included, and after how many steps that changes.

    \b
      harness duel torch keras --task cnn
      harness duel torch torch:compile --task mlp --budget 2m
      harness duel "torch:*" --task cnn
      harness duel torch "torch python=../other-venv/bin/python" --task cnn
      harness duel keras "keras env.TF_ENABLE_ONEDNN_OPTS=0" --task cnn
      harness duel torch "torch batch_size=128" --task cnn
      harness duel bench.py:make_step "bench.py:make_step python=../after/bin/python"
      harness duel bench.py:make_step --with batch_size=32,64
      harness duel before.py:make_step after.py:make_step
      harness duel torch jax --task cnn --operation predict --batch-size 1,8,64,512

    Exit code: 0 with any verdict, undecided included, 1 if a configuration failed, 2 on wrong input, 130
    after Ctrl-C (what was measured is kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    interrupt_on_termination()
    names = tuple(map(parsed, options.texts))
    if options.operation == "predict":
        ctx.exit(_of_predictions(names, sorted(options.batch_size) or [1], options))
    if len(options.batch_size) > 1:
        raise UsageError(
            'several batch sizes are for --operation predict; give one, or settings: "torch batch_size=128"'
        )
    are_models = [is_model(asked.name) for asked in names]
    if options.epochs and options.task is None and options.dataset is None:
        raise UsageError("--epochs is for tasks; give the calls of a step of your own with --max-steps")
    if any(are_models):
        if not all(are_models) or options.dataset is not None or options.task is not None:
            raise UsageError(
                "FILE.py:CALLABLE is a step of your own: time it against other steps, without --task and "
                "--dataset; for models, write a task: harness port A B --save-task"
            )
        if not is_local(options):
            raise UsageError("--executor is for tasks; a duel of steps of your own runs on this machine")
        record, path = _carried_out(_request_of(step_workloads(names, options), options), options)
        ctx.exit(_deliver(record, path, options))
    if own := options.of_own_steps:
        raise UsageError(f"{own[0]} is for steps of your own, such as bench.py:make_step")
    options.task_seed()  # refused before anything is done
    task = options.task
    if task is None:
        raise UsageError("--task is missing; `harness list tasks` lists the tasks")
    record, path = (_here if is_local(options) else _elsewhere)(names, task, options)
    ctx.exit(_deliver(record, path, options))


def _deliver(record: DuelRecord, path: Path, options: Given) -> int:
    """Print a duel, and return the exit code."""
    deliver(DUELS, record, path, options, page_of="last")
    return code_of(record.status)


def _request_of(workloads: Sequence[Program], options: Given) -> DuelRequest:
    """Return the duel of steps; of a task it has no data set yet."""
    return DuelRequest(
        workloads=workloads,
        margin=options.within,
        budget_seconds=options.budget,
        quiet_environment=options.process_environment == "quiet",
        certify=options.certify,
        turns=options.turns,
        max_steps=options.max_steps,
        profile=options.profile,
        command=sys.argv[1:],
    )


def _of_predictions(names: tuple[Asked, ...], sizes: Sequence[int], options: Given) -> int:
    """Make a duel for each batch size, and the curve of several sizes; return the exit code."""
    if options.task is None:
        raise UsageError("--operation predict needs --task")
    if not is_local(options):
        raise UsageError("--executor is for training steps; predictions are timed on this machine")
    for asked in names:
        asked.refuse(["batch_size"], "is for training steps; predictions of all have the same --batch-size")
    if len(names) > MOST:
        raise UsageError(f"a duel takes at most {MOST} configurations")
    definition = registry.task(options.task)
    with shown_progress(quiet=options.quiet) as progress:
        dataset = choose_dataset(definition, options.dataset, progress)
    records: list[DuelRecord] = []
    for size in sizes:
        workloads = [prediction_workload(asked, options.task, size, options, dataset.name) for asked in names]
        record, path = _carried_out(_request_of(labelled_steps(workloads), options), options)
        records.append(record)
        if len(sizes) == 1:
            return _deliver(record, path, options)
        if record.status == "interrupted":
            break
    code = max(code_of(record.status) for record in records)
    if options.form == "json":
        echo_json(msgspec.json.encode({"duels": records}))
        return code
    document = predictions_document(options.task, records)
    echo(terminal_text(document))
    page = options.results / DUELS.folder / f"{records[0].id}-predictions.html"
    write_text(page, html_page(document), named=False)
    echo(f"\nPage: {page}")
    return code


def _carried_out(request: DuelRequest, options: Given) -> tuple[DuelRecord, Path]:
    folder = prepare_folder(options.results / DUELS.folder)
    with DuelDisplay(quiet=options.quiet) as display:
        duel = Duel(request, folder, display)
        return duel.carry_out(), duel.path


def _here(names: tuple[Asked, ...], task: str, options: Given) -> tuple[DuelRecord, Path]:
    return _carried_out(_request(names, task, options), options)


def _elsewhere(names: tuple[Asked, ...], task: str, options: Given) -> tuple[DuelRecord, Path]:
    """Carry out a duel on one machine of an executor."""
    folder = prepare_folder(options.results / DUELS.folder)
    with DuelDisplay(quiet=options.quiet) as display, executor_of(options) as executor:
        recorder = DuelRecorder(folder, display)
        placed = dataclasses.replace(options, threads=options.threads or executor.threads)
        request = _request(names, task, placed)
        try:
            record = executor.carry_out(PlacedDuel(request, sys.executable), folder, recorder)
        except KeyboardInterrupt as interrupt:
            return recorder.interrupted(interrupt), recorder.path
    recorder.save(record)
    return record, recorder.path


def _request(names: tuple[Asked, ...], task: str, options: Given) -> DuelRequest:
    """Return the duel; all that can be refused before a process starts is refused."""
    definition = registry.task(task)
    batch_size = next(iter(options.batch_size), None)
    workloads = labelled(workloads_of(names, definition, batch_size, options, options.epochs))
    refuse_different_work(workloads)
    with shown_progress(quiet=options.quiet) as progress:
        dataset = choose_dataset(definition, options.dataset, progress)
    return msgspec.structs.replace(_request_of(workloads, options), dataset=dataset)
