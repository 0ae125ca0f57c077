"""Completion of names of plugins and ids of records by the shell. Imports no framework.

Each function has the form of click's ``shell_complete``.
"""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from harness.core.plugins.loading import Kind

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def _of_list(names: Callable[[str], Iterable[str]]) -> Complete:
    """Return a function that completes the last of several names separated by commas."""

    def complete(_ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        return [
            CompletionItem(f"{before}{comma}{name}") for name in sorted(names(last)) if name.startswith(last)
        ]

    return complete


def _plugins(kind: "Kind") -> Callable[[str], Iterable[str]]:
    def names(_incomplete: str) -> Iterable[str]:
        from harness.core.plugins import registry

        return registry.names(kind)

    return names


def _backends_and_modes(incomplete: str) -> Iterable[str]:
    """List every backend, and its modes once its name is complete, since reading them loads the plugin."""
    from harness.core.plugins import registry
    from harness.errors import HarnessError

    names = registry.names("backend")
    backend = incomplete.partition(":")[0]
    try:
        modes = registry.backend(backend).modes if backend in names else ()
    except HarnessError:
        modes = ()
    return [*names, *(f"{backend}:{mode}" for mode in modes)]


def _records(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """List ids in the results folder that begin with ``incomplete``, newest first; without any, files."""
    from harness.core.documents.results import DEFAULT_RESULTS

    results = Path(ctx.params.get("results") or DEFAULT_RESULTS)
    ids = sorted((path.stem for path in results.glob("*/*.json")), reverse=True)
    matches = [name for name in ["last", *ids] if name.startswith(incomplete)]
    return [CompletionItem(name) for name in matches] or [CompletionItem(incomplete, type="file")]


BACKENDS = _of_list(_backends_and_modes)
TASKS = _of_list(_plugins("task"))
DATASETS = _of_list(_plugins("dataset"))
STUDIES = _of_list(_plugins("study"))
RECORD: Complete = _records
