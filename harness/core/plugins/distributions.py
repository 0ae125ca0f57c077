"""The installed distributions that a command imports: those that it names, and all that these require.

They follow from the metadata of packages: nothing is imported, and no worker is asked.
"""

import functools
import sys
from collections.abc import Iterable
from importlib import metadata
from typing import NamedTuple

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

#: The distribution of the harness, which every command imports.
HARNESS = "dl-harness"


class _Installed(NamedTuple):
    """An installed distribution: its version and its requirements."""

    version: str
    requires: tuple[Requirement, ...]


def required_by(requirements: Iterable[str], modules: Iterable[str] = ()) -> dict[str, str]:
    """Return the versions of the distributions of ``requirements`` and ``modules``, and of what they require.

    ``modules`` are imported modules, such as ``sklearn.svm``. Requirements and modules that are not installed
    are left out, and so are extras that no requirement asks for.
    """
    waiting = [*map(Requirement, requirements), *map(Requirement, distributions_of(modules))]
    versions: dict[str, str] = {}
    followed: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        requirement = waiting.pop()
        name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
        installed = _installed(name)
        if installed is None or (name, extras) in followed:
            continue
        followed.add((name, extras))
        versions[name] = installed.version
        waiting += [each for each in installed.requires if _applies(each, extras)]
    return dict(sorted(versions.items()))


def distributions_of(modules: Iterable[str]) -> list[str]:
    """Return the installed distributions that provide ``modules``, sorted; none for the standard library."""
    found: set[str] = set()
    for top in {module.partition(".")[0] for module in modules} - sys.stdlib_module_names:
        if _installed(canonicalize_name(top)) is not None:  # most are named like their module
            found.add(canonicalize_name(top))
        else:
            found |= set(map(canonicalize_name, _by_module().get(top, ())))
    return sorted(found)


@functools.cache
def _by_module() -> dict[str, list[str]]:
    """Return the distributions by module, for which the list of files of each distribution is read."""
    return dict(metadata.packages_distributions())


@functools.cache
def _installed(name: str) -> _Installed | None:
    try:
        found = metadata.distribution(name)
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: the name is empty
        return None
    requires = []
    for text in found.requires or ():
        try:
            requires.append(Requirement(text))
        except InvalidRequirement:  # of an old package; pip ignores it, too
            continue
    return _Installed(found.version, tuple(requires))


def _applies(requirement: Requirement, extras: frozenset[str]) -> bool:
    """Check that a requirement applies to this machine with these ``extras`` of its distribution."""
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or {""})
