"""``harness run``: each backend, task and seed in a fresh process, one after the other."""

import itertools
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import msgspec
from click.core import ParameterSource

from harness.cli import options
from harness.cli.certifying import certify_all, side_of
from harness.cli.data_progress import shown_progress
from harness.cli.ending import end_as_by_ctrl_c
from harness.cli.presets import preset_backends, preset_of, preset_tasks
from harness.cli.progress import RunDisplay
from harness.errors import UsageError
from harness.machine.description import default_threads
from harness.plugins import registry
from harness.plugins.definition import define_task, resized
from harness.plugins.installation import select_backend
from harness.plugins.options import Value, parse_options
from harness.report.terminal import disturbance, runs_table, terminal_width
from harness.runs.data_choice import choose_dataset, refuse_unfitting, summary_of
from harness.runs.execute import RunRequest, execute
from harness.runs.record import Record
from harness.runs.store import Store
from harness.spec.backend import Plan, Precision
from harness.spec.task import Task, TaskDefinition
from harness.training.splits import training_count

INTERRUPTED = 130
_RUN_FAILED = 1
_REFUSED = 2


@click.command(short_help="Train tasks on backends, score them and record all of it.")
@options.backends()
@options.tasks
@click.option(
    "--preset",
    type=click.Choice(["smoke"]),
    help="smoke: every task at its smallest useful size, on torch, keras and jax as far as they are "
    "installed; --backend, --task and every other option narrow or change that.",
)
@options.dataset
@options.epochs
@options.max_steps
@options.batch_size
@options.seed
@options.seeds()
@options.device
@options.precision
@options.threads
@options.assignments
@options.results
@options.form
@options.certify
@options.timeout
@options.quiet
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Train every backend on every task with every seed, each in a fresh process, one after the other.

    Exit code: 0 when every run succeeded, 1 when one failed or diverged, 2 when something was
    refused, 130 after Ctrl-C (what had ended is kept).
    """
    end_as_by_ctrl_c()
    chosen = _Options(**given)
    seed_given = ctx.get_parameter_source("seed") is not ParameterSource.DEFAULT
    if seed_given and chosen.seeds is not None:
        raise UsageError("give --seed K for one seed or --seeds N for the seeds 0 to N-1, not both.")
    store = Store(chosen.results)
    requests = _requests(chosen, store)
    records = execute_all(requests, store, quiet=chosen.quiet, certify=chosen.certify)
    if chosen.form == "json":
        sys.stdout.buffer.write(msgspec.json.encode({"records": records}) + b"\n")
    else:
        _print_outcome(records, store)
    ctx.exit(exit_code(records))


class _Options(msgspec.Struct, kw_only=True):
    """The command's options under their own names, with their types."""

    backends: list[str]
    tasks: list[str]
    preset: str | None
    dataset: str | None
    epochs: int | None
    max_steps: int | None
    batch_size: int | None
    seed: int
    seeds: int | None
    device: str
    precision: Precision
    threads: int | None
    assignments: tuple[str, ...]
    results: Path
    form: str
    timeout: float | None
    quiet: bool
    certify: bool


def _requests(options: _Options, store: Store) -> list[RunRequest]:
    """What to run, in order: all that can be refused is refused here, before anything runs.

    A place that cannot be written is refused before data are fetched.

    Seeds change slowest, so that a drift of the machine meets all backends alike.
    """
    selected = [
        select_backend(text) for text in _names(options.backends, "--backend", options, preset_backends)
    ]
    backends = list({(backend.name, mode): (backend, mode) for backend, mode in selected}.values())
    names = _names(options.tasks, "--task", options, lambda: preset_tasks(options.preset or ""))
    definitions = [registry.task(name) for name in names]
    tasks = [_define(definition, options) for definition in definitions]
    for definition in definitions:
        if options.dataset is not None:
            refuse_unfitting(definition, options.dataset)
    store.prepare()
    with shown_progress(quiet=options.quiet) as progress:
        datasets = {
            definition.name: choose_dataset(
                definition, options.dataset or preset_of(definition, options.preset).dataset, progress
            )
            for definition in definitions
        }
    for task, _ in tasks:
        _refuse_large_batch(task, datasets[task.name].name)
    seeds = range(options.seeds) if options.seeds is not None else [options.seed]
    threads = options.threads or default_threads()
    return [
        RunRequest(
            backend=backend.name,
            plan=Plan(
                task=task,
                mode=mode,
                device=options.device,
                precision=options.precision,
                threads=threads,
                seed=seed,
            ),
            options=values,
            dataset=datasets[task.name],
            max_steps=options.max_steps,
            timeout_seconds=options.timeout,
        )
        for seed, (task, values), (backend, mode) in itertools.product(seeds, tasks, backends)
    ]


def _names(given: list[str], option: str, options: _Options, of_preset: Callable[[], list[str]]) -> list[str]:
    if given:
        return given
    if options.preset is None:
        raise UsageError(f"name at least one with {option}, or run everything small with --preset smoke.")
    return of_preset()


def _define(definition: TaskDefinition, options: _Options) -> tuple[Task, dict[str, Value]]:
    """The task with the user's options, and the values of those options."""
    settings = parse_options(definition, options.assignments)
    epochs = options.epochs or preset_of(definition, options.preset).epochs
    task = resized(define_task(definition, settings), options.batch_size, epochs)
    return task, msgspec.structs.asdict(settings)


def _refuse_large_batch(task: Task, dataset: str) -> None:
    """Where the data set tells its size unread; otherwise, and with thinned classes, the worker does it."""
    summary = summary_of(dataset)
    if summary is None or task.imbalance is not None or task.batch_size is None:
        return
    left = training_count(summary.samples)
    if task.batch_size > left:
        raise UsageError(
            f"batch size {task.batch_size} is larger than the {left:,} training samples of {dataset}; "
            "give a smaller --batch-size."
        )


def execute_all(
    requests: list[RunRequest], store: Store, *, quiet: bool, certify: bool, deadline: float = math.inf
) -> list[Record]:
    """Run them in turn. What a backend declined once is not tried again with other seeds.

    None is begun after ``deadline``, in seconds of the monotonic clock.
    """
    records: list[Record] = []
    declined: set[tuple[str, str, bytes]] = set()
    with RunDisplay(len(requests), quiet=quiet) as display:
        for stand_in in {r.dataset.name: r.dataset for r in requests if r.dataset.stands_in_for}.values():
            display.say(f"Running on {stand_in.name} in place of {stand_in.stands_in_for}: {stand_in.reason}")
        certificates = certify_all(requests, display) if certify else {}
        for request in requests:
            asked = (request.backend, request.plan.mode, msgspec.json.encode(request.plan.task))
            if asked in declined:
                continue
            if time.monotonic() > deadline:
                break
            line = display.begin(request)
            certificate = certificates.get((side_of(request), request.plan.task.name))
            record = execute(msgspec.structs.replace(request, certificate=certificate), store, line)
            line.end(record)
            records.append(record)
            if record.status == "unsupported":
                declined.add(asked)
            if record.status == "interrupted":
                break
    return records


def _print_outcome(records: list[Record], store: Store) -> None:
    click.echo(runs_table(records, terminal_width()))
    for record in records:
        if record.failure is not None:
            click.echo(f"\n{record.label}, seed {record.seed}: {record.status}: {record.failure.message}")
            for line in record.failure.last_lines[-5:]:
                click.echo(f"    {line}")
    for reason in dict.fromkeys(
        f"{record.label} on {record.task.name} is not certified, so its figures must not be compared: "
        f"{record.certificate.reason}"
        for record in records
        if record.certificate and not record.certificate.certified
    ):
        click.echo(f"\n{reason}")
    if remark := disturbance(records):
        click.echo(f"\n{remark}")
    click.echo(
        f"\nRecords: {store.folder}{os.sep}{records[-1].id}.json"
        + f" and {len(records) - 1} more" * (len(records) > 1)
    )
    click.echo(f"Next: harness show {records[-1].id}")


def exit_code(records: list[Record]) -> int:
    """What the runs' ends come to; see the command's help."""
    statuses = {record.status for record in records}
    if "interrupted" in statuses:
        return INTERRUPTED
    if statuses & {"failed", "diverged", "timeout"}:
        return _RUN_FAILED
    return _REFUSED if "unsupported" in statuses else 0
