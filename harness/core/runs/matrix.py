"""The runs of ``harness run``: every backend, task, setting, precision and number of threads with every seed.

Planning trains nothing. It refuses in two steps what cannot run: names and options first, then, once
the data sets are known, batch sizes.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from harness.core.machine.description import default_threads
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task, resized
from harness.core.plugins.installation import installation
from harness.core.plugins.options import Value, options_with, parse_alternatives, value_text
from harness.core.plugins.selection import Selection, select_backend
from harness.core.runs.record import DatasetRecord, Evaluation
from harness.core.runs.request import RunRequest, choose_dataset, refuse_unfitting, summary_of
from harness.core.training.splits import training_count
from harness.errors import PluginError, UsageError
from harness.spec.backend import Precision
from harness.spec.data import DownloadProgress
from harness.spec.task import Preset, Task, TaskDefinition

#: One backend per framework.
_BACKENDS = ("torch", "keras", "jax")


def preset_backends() -> list[str]:
    """Return the installed backends among torch, keras and jax."""
    installed = [
        name
        for name in _BACKENDS
        if name in registry.names("backend") and installation(name).state == "installed"
    ]
    if not installed:
        raise UsageError(
            f"none of {', '.join(_BACKENDS)} is installed; name a backend with --backend, or install one: "
            'pip install "dl-harness[torch]"'
        )
    return installed


def preset_tasks(preset: str) -> list[str]:
    """Return the tasks that declare the preset; skip broken plugins."""
    return [name for name in registry.names("task") if _declares(name, preset)]


def _declares(name: str, preset: str) -> bool:
    try:
        return preset in registry.task(name).presets
    except PluginError:
        return False


def preset_of(definition: TaskDefinition, preset: str | None) -> Preset:
    """Return a task's size in a preset; without a preset, one that changes nothing."""
    if preset is None:
        return Preset()
    if preset not in definition.presets:
        raise UsageError(f"task {definition.name} has no preset {preset}; use --epochs to make it smaller.")
    return definition.presets[preset]


#: The axes of a matrix: names such as ``optimizer``, with their values in the order given.
Axes = dict[str, list[Value]]


class Setting(NamedTuple):
    """A task as it will be trained, with the value of each of its options.

    ``varied`` are the values of options and sizes that have several values in the matrix.
    """

    task: Task
    options: dict[str, Value]
    varied: dict[str, Value]


def settings(
    definition: TaskDefinition,
    assignments: Sequence[str],
    batch_sizes: Sequence[int] = (),
    epochs: int | None = None,
) -> list[Setting]:
    """Combine the values of options and the batch sizes; those given first change slowest.

    A combination that takes all training data at once is planned once, whatever the batch sizes.
    """
    axes = parse_alternatives(definition, assignments)
    several = {name for name, values in axes.items() if len(values) > 1}
    defined = [_define(definition, chosen, several) for chosen in _combinations(axes)]
    in_batches = any(setting.task.batch_size for setting in defined)
    sized = []
    for setting in defined:
        applies = setting.task.batch_size is not None or not in_batches
        for size in batch_sizes if applies and batch_sizes else [None]:
            varied = setting.varied | ({"batch_size": size} if size and len(batch_sizes) > 1 else {})
            sized.append(setting._replace(task=resized(setting.task, size, epochs), varied=varied))
    return sized


def _combinations(axes: Axes) -> list[dict[str, Value]]:
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _define(definition: TaskDefinition, chosen: Mapping[str, Value], several: set[str]) -> Setting:
    options = options_with(definition, chosen)
    varied = {name: value for name, value in chosen.items() if name in several}
    try:
        task = define_task(definition, options)
    except UsageError as error:
        if not varied:
            raise
        combination = " ".join(f"--set {name}={value_text(value)}" for name, value in varied.items())
        raise UsageError(
            f"{combination}: {str(error).removeprefix('--set: ')} "
            "Run the values that do not go together in calls of their own."
        ) from error
    return Setting(task, msgspec.structs.asdict(options), varied)


class OwnTask(msgspec.Struct, frozen=True):
    """What is asked of the task of one of the user's models alone: backends, and ``KEY=VALUE`` texts."""

    backends: list[str]
    assignments: list[str] = []


class MatrixOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The request of the user. None leaves a value to the preset, then to the task.

    ``backends`` and ``tasks`` may be empty with a preset; ``assignments`` are ``KEY=VALUE`` texts, in which a
    comma separates several values. ``own`` are the tasks of the user's own models, by name.
    """

    backends: list[str]
    tasks: list[str]
    seeds: list[int]
    preset: str | None = None
    dataset: str | None = None
    epochs: int | None = None
    max_steps: int | None = None
    evaluation: Evaluation = Evaluation()
    batch_sizes: list[int] = []
    device: str = "auto"
    precisions: tuple[Precision, ...] = ("float32",)
    threads: list[int] = []
    assignments: list[str] = []
    timeout: float | None = None
    save_weights: bool = False
    command: list[str] = []
    own: dict[str, OwnTask] = {}


class _TaskRuns(NamedTuple):
    """A task in all its settings, with the data set and the limit of steps of the user or of the preset."""

    definition: TaskDefinition
    settings: list[Setting]
    selections: list[Selection]
    dataset: str | None
    max_steps: int | None


class _Cell(NamedTuple):
    """A setting that runs once with each seed on each of its backends."""

    setting: Setting
    selections: list[Selection]
    dataset: DatasetRecord
    max_steps: int | None
    precision: Precision
    threads: int


class RunMatrix:
    """The planned runs."""

    def __init__(self, options: MatrixOptions) -> None:
        self._options = options
        backends = _names(options.backends, "--backend", options.preset, preset_backends)
        tasks = _names(options.tasks, "--task", options.preset, lambda: preset_tasks(options.preset or ""))
        self._tasks = [_planned(registry.task(name), options, backends) for name in tasks]
        for planned in self._tasks:
            if options.dataset is not None:
                refuse_unfitting(planned.definition, options.dataset, planned.settings[0].task)

    def requests(self, progress: DownloadProgress) -> list[RunRequest]:
        """Fetch the data sets and return the runs in order. Seeds change slowest: drift affects all alike."""
        datasets = [
            choose_dataset(planned.definition, planned.dataset, progress, planned.settings[0].task)
            for planned in self._tasks
        ]
        options = self._options
        cells = [
            _Cell(setting, planned.selections, dataset, planned.max_steps, precision, threads)
            for planned, dataset in zip(self._tasks, datasets, strict=True)
            for setting, precision, threads in itertools.product(
                planned.settings, options.precisions, options.threads or [default_threads()]
            )
        ]
        for cell in cells:
            _refuse_large_batch(cell.setting.task, cell.dataset.name)
        return [
            self._request(seed, cell, backend, mode)
            for seed, cell in itertools.product(options.seeds, cells)
            for backend, mode in _configurations(cell.selections, cell.setting.task)
        ]

    def axes(self) -> dict[str, list[Value]]:
        """Return the axes that have several values, with the values in the order given."""
        options = self._options
        axes: dict[str, list[Value]] = {
            "task": [planned.definition.name for planned in self._tasks],
            "backend": self._backend_names(),
        }
        for planned in self._tasks:
            for setting in planned.settings:
                for name, value in setting.varied.items():
                    if value not in axes.setdefault(name, []):
                        axes[name].append(value)
        axes |= {"precision": [*options.precisions], "threads": [*options.threads], "seed": [*options.seeds]}
        return {name: values for name, values in axes.items() if len(values) > 1}

    def _backend_names(self) -> list[Value]:
        """Return the backends with their modes; only a name if its default mode differs between tasks."""
        asked: dict[tuple[str, str], tuple[Selection, list[Task]]] = {}
        for planned in self._tasks:
            for selection in planned.selections:
                _, tasks = asked.setdefault((selection.backend.name, selection.written), (selection, []))
                tasks += [setting.task for setting in planned.settings]
        names: dict[Value, None] = {}
        for selection, tasks in asked.values():
            name = selection.backend.name
            modes = {mode: None for task in tasks for mode in selection.modes(task)}
            alone = not selection.written and len(modes) > 1
            names |= dict.fromkeys([name] if alone else [f"{name}:{mode}" for mode in modes])
        return list(names)

    def _request(self, seed: int, cell: _Cell, backend: str, mode: str) -> RunRequest:
        options = self._options
        return RunRequest(
            configuration=Configuration(backend, mode, options.device, cell.threads, cell.precision),
            task=cell.setting.task,
            seed=seed,
            options=cell.setting.options,
            dataset=cell.dataset,
            max_steps=cell.max_steps,
            evaluation=options.evaluation,
            timeout_seconds=options.timeout,
            save_weights=options.save_weights,
            variant=self._variant(cell),
            command=options.command,
        )

    def _variant(self, cell: _Cell) -> str:
        """Describe how the run differs from others of its task and backend: ``optimizer=adam, threads=2``."""
        varied = dict(cell.setting.varied)
        if len(self._options.precisions) > 1:
            varied["precision"] = cell.precision
        if len(self._options.threads) > 1:
            varied["threads"] = cell.threads
        return ", ".join(f"{name}={value_text(value)}" for name, value in varied.items())


def _configurations(selections: list[Selection], task: Task) -> list[tuple[str, str]]:
    """Return the backends and modes for a task, each once."""
    return list(
        dict.fromkeys(
            (selection.backend.name, mode) for selection in selections for mode in selection.modes(task)
        )
    )


def _names(
    given: list[str], option: str, preset: str | None, names_of_preset: Callable[[], list[str]]
) -> list[str]:
    if given:
        return given
    if preset is None:
        raise UsageError(f"{option} is missing. Name at least one, or run everything small: --preset smoke.")
    return names_of_preset()


def _planned(definition: TaskDefinition, options: MatrixOptions, backends: list[str]) -> _TaskRuns:
    preset = preset_of(definition, options.preset)
    own = options.own.get(definition.name, OwnTask(backends))
    selections = [select_backend(name) for name in own.backends]
    assignments = [*options.assignments, *own.assignments]
    planned = settings(definition, assignments, options.batch_sizes, options.epochs or preset.epochs)
    # A user who asks for other epochs wants all of them.
    max_steps = options.max_steps or (None if options.epochs else preset.max_steps)
    return _TaskRuns(definition, planned, selections, options.dataset or preset.dataset, max_steps)


def _refuse_large_batch(task: Task, dataset: str) -> None:
    """Refuse a batch larger than the data if their size is known without reading; else the worker refuses."""
    summary = summary_of(dataset)
    if summary is None or task.imbalance is not None or task.batch_size is None:
        return
    samples = training_count(summary.samples)
    if task.batch_size > samples:
        raise UsageError(
            f"batch size {task.batch_size} is larger than the {samples:,} training samples of {dataset}; "
            "give a smaller --batch-size."
        )
