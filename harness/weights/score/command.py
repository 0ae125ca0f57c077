"""``harness score``: the weights of a recorded run, scored again in any framework."""

from dataclasses import dataclass

import click
import msgspec

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.store import RUNS
from harness.core.runs.weights import weights_path
from harness.core.shell import completion, options
from harness.core.shell.console import LiveLine
from harness.core.shell.features import records
from harness.core.shell.printing import echo, echo_json
from harness.spec.backend import Precision
from harness.weights.score.page import differs, score_document
from harness.weights.score.score import score_weights


@dataclass(frozen=True, kw_only=True)
class Given(options.OutputOptions):
    """The values of the parameters of ``harness score``."""

    name: str
    backends: list[str]
    precision: Precision | None
    device: str
    threads: int | None


@click.command()
@click.argument("name", metavar="RECORD", shell_complete=completion.RECORD)
@options.backends()
@options.choice(
    "--precision", of=options.PRECISIONS, text="Floating-point arithmetic. Default: that of the run."
)
@options.device
@options.threads
@options.output
@options.plugin
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Score the test data with the weights that a run has kept, in any framework.

    RECORD is a run that was made with `harness run --save-weights`: a file, an id, the beginning of an id, or
    last (the newest run). Its weights are loaded into each backend; default: that of the run.

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
    found = []
    with LiveLine(quiet=given.quiet) as line:
        for configuration in asked:
            line.show(f"scoring with {configuration.label}")
            found.append((configuration, score_weights(record, path.parent, configuration)))
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
