"""Features: what a family adds to the harness, as strings, so that nothing is imported to list it.

A family is a folder that answers one kind of question: its commands, its kinds of record, its operations in a
worker, and its hooks. The built-in families are one tuple here, the only place in the core that names them; a
folder that is absent is skipped. Other packages add features by entry points and are treated alike.

Every string that names code is ``package.module:NAME``. It is imported when it is needed.
"""

import contextlib
import functools
import importlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from harness.core.shell.printing import print_error
from harness.errors import HarnessError, PluginError

if TYPE_CHECKING:
    from harness.core.documents.find import Records

#: The families of this package, in the order of ``harness --help``, each with the family that it builds on.
_BUILT_IN = {
    "timing": "",
    "learning": "timing",
    "weights": "learning",
    "port": "",
    "tracking": "",
    "cluster": "",
    "sharing": "learning",
}
#: The group of the entry points by which other packages add features.
GROUP = "harness.features"
_NONE: Mapping[str, str] = MappingProxyType({})
#: How the places of the built-in families begin.
_OWN = "harness."
_T = TypeVar("_T")


class Command(NamedTuple):
    """A command: its name, one line of help, and the place of its click command.

    A command that ``records`` writes records, which contain the command line.
    """

    name: str
    help: str
    function: str
    records: bool = False


class Skeleton(NamedTuple):
    """The skeleton of a plugin, for a KIND of ``harness new``.

    ``templates`` is the folder of its templates, ``package.module:folder``. ``group`` is the group of the
    entry point, which names the object ``attribute`` of the first module, or else the module. ``further``
    are modules beside the first one, by the ends of their names. ``first`` is a command that shows the plugin
    at work. ``taken`` returns the names that are in use.
    """

    label: str
    summary: str
    templates: str
    group: str
    first: str
    taken: Callable[[], Iterable[str]]
    further: tuple[str, ...] = ()
    attribute: str = ""


class Feature(NamedTuple):
    """The additions of a family. Keys of mappings are names on the command line or in messages to workers."""

    name: str
    title: str
    """The heading of its commands in ``harness --help``."""
    commands: tuple[Command, ...] = ()
    records: tuple[str, ...] = ()
    """Kinds of record: :class:`harness.core.documents.kinds.RecordKind` objects."""
    operations: Mapping[str, str] = _NONE
    """Operations of a worker: ``function(worker, arguments)``, for ``Session.operate``."""
    executors: Mapping[str, str] = _NONE
    """Executors of runs, by the value of ``--executor``: see :mod:`harness.core.shell.executors`."""
    after_training: tuple[str, ...] = ()
    """Work after a training: :class:`harness.core.runs.extensions.AfterTraining` objects."""
    run_report: tuple[str, ...] = ()
    """The report of several runs, a module: ``FORMATS``, suffixes of files that it writes, and
    ``write(paths, selection, results, options)``, which returns a message for each unreadable file."""
    run_summary: tuple[str, ...] = ()
    """At the end of ``harness run``: ``function(records, folder)`` returns nodes of a document."""
    report_sections: tuple[str, ...] = ()
    """Sections of a report of runs: ``function(groups, folders)`` returns
    :class:`harness.learning.runs.sections.AddedSections` for groups of runs in folders of results."""
    study_parts: tuple[str, ...] = ()
    """Parts of studies: tuples of :class:`harness.learning.study.parts.Part`."""
    repetitions: Mapping[str, str] = _NONE
    """For ``harness reproduce``, by the name of a kind of record:
    :class:`harness.sharing.reproduce.repetition.Repetition` objects."""
    leftovers: tuple[str, ...] = ()
    """For ``harness clean``: :class:`harness.core.machine.leftovers.LeftoverSource` objects."""
    skeletons: Mapping[str, str] = _NONE
    """By the KIND of ``harness new``: :class:`Skeleton` objects."""


def features() -> tuple[Feature, ...]:
    """Return the features that are present: the built-in ones, then those of other packages."""
    return (*built_in(), *(each for each in installed() if isinstance(each, Feature)))


def broken() -> list[PluginError]:
    """Return the reasons why features of other packages, on which no command depends, are left out."""
    return [each for each in installed() if isinstance(each, PluginError)]


@functools.cache
def built_in() -> tuple[Feature, ...]:
    """Return the families of this package that are present, with the families on which they build."""
    root = Path(__file__).parents[2]
    found: dict[str, Feature] = {}
    for name, base in _BUILT_IN.items():
        if (root / name / "feature.py").is_file() and (not base or base in found):
            found[name] = importlib.import_module(f"harness.{name}.feature").FEATURE
    return tuple(found.values())


@functools.cache
def installed() -> tuple[Feature | PluginError, ...]:
    """Return each feature of other packages, or its error, by the names of the entry points."""
    if not any(map(_declares_features, sys.path)):
        return ()
    from importlib import metadata  # takes longer than all else that `harness --help` needs

    return tuple(map(_loaded, sorted(metadata.entry_points(group=GROUP))))


def _declares_features(folder: str) -> bool:
    """Check that a distribution in a folder of ``sys.path`` has an entry point for features."""
    for file in Path(folder).glob("*.*-info/entry_points.txt"):
        if f"[{GROUP}]" in file.read_text(encoding="utf-8", errors="replace"):
            return True
    return False


def _loaded(entry: Any) -> Feature | PluginError:
    where = f"feature {entry.name} ({entry.value}) is left out"
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001  of its author
        return PluginError(f"{where}: {type(error).__name__}: {error}")
    if not isinstance(found, Feature):
        return PluginError(f"{where}: it is not a Feature")
    if wrong := [each for each in found.commands if not isinstance(each, Command)]:
        return PluginError(f"{where}: {wrong[0]!r} is not a Command")
    return found


@functools.cache
def records() -> "Records":
    """Return the records of all kinds: those of runs, and those that features add.

    A kind with the name, the folder or the mark of an earlier kind is left out, with a warning.
    """
    from harness.core.documents.find import Records
    from harness.core.documents.kinds import RecordKind
    from harness.core.runs.store import RUNS

    kinds: list[RecordKind[Any]] = [RUNS]
    for feature, place, kind in _present("records"):
        if not isinstance(kind, RecordKind):
            print_error(f"feature {feature}: {place} is not a RecordKind; it is left out")
            continue
        names = {kind.name, kind.folder, kind.mark}
        if taken := [each.name for each in kinds if names & {each.name, each.folder, each.mark}]:
            print_error(
                f"feature {feature}: its kind of record {kind.name} has the name, the folder or the mark of "
                f"{taken[0]}; it is left out"
            )
        else:
            kinds.append(kind)
    return Records(kinds)


def places(hook: str) -> list[str]:
    """Return the places of the objects that :func:`hooked` returns."""
    return [place for _, place, _ in _present(hook)]


def hooked(hook: str) -> list[Any]:
    """Import the objects that the features have for a hook, such as ``leftovers``.

    An object of another package that cannot be imported is left out, with a warning.
    """
    return [found for _, _, found in _present(hook)]


def asked(hook: str, ask: Callable[[Any], Iterable[_T]]) -> list[_T]:
    """Return the answers that ``ask`` gets from the objects of a hook, one after the other.

    An object of another package that raises is left out, with a warning.
    """
    answers: list[_T] = []
    for feature, place, found in _present(hook):
        try:
            answers += ask(found)
        except HarnessError:
            raise
        except Exception as error:
            if place.startswith(_OWN):
                raise
            print_error(f"feature {feature}: {place}: {type(error).__name__}: {error}; it is left out")
    return answers


def _present(hook: str) -> Iterator[tuple[str, str, Any]]:
    """Yield the name of the feature, the place and the object, for all objects that can be imported."""
    for feature in features():
        for place in getattr(feature, hook):
            if (found := _optional(feature.name, place)) is not None:
                yield feature.name, place, found


def named(hook: str) -> dict[str, str]:
    """Return the places of a hook that is a mapping, such as ``executors``, from all features."""
    return {name: place for feature in features() for name, place in getattr(feature, hook).items()}


def present(hook: str) -> dict[str, Any]:
    """Import the objects of a hook that is a mapping, without those that cannot be imported."""
    objects = {name: _optional(name, place) for name, place in named(hook).items()}
    return {name: found for name, found in objects.items() if found is not None}


def one(hook: str, name: str) -> Any:
    """Import the object that a hook, which is a mapping, has under ``name``."""
    return resolved(name, named(hook)[name])


@contextlib.contextmanager
def faults_named(feature: str, place: str) -> Iterator[None]:
    """Turn errors of an object of another package at ``place`` into errors that name feature and place."""
    try:
        yield
    except HarnessError:
        raise
    except (Exception, SystemExit) as error:
        if place.startswith(_OWN):
            raise
        raise PluginError(f"feature {feature}: {place}: {type(error).__name__}: {error}") from error


def resolved(feature: str, place: str) -> Any:
    """Import the object of a feature at ``place``, ``package.module:NAME``."""
    try:
        return resolve_name(place)
    except (Exception, SystemExit) as error:
        if place.startswith(_OWN):
            raise
        raise PluginError(f"feature {feature}: {place}: {type(error).__name__}: {error}") from error


@functools.cache
def _optional(feature: str, place: str) -> Any:
    """Return the object at ``place``; None, with a warning, if it cannot be imported."""
    try:
        return resolved(feature, place)
    except PluginError as error:
        print_error(f"{error}; it is left out")
        return None
