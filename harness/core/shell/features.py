"""Features: what a family adds to the harness, as strings, so that nothing is imported to list it.

A family is a folder that answers one kind of question: its commands, its kinds of record, its operations in a
worker, and its hooks. The built-in families are one tuple here, the only place in the core that names them; a
folder that is absent is skipped. Other packages add features by entry points and are treated alike.

Every string that names code is ``package.module:NAME``. It is imported when it is needed.
"""

import functools
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from types import MappingProxyType
from typing import Any, NamedTuple

from harness.errors import PluginError, UsageError

#: The families of this package, in the order of ``harness --help``.
_BUILT_IN = ("timing", "learning", "weights", "port", "tracking", "cluster", "sharing")
#: The group of the entry points by which other packages add features.
GROUP = "harness.features"
_NONE: Mapping[str, str] = MappingProxyType({})


class Command(NamedTuple):
    """A command: its name, one line of help, and where its click command is.

    A command that ``records`` writes records, which contain the command line.
    """

    name: str
    help: str
    function: str
    records: bool = False


class Feature(NamedTuple):
    """What a family adds. Mappings are by a name on the command line, or in a message to a worker."""

    name: str
    title: str
    """The heading of its commands in ``harness --help``."""
    commands: tuple[Command, ...] = ()
    records: tuple[str, ...] = ()
    """Kinds of record: :class:`harness.core.documents.kinds.RecordKind` objects."""
    operations: Mapping[str, str] = _NONE
    """Operations of a worker: ``function(worker, arguments)``, for ``Session.operate``."""
    executors: Mapping[str, str] = _NONE
    """Where runs are executed, by the value of ``--executor``: :mod:`harness.core.shell.executors`."""
    trackers: Mapping[str, str] = _NONE
    """By the tool that ``--track`` names: :mod:`harness.core.runs.tracker`."""
    after_training: tuple[str, ...] = ()
    """Work after a training: :class:`harness.core.runs.extensions.AfterTraining` objects."""
    run_report: str = ""
    """The report of several runs: a :class:`harness.core.shell.run_report.RunReport`."""
    run_summary: tuple[str, ...] = ()
    """At the end of ``harness run``: ``function(records, folder)`` returns nodes of a document."""
    report_sections: tuple[str, ...] = ()
    """In a report of runs: ``function(findings)`` returns sections."""
    study_parts: tuple[str, ...] = ()
    """Parts of studies: tuples of :class:`harness.learning.study.parts.Part`."""
    leftovers: tuple[str, ...] = ()
    """For ``harness clean``: ``function(results)`` returns :class:`~harness.core.machine.leftovers.Found`."""
    diagnoses: tuple[str, ...] = ()
    """For ``harness doctor``: ``function()`` returns a line for each thing that disturbs measurements."""
    measurements: Mapping[str, str] = _NONE
    """For ``harness doctor``: what a flag of this name measures and prints, ``function(options)``."""
    listings: tuple[str, ...] = ()
    """Further tables for ``harness list tasks``: ``function()`` returns texts."""
    best_mode: str = ""
    """The fastest of several modes: :class:`harness.core.shell.executors.BestMode`."""
    model_proof: str = ""
    """The proof that two models are equal: :class:`harness.core.models.proof.ModelProof`."""
    skeletons: Mapping[str, str] = _NONE
    """By the KIND of ``harness new``: :class:`harness.core.shell.commands.new.Skeleton` objects."""


def features() -> tuple[Feature, ...]:
    """Return the features that are present: the built-in ones, then those of other packages.

    Raises:
        PluginError: an entry point does not name a feature.
    """
    return (*built_in(), *installed())


@functools.cache
def built_in() -> tuple[Feature, ...]:
    """Return the families of this package whose folders are present."""
    root = Path(__file__).parents[2]
    present = [name for name in _BUILT_IN if (root / name / "feature.py").is_file()]
    return tuple(importlib.import_module(f"harness.{name}.feature").FEATURE for name in present)


@functools.cache
def installed() -> tuple[Feature, ...]:
    """Return the features of other packages, by the names of their entry points.

    Raises:
        PluginError: an entry point cannot be loaded, or does not name a feature.
    """
    if not any(map(_declares_features, sys.path)):
        return ()
    from importlib import metadata  # takes longer than all else that `harness --help` needs

    return tuple(_loaded(entry) for entry in sorted(metadata.entry_points(group=GROUP)))


def _declares_features(folder: str) -> bool:
    """Check whether a distribution in a folder of ``sys.path`` has an entry point for features."""
    for file in Path(folder).glob("*.*-info/entry_points.txt"):
        if f"[{GROUP}]" in file.read_text(encoding="utf-8", errors="replace"):
            return True
    return False


def _loaded(entry: Any) -> Feature:
    try:
        found = entry.load()
    except Exception as error:
        raise PluginError(f"feature {entry.name} ({entry.value}) cannot be imported: {error}") from error
    if not isinstance(found, Feature):
        raise PluginError(f"feature {entry.name} ({entry.value}) is not a Feature")
    return found


def places(hook: str) -> list[str]:
    """Return the places of what the features have for a hook of several objects, such as ``leftovers``."""
    return [place for feature in features() for place in getattr(feature, hook)]


def hooked(hook: str) -> list[Any]:
    """Import what the features have for a hook of several objects, such as ``leftovers``."""
    return [resolve_name(place) for place in places(hook)]


def named(hook: str) -> dict[str, str]:
    """Return what the features have for a hook that is a mapping, such as ``executors``."""
    return {name: place for feature in features() for name, place in getattr(feature, hook).items()}


def only(hook: str, purpose: str) -> Any:
    """Import the object of a hook that one feature has; ``purpose`` says what needs it.

    Raises:
        UsageError: no feature that is present has it.
    """
    for feature in features():
        if place := getattr(feature, hook):
            return resolve_name(place)
    raise UsageError(f"{purpose} needs a part of harness that is not installed here")
