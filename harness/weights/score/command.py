"""``harness score``: the weights of a recorded run, scored again in any framework."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec

from harness.core.data_files.providing import provide_again
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.description import nvidia_gpus
from harness.core.plugins.configuration import Configuration
from harness.core.runs.jobs import Crew
from harness.core.runs.record import Record
from harness.core.runs.store import RUNS
from harness.core.runs.weights import weights_path
from harness.core.shell import completion, options
from harness.core.shell.console import LiveLine
from harness.core.shell.features import records
from harness.core.shell.printing import echo, echo_json
from harness.spec.backend import Precision
from harness.weights.score.page import differs, score_document
from harness.weights.score.score import WeightsScore, score_weights


@dataclass(frozen=True, kw_only=True)
class Given(options.OutputOptions):
    """The values of the parameters of ``harness score``."""

    name: str
    backends: list[str]
    precision: Precision | None
    device: str
    threads: int | None
    jobs: int | None


@click.command()
@click.argument("name", metavar="RECORD", shell_complete=completion.RECORD)
@options.backends()
@options.choice(
    "--precision", of=options.PRECISIONS, text="Floating-point arithmetic. Default: that of the run."
)
@options.device
@options.threads
@options.jobs
@options.output
@options.plugin
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Score the test data with the weights that a run has kept, in any framework.

    RECORD is a run that was made with `harness run --save-weights`: a file, an id, the beginning of an id, or
    last (the newest run). Its weights are loaded into each backend; default: that of the run.

    --jobs scores in several backends at once.

    The scores of a run in float64 must agree to 1e-9 with those in its record.

    \b
      harness run --backend torch --task cnn --precision float64 --save-weights
      harness score last --backend torch,keras,jax

    Exit code: 0, 1 if scores in float64 differ by more than 1e-9, 2 if the input is wrong, the run has no
    weights or a backend does not support the task.
    """  # noqa: D301  click's mark for lines that it must not wrap
    record, path = records().named(RUNS, given.results, given.name)
    weights_path(record, path.parent, best=False)  # refuses before any framework is asked
    run = record.configuration
    names, precision = given.backends or [run.label], given.precision or run.precision
    task = record.task.description
    asked = options.configurations(names, task, given.device, given.threads, precision)
    with LiveLine(quiet=given.quiet) as line:
        found = _scored(record, path.parent, asked, given.jobs, line)
    if given.form == "json":
        scores = [
            {
                "configuration": on,
                "weights": each.weights,
                "recorded": each.recorded,
                "scores": each.found,
            }
            for on, scored in found
            for each in scored
        ]
        echo_json(msgspec.json.encode({"record": record.id, "scores": scores}))
    else:
        echo(terminal_text(score_document(record, found)))
    ctx.exit(int(differs(record, found)))


def _scored(
    record: Record, folder: Path, asked: Sequence[Configuration], jobs: int | None, line: LiveLine
) -> list[tuple[Configuration, list[WeightsScore]]]:
    """Score the weights in each configuration, one after the other or ``jobs`` at once."""
    if jobs is None:
        found = []
        for configuration in asked:
            line.show(f"scoring with {configuration.label}")
            found.append(score_weights(record, folder, configuration))
    else:
        line.show(f"scoring with {', '.join(configuration.label for configuration in asked)}")
        data = record.dataset
        provide_again(data.name, data.fingerprint, data.file)  # once, before several threads ask for it
        with Crew(
            jobs, asked[0].threads, asked[0].device, gpus=nvidia_gpus(), waits_for_memory=False
        ) as crew:
            found = crew.each(lambda place, each: score_weights(record, folder, each, place), asked)
    return list(zip(asked, found, strict=True))
