"""``harness study``: remedies for overfitting or imbalance, each against the plain task, seeds paired."""

import itertools
import math
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from harness.analysis import study
from harness.analysis.conditions import machine_text, variables_text
from harness.analysis.findings import Findings
from harness.analysis.grouping import group_runs
from harness.analysis.run_curves import Run
from harness.analysis.study import REMEDIES, Kind, Remedy, Study, Variant
from harness.analysis.study_effects import study_findings
from harness.analysis.unpaired_remedies import unpaired_remedies
from harness.cli import options
from harness.cli.data_progress import shown_progress
from harness.cli.ending import tell
from harness.cli.run_sequence import exit_code, run_sequence
from harness.errors import UsageError
from harness.machine.description import default_threads, describe_machine
from harness.machine.worker_variables import inherited_variables
from harness.plugins import registry
from harness.plugins.definition import define_task, resized
from harness.plugins.installation import has_versions, select_backend
from harness.plugins.options import describe_options, parse_options
from harness.plugins.versions import side_versions
from harness.report.terminal import terminal_width
from harness.report.text import findings_text
from harness.runs.data_choice import choose_dataset
from harness.runs.execute import RunRequest
from harness.runs.record import DatasetRecord, Phases, Record
from harness.runs.store import Store, read_all
from harness.spec.backend import Plan, Precision
from harness.spec.description import description_sha256
from harness.spec.task import Task, TaskDefinition


@click.command(short_help="Try remedies for overfitting or imbalance side by side.")
@click.argument("kind", type=click.Choice(["overfitting", "imbalance"]))
@options.task()
@options.backends(required=True)
@options.dataset
@options.epochs
@options.max_steps
@options.seeds(default=5)
@options.budget(
    "Plan seeds, then remedies, to fit this time after a first run on each backend, such as 90s or 5m. "
    "Default: no limit."
)
@options.device
@options.precision
@options.threads
@options.assignments
@options.results
@options.certify
@options.quiet
@options.plugin
@click.pass_context
def command(ctx: click.Context, /, **given: Any) -> None:
    """Run a task plainly and with each remedy, on the same seeds, and say which remedy helps.

    KIND is overfitting (dropout, l2, l1, augmentation, a smaller network, less data to show what more
    would do, early stopping) or imbalance (thinned classes, with class weights, with oversampling).
    Runs are ordinary records: called again with the same options, a study goes on where it stopped,
    and takes in more seeds or backends; what was run on another device, by another version or without
    the certificate is run anew. `harness report` tells of it too.
    """
    asked = _Options(**given)
    wanted, made = _plan(asked)
    store = Store(asked.results)
    store.prepare()
    study.save_study(made, asked.results)
    missing = _missing(wanted, made, store, asked)
    _say(f"{len(wanted) - len(missing)} of {len(wanted)} runs are there already", asked)
    records = _carry_out(missing, made, store, asked)
    click.echo(_outcome(made, store))
    ctx.exit(exit_code(records) if records else 0)


class _Options(msgspec.Struct, kw_only=True):
    """The command's options under their own names, with their types."""

    kind: Kind
    task: str
    backends: list[str]
    dataset: str | None
    epochs: int | None
    max_steps: int | None
    seeds: int
    budget: float | None
    device: str
    precision: Precision
    threads: int | None
    assignments: tuple[str, ...]
    results: Path
    certify: bool
    quiet: bool


#: A run that a study wants: the name of its variant, and the request.
_Wanted = tuple[str, RunRequest]


def _plan(asked: _Options) -> tuple[list[_Wanted], Study]:
    """Every run of the study, seeds slowest, then variants, then backends; all refusals come from here."""
    definition = registry.task(asked.task)
    selected = list(dict.fromkeys((one.name, mode) for one, mode in map(select_backend, asked.backends)))
    defined = _defined(definition, asked)
    remedies = list(defined)
    tasks = {remedy.name: task for remedy, task in defined.items()}
    with shown_progress(quiet=asked.quiet) as progress:
        dataset = choose_dataset(definition, asked.dataset, progress)
    made = _study(asked, remedies, {name: task for name, (task, _) in tasks.items()}, dataset)
    wanted = [
        (
            remedy.name,
            RunRequest(
                backend=backend,
                plan=Plan(
                    task=tasks[remedy.name][0],
                    mode=mode,
                    device=asked.device,
                    precision=asked.precision,
                    threads=made.threads,
                    seed=seed,
                ),
                options=tasks[remedy.name][1],
                dataset=dataset,
                max_steps=asked.max_steps,
            ),
        )
        for seed, remedy, (backend, mode) in itertools.product(range(asked.seeds), remedies, selected)
    ]
    return wanted, made


def _defined(definition: TaskDefinition, asked: _Options) -> dict[Remedy, tuple[Task, dict[str, Any]]]:
    """The task with each fitting remedy; one whose values the task has no use for is left out."""
    plain, *remedies = _fitting(definition, asked)
    tasks = {plain: _define(definition, plain, asked)}
    for remedy in remedies:
        try:
            tasks[remedy] = _define(definition, remedy, asked)
        except UsageError as error:
            _say(f"left out, for the task cannot take it: {remedy.name}: {error}", asked)
    return tasks


def _fitting(definition: TaskDefinition, asked: _Options) -> list[Remedy]:
    """The remedies whose options the task has and the user leaves free; the plain one must be among them."""
    known = {name for name, *_ in describe_options(definition)}
    fitting = [remedy for remedy in REMEDIES[asked.kind] if remedy.options <= known]
    plain = REMEDIES[asked.kind][0]
    if plain not in fitting:
        raise UsageError(f"task {definition.name} has no option imbalance: its classes cannot be thinned")
    given = {assignment.partition("=")[0] for assignment in asked.assignments}
    if taken := plain.options & given:
        raise UsageError(f"--set {min(taken)}: the study of {asked.kind} sets it itself; leave it out.")
    left_out = [remedy for remedy in fitting if remedy.options & given]
    if left_out:
        names = ", ".join(remedy.name for remedy in left_out)
        _say(f"left out, for --set gives what they would change: {names}", asked)
    return [remedy for remedy in fitting if remedy not in left_out]


def _define(definition: TaskDefinition, remedy: Remedy, asked: _Options) -> tuple[Task, dict[str, Any]]:
    settings = parse_options(definition, [*asked.assignments, *remedy.assignments])
    task = resized(define_task(definition, settings), epochs=asked.epochs)
    return task, msgspec.structs.asdict(settings)


def _study(asked: _Options, remedies: list[Remedy], tasks: dict[str, Task], dataset: DatasetRecord) -> Study:
    return Study(
        kind=asked.kind,
        task=asked.task,
        dataset=dataset.name,
        epochs=next(iter(tasks.values())).epochs,
        max_steps=asked.max_steps,
        precision=asked.precision,
        threads=asked.threads or default_threads(),
        variants=[
            Variant(remedy.name, list(remedy.assignments), description_sha256(tasks[remedy.name]))
            for remedy in remedies
        ],
    )


def _records(made: Study, store: Store) -> Iterator[Record]:
    """The study's runs among all records, of whatever machine, device and version."""
    names = {variant.description for variant in made.variants}
    records = (record for record in read_all(store.paths()) if isinstance(record, Record))
    return (record for record in records if record.task.sha256 in names)


def _missing(wanted: list[_Wanted], made: Study, store: Store, asked: _Options) -> list[_Wanted]:
    """What has no run yet that could be held against those of this call."""
    here = machine_text(describe_machine())
    finished = study.done(made, (one for one in _records(made, store) if _counts(one, here, asked)))
    return [
        (name, request)
        for name, request in wanted
        if (name, f"{request.backend}:{request.plan.mode}", request.plan.seed) not in finished
    ]


def _counts(record: Record, here: str, asked: _Options) -> bool:
    """Whether this call would make it in the same way: machine, variables, device, versions, certificate."""
    # One GPU of several is the only one that its process sees, and the first there.
    numbered = ":" in record.device_asked
    device = record.device_asked if numbered else (record.device or "").partition(" ")[0]
    variables = variables_text(inherited_variables(os.environ, record.worker_variables))
    return (
        machine_text(record.machine) == here
        and variables_text(record.inherited_variables) == variables
        and asked.device in {record.device_asked, device}
        and asked.certify == (record.certificate is not None)
        and has_versions(record.backend, side_versions(record.backend, record.framework))
    )


def _carry_out(missing: list[_Wanted], made: Study, store: Store, asked: _Options) -> list[Record]:
    """Run what is missing; with a budget, the first run on each backend says how much of it fits."""
    if asked.budget is None:
        return _execute([request for _, request in missing], store, asked, math.inf)
    deadline = time.monotonic() + asked.budget
    backends = len({(request.backend, request.plan.mode) for _, request in missing})
    records = _execute([request for _, request in missing[:backends]], store, asked, math.inf)
    if not records or records[-1].status == "interrupted":
        return records
    # By their own clocks: before the first of them, sides are certified, and no later one waits for that.
    run_seconds = statistics.fmean(_seconds(record.phases) for record in records)
    left = max(0.0, deadline - time.monotonic())
    names = [variant.name for variant in made.variants]
    rest = [(names.index(name), request) for name, request in missing[backends:]]
    cells = [(place, request.plan.seed) for place, request in rest]
    size = study.plan_size(cells, run_seconds, left, len(names), asked.seeds)
    fitting = [request for place, request in rest if place < size.variants and request.plan.seed < size.seeds]
    _say(
        f"{run_seconds:.0f} s a run, {left / 60:.1f} minutes left: planned are {size.seeds} seeds of "
        f"{size.variants} of {len(names)} variants, {len(fitting)} more runs",
        asked,
    )
    return records + _execute(fitting, store, asked, deadline)


def _seconds(phases: Phases) -> float:
    """Of a whole run."""
    start = (phases.import_seconds, phases.data_seconds, phases.build_seconds)
    return sum(filter(None, start)) + phases.training_seconds + phases.evaluation_seconds


def _execute(requests: list[RunRequest], store: Store, asked: _Options, deadline: float) -> list[Record]:
    if not requests:
        return []
    return run_sequence(requests, store, quiet=asked.quiet, certify=asked.certify, deadline=deadline)


def _say(text: str, asked: _Options) -> None:
    if not asked.quiet:
        tell(text)


def _outcome(made: Study, store: Store) -> str:
    """The study's findings alone, or that there are none yet."""
    ordered = group_runs(map(Run.of, _records(made, store)))
    found = study_findings(made, ordered.groups)
    if not found:
        return "No plain run has succeeded yet, so there is nothing to hold the remedies against."
    apart = unpaired_remedies(made, ordered.groups)
    return findings_text(Findings([], found, ordered.left_out, apart), terminal_width())
