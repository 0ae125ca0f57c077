"""A plugin file with a task that trains a model of the user's own."""

import re
import string
from pathlib import Path

import msgspec

from harness.layers import Native
from harness.network import Network
from harness.plugins import registry
from harness.port.options import SideSpec
from harness.spec.task import Classification, Objective, Regression
from harness.tracing.inputs import InputShape
from harness.tracing.user_code import split_target

_TEMPLATE = string.Template('''"""The task $name: trains the model of $target. Written by harness.

Run it with: harness run --backend $backend --task $name --plugin THIS_FILE
Write it again when parameters of the model are added, removed or reshaped.
"""

import msgspec
from harness.hookspecs import hookimpl
from harness.network import Network
from harness.spec import $objective, Task, TaskDefinition
from harness_tasks.options import TrainingOptions

# The arrays of the model, and where its code holds each of them.
NETWORK = r"""
$network
"""


class Options(TrainingOptions, frozen=True, kw_only=True):
    """What --set can change: optimizer, learning rate, schedule and so on."""

    learning_rate: float = $learning_rate


def define(options: Options) -> Task:
    """Describe the task with these options."""
    return Task(
        name="$name",
        version=1,
        networks={"model": msgspec.json.decode(NETWORK, type=Network)},
        objective=$objective(),
        optimizer=options.make_optimizer(),
        weight_decay=options.weight_decay,
        clip_norm=options.clip_norm,
        batch_size=$batch_size,
        epochs=$epochs,
    )


TASK = TaskDefinition(
    name="$name",
    summary="the model of $target",
    datasets=("$dataset",),
    options=Options,
    define=define,
)


@hookimpl
def harness_task(name: str) -> TaskDefinition | None:
    """Return the task of this name; None for others."""
    return TASK if name == "$name" else None
''')


def task_name(spec: SideSpec) -> str:
    """A name for the task of a target: of its file or module, and of the callable unless that is usual."""
    place, name = split_target(spec.target)
    stem = Path(place).stem if place.endswith(".py") else place.rpartition(".")[2]
    parts = [stem] if name in {"make", "make_model", "model", "build"} else [stem, name]
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_") or "model"


def objective_of(dataset: str) -> tuple[InputShape, Objective]:
    """The input of one sample of a data set, and what a model of it is trained for.

    Integer targets are classes; others are numbers to be predicted.

    Raises:
        UsageError: the data set is unknown.
        DataError: it is not on this machine.
    """
    train = registry.dataset(dataset).load().train
    shape = tuple(train.inputs.shape[1:])
    tokens = train.inputs.dtype.kind in "iu" and len(shape) == 1
    maximum = int(train.inputs.max()) + 1 if tokens else 0
    is_class = train.targets.dtype.kind in "iu"
    return InputShape(shape, integer=tokens, maximum=maximum), Classification() if is_class else Regression()


def task_file(
    name: str, spec: SideSpec, layer: Native, input_shape: tuple[int, ...], objective: Objective, dataset: str
) -> str:
    """The text of the file."""
    network = Network(input_shape, (layer,))
    encoded = msgspec.json.format(msgspec.json.encode(network), indent=1).decode()
    return _TEMPLATE.substitute(
        name=name,
        target=spec.target.replace("\\\\", "/"),
        backend=layer.models[0].framework,
        objective=type(objective).__name__,
        network=encoded,
        learning_rate=0.01,
        batch_size=64,
        epochs=10,
        dataset=dataset,
    )
