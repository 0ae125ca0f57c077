"""A plugin file with a task that trains a model of the user's own."""

import importlib
import itertools
import re
import string
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.documents.circumstances import option_words, shell_line
from harness.core.documents.files import write_bytes
from harness.core.models.arguments import OptionValue, option_value
from harness.core.models.fit import remarks, whole_numbers
from harness.core.models.reading import OwnModel, Variant, native_layer
from harness.core.plugins import kept_data, registry
from harness.core.plugins.files import add_written_file
from harness.errors import UsageError
from harness.layers import Native
from harness.network import Network
from harness.spec.task import BinaryClassification, Classification, Objective, Regression, Start
from harness.tracing.calls import InputShape
from harness.tracing.user_code import is_file, split_target

_TEMPLATE = string.Template('''"""The task $name: trains $models. Written by harness.

Run it with: harness $command --task $name --plugin THIS_FILE$data
Write it again when parameters of the model are added, removed or reshaped.
"""

$imports
from harness.hookspecs import hookimpl
from harness.network import Network
from harness.spec import OwnCode, Start, Task, TaskDefinition
from harness_tasks.options import $imported

# For each choice of the model's arguments its arrays, and where its code holds each of them.
VARIANTS = msgspec.json.decode(
    r"""
$variants
""",
    type=list[tuple[dict[str, bool | int | float | str], Network]],
)
# Parts of the training that are your own code, and files of weights to start from, by the values of options.
OWN_CODE = $own_code
STARTS: dict[str, Start | None] = $starts


class Options($base, frozen=True, kw_only=True):
    """How the model is trained, and the arguments with which it is made."""

    own_loss: Annotated[str, msgspec.Meta(description="your own in place of loss")] = "none"
    own_optimizer: Annotated[str, msgspec.Meta(description="your own in place of optimizer")] = "none"
    own_augment: Annotated[str, msgspec.Meta(description="your own augmentation of the inputs")] = "none"
    start_from: Annotated[str, msgspec.Meta(description="file of weights to start from")] = "none"
$options


def define(options: Options) -> Task:
    """Describe the task with these options."""
    chosen = {name: getattr(options, name) for name in VARIANTS[0][0]}
    networks = [network for values, network in VARIANTS if values == chosen]
    if not networks:
        raise ValueError(f"there is no model with {chosen}; harness run --set-model makes others")
    try:
        code = OwnCode(
            OWN_CODE[options.own_loss], OWN_CODE[options.own_optimizer], OWN_CODE[options.own_augment]
        )
        start = STARTS[options.start_from]
    except KeyError as error:
        giving = "--loss, --optimizer, --augment or --start-from"
        raise ValueError(f"{error} is unknown; give it by {giving}") from error
    task = options.make_task(
        name="$name",
        version=1,
        networks={"model": networks[0]},
        batch_size=$batch_size,
        epochs=$epochs,
    )
    return with_own_code(task, options, code, start)


TASK = TaskDefinition(
    name="$name",
    summary="$models",
    datasets=("$dataset",),
    options=Options,
    define=define,
    reference=$reference,
)


@hookimpl
def harness_task(name: str) -> TaskDefinition | None:
    """Return the task of this name; None for others."""
    return TASK if name == "$name" else None
''')
#: The options of the training by the kind of task, as tasks that come with harness have them.
_BASES: dict[type[Objective], str] = {
    Classification: "ClassificationOptions",
    BinaryClassification: "BinaryClassificationOptions",
    Regression: "RegressionOptions",
}
_PICTURE_AXES = 3
#: The module of these options, which the file of a task imports.
_OPTIONS = "harness_tasks.options"
#: Options of tasks on images.
_OF_IMAGES = {"flip": ("Flip", "False"), "crop": ("Crop", "0")}
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
    """The number of classes; None for numbers."""
    remarks: tuple[str, ...] = ()
    """What may be unintended in the data."""
    batch_size: int = _BATCH_SIZE
    """Samples of a training step, where no option sets another number."""

    def objective(self, layer: Native) -> Objective:
        """Return the objective of a model that is trained on the data.

        A single output is the logit of the second of two classes.
        """
        *positions, outputs = layer.outputs or (0,)
        if self.classes is None:
            if layer.outputs == self.targets:
                return Regression()
            expected = f"{_batch_of(self.targets)}, a number for each target"
        elif tuple(positions) == self.targets and outputs >= self.classes:
            return Classification()
        elif self.classes == _TWO and layer.outputs == (1,) and not self.targets:
            return BinaryClassification()
        else:
            expected = f"{_batch_of((*self.targets, self.classes))}, one for each class"
        model = layer.models[0]
        chosen = ", ".join(f"{name}={value}" for name, value in model.arguments.items())
        raise UsageError(
            f"{model.target}{f' with {chosen}' if chosen else ''} does not fit {self.dataset}: its outputs "
            f"have the shape {_batch_of(layer.outputs)}; expected {expected}."
        )


def _batch_of(shape: Sequence[int]) -> str:
    """Write the shape of a batch of samples of this ``shape``: ``(batch, 10)``."""
    return f"({', '.join(map(str, ['batch', *shape]))})"


class WrittenTask(NamedTuple):
    """A plugin file with a task, the backends that train its models, and the choices of their arguments."""

    name: str
    backends: list[str]
    path: Path
    choices: list[dict[str, OptionValue]]
    remarks: tuple[str, ...] = ()
    """Likely mistakes in the data and the models."""


def task_data(dataset: str) -> TaskData:
    """Load the data set ``dataset`` and derive inputs and objective.

    Integer targets are classes; other targets are numbers to be predicted.
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
        dataset,
        InputShape(shape, integer=tokens, maximum=maximum),
        tuple(train.targets.shape[1:]),
        classes,
        tuple(whole_numbers(train.targets, dataset)),
        # An epoch of few samples has some steps, too.
        max(1, min(_BATCH_SIZE, len(train.targets) // 4)),
    )


def training_options() -> set[str]:
    """Return the names of the options that tasks of any kind have."""
    options = importlib.import_module(_OPTIONS)
    kinds = [getattr(options, base).__struct_fields__ for base in _BASES.values()]
    return {*itertools.chain(*kinds), *_OF_OWN, *_OF_IMAGES}


def training_defaults(objective: Objective) -> dict[str, OptionValue]:
    """Return the defaults of the options that a task of this kind has whatever its model, by name."""
    base = getattr(importlib.import_module(_OPTIONS), _BASES[type(objective)])
    of_images: dict[str, OptionValue] = {"flip": False, "crop": 0}
    return {**msgspec.structs.asdict(base()), **of_images, **dict.fromkeys(_OF_OWN, "none")}


class OwnParts(NamedTuple):
    """Values of options: targets of the user's own ``code`` by their texts, files of weights by theirs."""

    code: Mapping[str, str] = {}
    starts: Mapping[str, Start] = {}


_NO_PARTS = OwnParts()
_IMPORTS = "from typing import Annotated\n\nimport msgspec"
#: The options of every task whose model is the user's own.
_OF_OWN = ("own_loss", "own_optimizer", "own_augment", "start_from")


class Choice(NamedTuple):
    """A choice of a model's arguments: the values of the options that they are, and the layer."""

    options: dict[str, OptionValue]
    layer: Native


def task_file(
    name: str,
    choices: Sequence[Choice],
    data: TaskData,
    command: str,
    reference: str = "",
    parts: OwnParts = _NO_PARTS,
) -> str:
    """Return the text of a plugin file with the task ``name`` that trains models on ``data``.

    There is an option for each argument in the ``choices``; the first choice is the default. ``command`` is
    the command and backends that the file suggests, such as ``run --backend torch``; ``reference`` is the
    suffix of the task's reference file, empty if the task has none. ``parts`` are values of options.
    """
    variants = [(choice.options, Network(data.shape.shape, (choice.layer,))) for choice in choices]
    first, *others = (_BASES[type(data.objective(choice.layer))] for choice in choices)
    if set(others) - {first}:
        raise UsageError("with some arguments the model has one output, with others two; give one of them")
    images = _OF_IMAGES if len(data.shape.shape) == _PICTURE_AXES else {}
    imported = [*sorted([first, *(kind for kind, _ in images.values())]), "with_own_code"]
    return _TEMPLATE.substitute(
        imports=("from pathlib import Path\n" if reference else "") + _IMPORTS,
        own_code=repr({"none": "", **parts.code}),
        starts=repr({"none": None, **parts.starts}),
        name=name,
        models=" and ".join(model.target.replace("\\", "/") for model in choices[0].layer.models),
        command=command,
        data=data_words(data.dataset),
        base=first,
        imported=", ".join(imported),
        options="".join(
            [f"\n    {option}: {kind} = {default}" for option, (kind, default) in images.items()]
            + [
                _field(option, [choice.options[option] for choice in choices])
                for option in choices[0].options
            ]
        ),
        variants=msgspec.json.format(msgspec.json.encode(variants), indent=1).decode(),
        batch_size=data.batch_size,
        epochs=_EPOCHS,
        dataset=data.dataset,
        reference=f'Path(__file__).with_suffix("{reference}")' if reference else "None",
    )


def data_words(dataset: str) -> str:
    """Return the options, after a space, that name a data set of a file; empty for others."""
    file = kept_data.file_of(dataset)
    return "" if file is None else f" {shell_line(option_words(file.options()))}"


def _field(option: str, values: Sequence[OptionValue]) -> str:
    """Return the field of an option that has these values: of their type, the first as its default."""
    kinds = " | ".join(dict.fromkeys(type(value).__name__ for value in values))
    described = 'msgspec.Meta(description="argument of the model")'
    return f"\n    {option}: Annotated[{kinds}, {described}] = {values[0]!r}"


def write_task(
    path: Path,
    models: Sequence[OwnModel],
    choices: Sequence[Choice],
    data: TaskData,
    command: str,
    reference: str = "",
    parts: OwnParts = _NO_PARTS,
) -> WrittenTask:
    """Write the plugin file of a task that trains models, and make this process and its workers load it.

    ``path`` is the file, or a folder in which the file is named after the task. ``models`` are the models of
    the first of ``choices``; ``command`` precedes the names of their backends. ``reference`` and ``parts`` as
    in :func:`task_file`.
    """
    name = task_name([model.spec.target for model in models])
    backends = [model.built.backend for model in models]
    text = task_file(name, choices, data, " ".join([command, *backends]), reference, parts)
    path = path / f"{name}.py" if path.is_dir() else path
    try:
        write_bytes(path, text.encode())
    except OSError as error:
        raise UsageError(f"the task {path} cannot be written: {error.strerror}") from error
    add_written_file(path)
    of_models = (remark for model in models for remark in remarks(model, data))
    chosen = [choice.options for choice in choices]
    return WrittenTask(name, backends, path, chosen, (*data.remarks, *of_models))


def write_model_task(
    variants: Sequence[Variant],
    data: TaskData,
    path: Path,
    taken: Collection[str],
    saved_by: str = "",
    parts: OwnParts = _NO_PARTS,
) -> WrittenTask:
    """Write the plugin file of the task that trains the ``variants`` of one model on ``data``.

    ``path`` as in :func:`write_task`. ``taken`` are names that an option may not have; the option of an
    argument of such a name begins with ``model_``. ``saved_by`` is the command that writes the file again;
    ``parts`` as in :func:`task_file`.
    """
    names = {name: f"model_{name}" if name in taken else name for name in variants[0].arguments}
    choices = []
    for variant in variants:
        layer = msgspec.structs.replace(
            native_layer(variant.model, data.shape), saved_by=saved_by, options=tuple(names.values())
        )
        values = {names[name]: option_value(value) for name, value in variant.arguments.items()}
        choices.append(Choice(values, layer))
    return write_task(path, [variants[0].model], choices, data, "run --backend", parts=parts)


def task_name(targets: Sequence[str]) -> str:
    """Name the task of ``targets`` after their files or modules and, unless usual, their callables."""
    parts = []
    for target in targets:
        place, name = split_target(target)
        path = [Path(place).stem] if is_file(target) else place.split(".")
        telling = [part for part in path if part not in _USUAL_NAMES]
        parts += [*(telling or path)[-1:], *[name] * (name not in _USUAL_NAMES)]
    return re.sub(r"[^a-z0-9]+", "_", "_".join(parts).lower()).strip("_") or "model"
