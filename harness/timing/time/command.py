"""``harness time``: the time of a training step of the user's own."""

import sys
from dataclasses import dataclass

import click

from harness.core.documents.results import prepare_folder
from harness.core.plugins import registry
from harness.core.runs.request import choose_dataset
from harness.core.shell import options as shared
from harness.core.shell.console import LiveLine
from harness.core.shell.ending import code_of, deliver
from harness.core.shell.progress import shown_progress
from harness.errors import UsageError
from harness.timing.engine.asked import Asked, parsed
from harness.timing.engine.steps.options import (
    WorkOptions,
    operation,
    prediction_workload,
    seed_of_steps,
    step_options,
    step_workload,
)
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import parsed_arguments
from harness.timing.time.record import TIMES
from harness.timing.time.timing import PROCESSES, StepTiming


@dataclass(frozen=True, kw_only=True)
class Given(WorkOptions, shared.OutputOptions):
    """The values of the parameters of ``harness time``."""

    text: str
    batch_size: int | None
    processes: int
    budget: float | None
    turns: int | None
    profile: bool


def _workload(asked: Asked, options: Given) -> OwnStep:
    """Return the step of a factory, or the predictions of a task by a backend."""
    if options.operation == "predict":
        if options.task is None:
            raise UsageError("--operation predict needs --task")
        with shown_progress(quiet=options.quiet) as progress:
            dataset = choose_dataset(registry.task(options.task), options.dataset, progress)
        asked.refuse(["batch_size"], "is given by --batch-size")
        return prediction_workload(asked, options.task, options.batch_size or 1, options, dataset.name)
    if options.task is not None:
        raise UsageError("the training steps of a task are timed by harness run and harness duel")
    (arguments, *others) = parsed_arguments(options.arguments)
    if others:
        raise UsageError("harness time takes one value of each argument; harness duel compares several")
    return step_workload(asked, arguments, options)


@click.command()
@click.argument("text", metavar="FACTORY")
@shared.task(required=False)
@shared.dataset
@shared.assignments
@operation
@shared.batch_size
@shared.precision
@step_options
@shared.threads
@shared.device
@seed_of_steps
@shared.number("--processes", most=100, default=PROCESSES, text="Fresh processes, one after the other.")
@shared.budget("Start no process after this time, such as 90s or 5m. Default: no limit.")
@shared.turns()
@shared.profile("Profile more processes: where the time of a call goes.")
@shared.output
@shared.given_as(Given)
def command(ctx: click.Context, options: Given) -> None:
    """Time a training step of your own, as it is.

    FACTORY is FILE.py:CALLABLE or package.module:CALLABLE. It is called once in each fresh process, after
    the seeds of Python, NumPy and the frameworks are set, and returns the step: a callable without arguments,
    which may return a number, an array or a dict of them.

    In quotes FACTORY may have settings, python, env.NAME, threads and device: "bench.py:make_step threads=1".

    With --operation predict and --task FACTORY is a backend, and predictions of test inputs are timed.

    Printed are the step time with its interval, the first call, warm-up, memory, percentiles of single calls,
    and the first values.

    \b
      harness time bench.py:make_step
      harness time bench.py:make_step --with batch_size=128 --samples 128 --threads 1
      harness time torch:compile --task cnn --operation predict --batch-size 1

    Exit code: 0, 1 if the step failed, 2 on wrong input, 130 after Ctrl-C (what was measured is kept).
    """  # noqa: D301  click's mark for lines that it must not wrap
    workload = _workload(parsed(options.text), options)
    folder = prepare_folder(options.results / TIMES.folder)
    with LiveLine(quiet=options.quiet) as display:
        timing = StepTiming(
            workload,
            folder,
            display.doing,
            command=sys.argv[1:],
            processes=options.processes,
            turns=options.turns,
            budget_seconds=options.budget,
            profile=options.profile,
        )
        record = timing.carry_out()
    deliver(TIMES, record, timing.path, options, page_of="last")
    ctx.exit(code_of(record.status))
