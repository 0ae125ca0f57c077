"""A plugin file with a task that trains a model of the user's own, or a pair of them."""

import json
import re
import string
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.core.machine.files import replace_file
from harness.core.plugins import registry
from harness.errors import UsageError
from harness.layers import Native
from harness.network import Network
from harness.port.findings import ParameterPair
from harness.spec.task import Classification, Objective, Regression
from harness.tracing.calls import InputShape
from harness.tracing.user_code import is_file, split_target

_TEMPLATE = string.Template('''"""The task $name: trains $models. Written by harness.

Run it with: harness $command --task $name --plugin THIS_FILE
Write it again when parameters of the model are added, removed or reshaped.
"""

$imports
from harness.hookspecs import hookimpl
from harness.network import Network
from harness.spec import $objective, Task, TaskDefinition
from harness_tasks.options import TrainingOptions

# The arrays of the model, and where its code holds each of them.
NETWORK = r"""
$network
"""


def define(options: TrainingOptions) -> Task:
    """Describe the task with these options."""
    return options.make_task(
        name="$name",
        version=1,
        networks={"model": msgspec.json.decode(NETWORK, type=Network)},
        objective=$objective(),
        batch_size=$batch_size,
        epochs=$epochs,
    )


TASK = TaskDefinition(
    name="$name",
    summary="$models",
    datasets=("$dataset",),
    options=TrainingOptions,
    define=define,
    reference=$reference,
)


@hookimpl
def harness_task(name: str) -> TaskDefinition | None:
    """Return the task of this name; None for others."""
    return TASK if name == "$name" else None
''')
_BATCH_SIZE, _EPOCHS = 64, 10
_USUAL_NAMES = {"make", "make_model", "model", "models", "build"}
#: What two frameworks agree on, beside the file of the task.
REFERENCE_SUFFIX = ".reference.json"


def task_name(targets: Sequence[str]) -> str:
    """A name for the task of targets: of their files or modules, and callables, unless those are usual."""
    parts = []
    for target in targets:
        place, name = split_target(target)
        path = [Path(place).stem] if is_file(target) else place.split(".")
        telling = [part for part in path if part not in _USUAL_NAMES]
        parts += [*(telling or path)[-1:], *[name] * (name not in _USUAL_NAMES)]
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
    name: str,
    layer: Native,
    input_shape: tuple[int, ...],
    objective: Objective,
    dataset: str,
    backends: Sequence[str],
) -> str:
    """The text of the file."""
    encoded = msgspec.json.format(msgspec.json.encode(Network(input_shape, (layer,))), indent=1).decode()
    alone = len(backends) == 1
    return _TEMPLATE.substitute(
        imports="import msgspec" if alone else "from pathlib import Path\n\nimport msgspec",
        name=name,
        models=" and ".join(model.target.replace("\\", "/") for model in layer.models),
        command=f"run --backend {backends[0]}" if alone else f"duel {' '.join(backends)}",
        objective=type(objective).__name__,
        network=encoded,
        batch_size=_BATCH_SIZE,
        epochs=_EPOCHS,
        dataset=dataset,
        # One model alone has nothing to be compared with.
        reference="None" if alone else f'Path(__file__).with_suffix("{REFERENCE_SUFFIX}")',
    )


# Pairs of parameters in a file, for what cannot be matched by use and shape.

#: Names of A with the names of B that each belongs to.
NameMap = dict[str, list[str]]


def read_map(path: Path) -> NameMap:
    """The pairs in a JSON file: ``{"name of A": "name of B"}``, or a list of names of B.

    Raises:
        UsageError: it cannot be read, or holds something else.
    """
    try:
        read = msgspec.json.decode(path.read_bytes(), type=dict[str, str | list[str]])
    except OSError as error:
        raise UsageError(f"--map {path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f'--map {path} is no JSON object of names, such as {{"fc.weight": "dense/kernel"}}: {error}'
        ) from error
    return {name: [other] if isinstance(other, str) else other for name, other in read.items()}


def write_map(path: Path, pairs: list[ParameterPair]) -> None:
    """Write the pairs of a comparison as such a file.

    Raises:
        OSError: it cannot be written.
    """
    names: NameMap = {}
    for pair in pairs:
        others = names.setdefault(pair.a, [])
        if pair.b not in others:
            others.append(pair.b)
    plain = {name: others[0] if len(others) == 1 else others for name, others in names.items()}
    replace_file(path, json.dumps(plain, indent=1).encode() + b"\n")


def refuse_unknown(given: NameMap, known_a: set[str], known_b: set[str]) -> None:
    """Refuse names that the models do not have.

    Raises:
        UsageError: names the first one.
    """
    for name, others in given.items():
        if name not in known_a:
            raise UsageError(f"--map: A has no parameter {name!r}; it has {', '.join(sorted(known_a)[:5])} …")
        for other in others:
            if other not in known_b:
                raise UsageError(
                    f"--map: B has no parameter {other!r}; it has {', '.join(sorted(known_b)[:5])} …"
                )
