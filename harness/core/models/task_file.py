"""A plugin file with a task that trains a model of the user's own."""

import re
import string
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.documents.circumstances import option_words, shell_line
from harness.core.documents.files import write_bytes
from harness.core.models.reading import OwnModel, SideSpec, native_layer, read_model
from harness.core.plugins import kept_data, registry
from harness.core.plugins.files import name_plugin_files, plugin_files
from harness.errors import UsageError
from harness.layers import Native
from harness.network import Network
from harness.spec.task import BinaryClassification, Classification, Objective, Regression
from harness.tracing.calls import InputShape
from harness.tracing.user_code import is_file, split_target

_TEMPLATE = string.Template('''"""The task $name: trains $models. Written by harness.

Run it with: harness $command --task $name --plugin THIS_FILE$data
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
_TWO = 2
_USUAL_NAMES = {"make", "make_model", "model", "models", "build"}


class TaskData(NamedTuple):
    """A data set, the input of one of its samples, and what a model predicts.

    ``targets`` is the shape of one sample's; ``classes`` counts them, and is None for numbers.
    """

    dataset: str
    shape: InputShape
    targets: tuple[int, ...]
    classes: int | None

    def objective(self, layer: Native) -> Objective:
        """Return the objective of a model that is trained on the data.

        A single output is the logit of the second of two classes.

        Raises:
            UsageError: the outputs of the model do not fit the targets.
        """
        *positions, outputs = layer.outputs or (0,)
        target = layer.models[0].target
        if self.classes is None:
            if layer.outputs == self.targets:
                return Regression()
            expected = f"outputs of shape {('batch', *self.targets)}, a number for each target"
        elif tuple(positions) == self.targets and outputs >= self.classes:
            return Classification()
        elif self.classes == _TWO and layer.outputs == (1,) and not self.targets:
            return BinaryClassification()
        else:
            expected = f"outputs of shape {('batch', *self.targets, self.classes)}, one for each class"
        shape = ("batch", *layer.outputs)
        raise UsageError(
            f"{target} does not fit {self.dataset}: its outputs have the shape {shape}; expected {expected}."
        )


class WrittenTask(NamedTuple):
    """A plugin file with a task, and the backends that train its models."""

    name: str
    backends: list[str]
    path: Path


def task_data(dataset: str) -> TaskData:
    """Load the data set ``dataset`` and derive inputs and objective.

    Integer targets are classes; other targets are numbers to be predicted.

    Raises:
        UsageError: the data set is unknown.
        DataError: the data set is not on this machine.
    """
    data = registry.dataset(dataset).load()
    splits = [samples for samples in (data.train, data.validation, data.test) if samples is not None]
    train = data.train
    shape = tuple(train.inputs.shape[1:])
    tokens = train.inputs.dtype.kind in "iu" and len(shape) == 1
    maximum = 1 + max(int(samples.inputs.max()) for samples in splits) if tokens else 0
    is_class = train.targets.dtype.kind in "iu"
    classes = 1 + max(int(samples.targets.max()) for samples in splits) if is_class else None
    return TaskData(
        dataset, InputShape(shape, integer=tokens, maximum=maximum), tuple(train.targets.shape[1:]), classes
    )


def task_file(name: str, layer: Native, data: TaskData, command: str, reference: str = "") -> str:
    """Return the text of a plugin file with the task ``name`` that trains ``layer`` on ``data``.

    ``command`` is the command and backends that the file suggests, such as ``run --backend torch``;
    ``reference`` is the suffix of the task's reference file, empty if the task has none.
    """
    network = Network(data.shape.shape, (layer,))
    return _TEMPLATE.substitute(
        imports="from pathlib import Path\n\nimport msgspec" if reference else "import msgspec",
        name=name,
        models=" and ".join(model.target.replace("\\", "/") for model in layer.models),
        command=command,
        data=data_words(data.dataset),
        objective=type(data.objective(layer)).__name__,
        network=msgspec.json.format(msgspec.json.encode(network), indent=1).decode(),
        batch_size=_BATCH_SIZE,
        epochs=_EPOCHS,
        dataset=data.dataset,
        reference=f'Path(__file__).with_suffix("{reference}")' if reference else "None",
    )


def data_words(dataset: str) -> str:
    """Return the options, after a space, that name a data set of a file; empty for others."""
    file = kept_data.file_of(dataset)
    return "" if file is None else f" {shell_line(option_words(file.options()))}"


def write_task(
    path: Path, models: Sequence[OwnModel], layer: Native, data: TaskData, command: str, reference: str = ""
) -> WrittenTask:
    """Write the plugin file of the task that trains ``layer``, and make this process and its workers load it.

    ``path`` is the file, or a folder in which the file is named after the task. ``models`` are the models of
    the layer; ``command`` precedes the names of their backends. ``reference`` as in :func:`task_file`.

    Raises:
        UsageError: the file cannot be written.
    """
    name = _task_name([model.spec.target for model in models])
    backends = [model.built.backend for model in models]
    text = task_file(name, layer, data, " ".join([command, *backends]), reference)
    path = path / f"{name}.py" if path.is_dir() else path
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise UsageError(f"the task {path} cannot be written: {error.strerror}") from error
    name_plugin_files([*plugin_files(), path])
    return WrittenTask(name, backends, path)


def write_model_task(
    spec: SideSpec,
    data: TaskData,
    path: Path,
    phase: Callable[[str], None],
    timeout_seconds: float | None = None,
    saved_by: str = "",
) -> WrittenTask:
    """Write the plugin file of the task that trains the model ``spec`` on ``data``.

    ``path`` as in :func:`write_task`. ``phase`` is called with the phase that begins; ``timeout_seconds``
    limits how long the model may take to be made and evaluated; ``saved_by`` is the command that writes the
    file again.

    Raises:
        UsageError: the model cannot be made or evaluated, or does not fit the data; or the file cannot be
            written.
    """
    model = read_model(spec, data.shape, timeout_seconds, phase)
    layer = msgspec.structs.replace(native_layer(model, data.shape), saved_by=saved_by)
    return write_task(path, [model], layer, data, "run --backend")


def _task_name(targets: Sequence[str]) -> str:
    """Name the task of ``targets`` after their files or modules and, unless usual, their callables."""
    parts = []
    for target in targets:
        place, name = split_target(target)
        path = [Path(place).stem] if is_file(target) else place.split(".")
        telling = [part for part in path if part not in _USUAL_NAMES]
        parts += [*(telling or path)[-1:], *[name] * (name not in _USUAL_NAMES)]
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_") or "model"
