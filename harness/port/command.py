"""``harness port``: compare two models, and locate and explain differences."""

import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from harness.core.documents.kinds import stamp
from harness.core.documents.results import prepare_folder
from harness.core.machine.description import describe_machine
from harness.core.models.reading import SideSpec
from harness.core.shell import options
from harness.core.shell.ending import deliver, writing
from harness.core.shell.own_model import arguments
from harness.core.shell.parameters import WholeNumber
from harness.core.shell.paths import InputFile, OutputFile
from harness.core.shell.printing import print_error_line
from harness.core.shell.progress import Phases
from harness.errors import HarnessError, UsageError
from harness.port.record import PORTS, PortOptions, PortRecord
from harness.tracing.calls import Loss

_EXIT_CODES = {"equal": 0, "equal up to": 0, "different": 1, "undecided": 2}
_INTERNAL_ERROR = 3


@dataclass(frozen=True, kw_only=True)
class Given(options.OutputOptions):
    """The values of the parameters of ``harness port``."""

    a: str
    b: str | None
    shapes: list[tuple[int, ...]]
    dtypes: tuple[str, ...]
    maxima: tuple[int, ...]
    set_a: dict[str, Any]
    set_b: dict[str, Any]
    loss: Loss
    batch: int
    steps: int | None
    map_file: Path | None
    save_map: Path | None
    save_task: Path | None
    dataset: str | None
    threads: int | None
    timeout: float | None


def _shape(
    _ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> list[tuple[int, ...]]:
    shapes = []
    for value in values:
        try:
            sizes = tuple(int(size) for size in value.split(","))
        except ValueError:
            sizes = ()
        if not sizes or min(sizes) < 1:
            raise click.BadParameter(f"{value!r} is no shape; give sizes without the batch, such as 32,32,3")
        shapes.append(sizes)
    return shapes


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="[B]", required=False)
@click.option(
    "--input",
    "shapes",
    multiple=True,
    callback=_shape,
    metavar="SIZES",
    help="Shape of an input without the batch, channels last, such as 32,32,3; repeat it for several inputs. "
    "Each framework gets its own layout. Default: that of the samples of --dataset.",
)
@click.option(
    "--dtype",
    "dtypes",
    multiple=True,
    type=click.Choice(["float", "int"]),
    help="Type of the inputs, in their order. int is for tokens and needs --max.  [default: float]",
)
@click.option(
    "--max",
    "maxima",
    multiple=True,
    type=WholeNumber(),
    metavar="N",
    help="Integers are drawn below N, such as the size of the vocabulary; one for each int input.",
)
@click.option(
    "--set-a", multiple=True, callback=arguments, metavar="NAME=VALUE", help="Argument of A's callable."
)
@click.option(
    "--set-b", multiple=True, callback=arguments, metavar="NAME=VALUE", help="Argument of B's callable."
)
@options.choice(
    "--loss",
    of=("cross-entropy", "mse"),
    default="cross-entropy",
    text="Loss for gradients and training, of the first output. A file's own make_loss replaces it.",
)
@options.number("--batch-size", "batch", least=2, most=256, default=4, text="")
@options.number(
    "--steps",
    most=1000,
    text="Training steps.  [default: 20, or 5 for models of more than 3 million numbers]",
)
@click.option(
    "--map",
    "map_file",
    type=InputFile(),
    help="JSON file with names of A's parameters and those of B that they are, where matching fails.",
)
@click.option(
    "--save-map",
    type=OutputFile(),
    help="Write the pairs of parameters that were found.",
)
@click.option(
    "--save-task",
    type=OutputFile(),
    help="Write a plugin file with a task that trains A, or A and B once both are proved to be the same, for "
    "run, duel and gate. Needs --dataset.",
)
@options.dataset
@options.threads
@options.timeout
@options.output
@options.plugin
@options.given_as(Given)
def command(ctx: click.Context, given: Given) -> None:
    """Compare two models of one architecture in two frameworks, and name what differs.

    A and B are FILE.py:CALLABLE or package.module:CALLABLE. The callable returns a torch.nn.Module, a keras
    Model or Layer, a flax nnx or linen Module, or a pair of parameters and a pure function of JAX.

    \b
      harness port my_torch.py:make_model my_keras.py:make_model --input 32,32,3
      harness port torchvision.models:resnet18 my_flax.py:make_resnet --input 64,64,3 --set-a num_classes=10
      harness port gpt_torch.py:make gpt_keras.py:make --input 64 --dtype int --max 65

    B gets A's parameters. Compared in float64 are the outputs in evaluation and training, running statistics,
    gradients, and training steps with each side's own optimizer and loss (make_optimizer and make_loss in the
    same file), else SGD. Where the models differ, the layers and the causes are named. With --save-task
    models that are the same become a task.

    Exit code: 0 if they are the same up to what is harmless, 1 if they differ, 2 if the input is wrong or
    parts could not be compared, 3 after an internal error.
    """  # noqa: D301  click's mark for lines that it must not wrap
    specs = [SideSpec(given.a, given.set_a)]
    specs += [] if given.b is None else [SideSpec(given.b, given.set_b)]
    if given.b is None and given.save_task is None:
        raise UsageError("give two models, or one with --save-task")
    if given.save_task is not None and (given.b is None or not given.shapes):
        _save(specs, given.save_task, given)
        return
    if not given.shapes and given.dataset is None:
        raise UsageError(
            "--input is missing: the shape of an input without the batch, such as --input 32,32,3; or give "
            "--dataset, whose samples have it"
        )
    try:
        exit_code = _EXIT_CODES[_compared(specs[0], specs[1], given)]
    except (HarnessError, click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
        raise
    except Exception:  # noqa: BLE001  a bug, which must not look like a difference
        print_error_line(traceback.format_exc())
        ctx.exit(_INTERNAL_ERROR)
    if given.save_task is not None:
        if exit_code:
            print_error_line(f"{given.save_task} is not written: the models are not the same")
        else:
            _save(specs, given.save_task, given)
    ctx.exit(exit_code)


def _save(specs: list[SideSpec], path: Path, given: Given) -> None:
    from harness.port.pair_task import save_task

    with Phases(quiet=given.quiet) as phases:
        save_task(specs, given.dataset, path, _names(given), phases)


def _names(given: Given) -> dict[str, list[str]]:
    """Read the pairs of --map."""
    from harness.port.pairing.names import read_map

    return read_map(given.map_file) if given.map_file else {}


def _compared(a: SideSpec, b: SideSpec, given: Given) -> str:
    """Compare two models, save and print the record; return the verdict."""
    from harness.port.comparison import check_models
    from harness.port.pairing.names import write_map

    folder = prepare_folder(given.results / PORTS.folder)
    inputs = _inputs(given)
    chosen = PortOptions(
        loss=given.loss,
        batch=given.batch,
        steps=given.steps,
        threads=given.threads or PortOptions().threads,
        timeout_seconds=given.timeout,
        names=_names(given),
    )
    (identifier, started_at), start = stamp("port"), time.monotonic()
    with Phases(quiet=given.quiet) as phases:
        findings = check_models(a, b, inputs, chosen, phases.begin)
    record = PortRecord(
        id=identifier,
        status="ok",
        started_at=started_at,
        command=sys.argv[1:],
        machine=describe_machine(),
        inputs=inputs,
        options=chosen,
        findings=findings,
        seconds=time.monotonic() - start,
    )
    path = PORTS.save(record, folder)
    deliver(PORTS, record, path, given)
    if given.save_map is not None:
        with writing(given.save_map):
            write_map(given.save_map, findings.parameters.pairs)
    return findings.verdict


def _inputs(given: Given) -> list[Any]:
    """Return the shapes of the inputs: as given, or those of the data set."""
    from harness.core.models.task_file import task_data
    from harness.tracing.calls import InputShape

    shapes, dtypes, maxima = given.shapes, given.dtypes, given.maxima
    if not shapes and given.dataset is not None:
        if dtypes or maxima:
            raise UsageError("--dtype and --max belong to --input; --dataset says what its inputs are")
        return [task_data(given.dataset).shape]
    if len(dtypes) > len(shapes):
        raise UsageError(f"--dtype is given {len(dtypes)} times for {len(shapes)} inputs")
    kinds = [*dtypes, *["float"] * (len(shapes) - len(dtypes))]
    if kinds.count("int") != len(maxima):
        raise UsageError("each input of --dtype int needs a --max, such as the size of the vocabulary")
    rest = iter(maxima)
    return [
        InputShape(shape, integer=kind == "int", maximum=next(rest) if kind == "int" else 0)
        for shape, kind in zip(shapes, kinds, strict=True)
    ]
