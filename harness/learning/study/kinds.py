"""Kinds of study as they are loaded: validated as a whole, listed, and with what they need installed."""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, get_args

from harness.core.documents.document import Document, Node, Table
from harness.core.documents.numbers import NOTHING
from harness.core.documents.render.terminal import terminal_text
from harness.core.plugins import files, registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.faults import message_of
from harness.core.plugins.options import describe_options, parse_options
from harness.errors import HarnessError, PluginError, UsageError, unknown_name
from harness.learning.study.parts import check_names, parts_of
from harness.learning.study.variants import (
    FEWEST_VARIANTS,
    centre,
    setting,
)
from harness.spec.study import StudyKind, StudyVariant
from harness.spec.task import Objective, TaskDefinition

#: Characters that ``--variants`` and ``--search`` give a meaning.
_RESERVED = (",", "=", '"')
#: A module of each extra that a study may need.
_MODULES = {"tune": "optuna", "privacy": "dp_accounting", "report": "vl_convert"}


def load(name: str) -> StudyKind:
    """Load the kind of study of this name and validate it as a whole."""
    kind = registry.study(name)
    validate(kind)
    return kind


def validate(kind: StudyKind) -> None:
    """Check every name and every value in a kind."""
    check_names(kind)
    owner = f"the study {kind.name}"
    if len(kind.variants) < FEWEST_VARIANTS:
        raise UsageError(f"{owner} has one variant; a study compares two or more.")
    for words, number in (
        ("trials", kind.trials),
        ("seeds", kind.seeds),
        ("trials of quick", kind.quick.trials),
        ("seeds of quick", kind.quick.seeds),
    ):
        if number < 1:
            raise UsageError(f"{owner} has {number} {words}; expected at least 1.")
    tasks = [_task(name, owner) for name in kind.tasks]
    datasets = {name for task in tasks for name in task.definition.datasets}
    if kind.quick.dataset is not None and kind.quick.dataset not in datasets:
        raise unknown_name("data set", kind.quick.dataset, datasets, f"quick of {owner}")
    for assignment in kind.quick.assignments:
        _check_assignment(assignment, tasks, f"quick of {owner}")
    for variant in kind.variants:
        _check_variant(variant, tasks, f"variant {variant.name!r} of {owner}")


class _Task(NamedTuple):
    """A task of a kind, and the names of its options."""

    definition: TaskDefinition
    options: set[str]


def _task(name: str, owner: str) -> _Task:
    try:
        definition = registry.task(name)
    except UsageError:
        raise unknown_name("task", name, registry.names("task"), owner) from None
    return _Task(definition, {option for option, *_ in describe_options(definition)})


def _check_variant(variant: StudyVariant, tasks: Sequence[_Task], owner: str) -> None:
    if reserved := [mark for mark in _RESERVED if mark in variant.name]:
        raise UsageError(f"{owner}: a name has no {reserved[0]}, by which --variants separates names.")
    tags = [each.__struct_config__.tag for each in get_args(Objective)]
    if unknown := [tag for tag in variant.objectives if tag not in tags]:
        raise unknown_name("objective", unknown[0], tags, owner)
    if variant.epochs <= 0:
        raise UsageError(f"{owner}: epochs={variant.epochs:g}; expected a factor above 0.")
    ends = [setting(each.option, end) for each in variant.ranges for end in (each.low, each.high)]
    for assignment in (*variant.assignments, *ends):
        _check_assignment(assignment, tasks, owner)
    set_options = {assignment.partition("=")[0] for assignment in variant.assignments}
    if twice := set_options & {each.option for each in variant.ranges}:
        raise UsageError(f"{owner}: {min(twice)} is set and tuned; leave one of them out.")
    every = [*variant.assignments, *centre(variant)]
    if failure := _of_all(_failure(task.definition, every) for task in tasks):
        raise UsageError(f"{owner} fits none of its tasks: {failure}")


def _check_assignment(assignment: str, tasks: Sequence[_Task], owner: str) -> None:
    """Check an assignment of an option of one of the tasks, by its name and its value."""
    option, sign, _ = assignment.partition("=")
    if not sign:
        raise UsageError(f"{owner}: {assignment!r} is no assignment; write OPTION=VALUE, such as width=0.5.")
    having = [task.definition for task in tasks if option in task.options]
    if not having:
        raise unknown_name("option", option, set[str]().union(*(task.options for task in tasks)), owner)
    if failure := _of_all(_unfit(task, assignment) for task in having):
        raise UsageError(f"{owner}: {failure}")


def _of_all(failures: Iterable[str]) -> str:
    """Return the first of several failures; empty as soon as one of them is empty."""
    first = ""
    for failure in failures:
        if not failure:
            return ""
        first = first or failure
    return first


def _unfit(task: TaskDefinition, assignment: str) -> str:
    """Return why an option does not take a value; empty if it does."""
    try:
        parse_options(task, [assignment])
    except UsageError as error:
        return message_of(error).removeprefix("--set ")
    return ""


def _failure(task: TaskDefinition, assignments: Sequence[str]) -> str:
    """Return why a task cannot be trained with these options; empty if it can."""
    try:
        define_task(task, parse_options(task, assignments))
    except HarnessError as error:
        return message_of(error).removeprefix("--set: ")
    return ""


def extras_of(kind: StudyKind) -> list[str]:
    """Return the extras that the kind needs: for its parts and its page."""
    return [*dict.fromkeys([*(part.extra for part in parts_of(kind) if part.extra), "report"])]


def require_extras(extras: Iterable[str]) -> str | None:
    """Check, before anything runs, that extras are installed; returns a warning if only the page's is not."""
    modules = {extra: _MODULES[extra] for extra in extras if extra in _MODULES}
    missing = [extra for extra, module in modules.items() if importlib.util.find_spec(module) is None]
    advice = f'pip install "dl-harness[{",".join(missing)}]"'
    if missing == ["report"]:
        return f"There will be no page: {advice}"
    if missing:
        names = " and ".join(f'"{extra}"' for extra in missing)
        raise UsageError(f"this study needs what is not installed, of the extras {names}: {advice}")
    return None


class _ListedKind(NamedTuple):
    """A kind of study, or why it is left out."""

    name: str
    kind: StudyKind | None
    failure: str = ""


def _kinds() -> Iterator[_ListedKind]:
    """Yield the installed kinds and those of plugin files, by name."""
    names = {name: None for path in files.plugin_files() for name in _names_in(path)}
    for name in (*names, *(each for each in registry.names("study") if each not in names)):
        try:
            yield _ListedKind(name, load(name))
        except HarnessError as error:
            yield _ListedKind(name, None, str(error))


def _names_in(path: Path) -> list[str]:
    """Return the names of the kinds that a plugin file defines in its module."""
    where = f"plugin file {path}"
    try:
        module = files.import_file(path)
    except Exception as error:
        raise PluginError(
            f"{where} could not be loaded: {type(error).__name__}: {message_of(error)}"
        ) from error
    names = [each.name for each in vars(module).values() if isinstance(each, StudyKind)]
    if not names:
        raise PluginError(f"{where} defines no StudyKind in its module")
    return list(dict.fromkeys(names))


def listing() -> tuple[str, list[str]]:
    """List the kinds with their variants for the terminal; returns the text, and why others are left out."""
    listed = list(_kinds())
    known = [each.kind for each in listed if each.kind is not None]
    headers = ("study", "task by default", "trainings with --quick", "trainings", "extras")
    rows = [
        (
            kind.name,
            kind.tasks[0],
            *(_trainings(kind, quick=quick) for quick in (True, False)),
            _extras_text(kind),
        )
        for kind in known
    ]
    title = "Kinds of study, with the number of trainings for one backend."
    nodes: list[Node] = [Table(headers, rows, title, announced=True), *map(_variants, known)]
    text = terminal_text(Document("study", "Studies", nodes))
    return text, [f"study {each.name} is left out: {each.failure}" for each in listed if each.failure]


def _extras_text(kind: StudyKind) -> str:
    return ", ".join(extras_of(kind))


def _variants(kind: StudyKind) -> Table:
    rows = []
    for variant in kind.variants:
        ranges = [f"{each.option}={each.low:g}:{each.high:g}" for each in variant.ranges]
        rows.append((variant.name, " ".join([*variant.assignments, *ranges]) or NOTHING, variant.meaning))
    headers = [kind.noun, "settings (LOW:HIGH: tuned)", "what it is"]
    return Table(headers, rows, f"harness study {kind.name}: {kind.question}", announced=True)


def _trainings(kind: StudyKind, *, quick: bool) -> str:
    """Count the trainings of a study with one backend: trials, and runs that are compared."""
    size = kind.quick if quick else kind
    chosen = (quick and kind.quick.variants) or [each.name for each in kind.variants]
    tuned = sum(bool(each.ranges) for each in kind.variants if each.name in chosen)
    return str(size.trials * tuned + size.seeds * len(chosen))
