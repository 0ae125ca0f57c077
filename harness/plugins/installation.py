"""Whether a backend's framework is installed, learnt from package metadata: nothing is imported."""

import contextlib
from collections.abc import Mapping
from importlib import metadata
from typing import Literal, NamedTuple

from packaging.requirements import Requirement
from packaging.version import InvalidVersion, Version

from harness.errors import HarnessError, PluginError, UsageError, unknown_name
from harness.plugins import registry
from harness.plugins.versions import PLUGIN
from harness.spec.backend import Backend


class Installation(NamedTuple):
    """``installed`` with the versions found; otherwise with the reason and what would mend it."""

    state: Literal["installed", "not installed", "broken"]
    detail: str


def installation(name: str) -> Installation:
    """The state of the backend of this name; a plugin that cannot be loaded is ``broken``."""
    try:
        backend = registry.backend(name)
    except PluginError as error:
        return Installation("broken", str(error))
    found, missing, unfit = [], [], []
    for text in backend.requires:
        requirement = Requirement(text)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(text)
            continue
        found.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            unfit.append(f"{requirement.name} {version} does not satisfy {text}")
    if missing:
        return Installation("not installed", _install_line(backend, missing))
    if unfit:
        return Installation("broken", f"{'; '.join(unfit)}: {_install_line(backend, backend.requires)}")
    return Installation("installed", ", ".join(found))


def installed_version(requirement: str) -> str:
    """Name and installed version of what a requirement string names."""
    name = Requirement(requirement).name
    return f"{name} {metadata.version(name)}"


def has_versions(backend: str, versions: Mapping[str, str]) -> bool:
    """Whether none of these distributions, nor the backend's plugin, is installed here in another version."""
    try:
        if registry.backend_distribution(backend) != versions.get(PLUGIN):
            return False
    except HarnessError:  # it is broken or gone, which is nobody else's matter
        return False
    for name, version in versions.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            if not _same(metadata.version(name), version):
                return False
    return True


def _same(one: str, other: str) -> bool:
    """A build's tag (``+cu124``) counts where both tell it: PyPI's torch tells it when imported alone."""
    try:
        ours, theirs = Version(one), Version(other)
    except InvalidVersion:
        return one == other
    return ours.public == theirs.public and (ours.local or theirs.local) == (theirs.local or ours.local)


def _install_line(backend: Backend, requirements: list[str] | tuple[str, ...]) -> str:
    line = "pip install " + " ".join(f'"{requirement}"' for requirement in requirements)
    return f"{line} (extra: {backend.extra})" if backend.extra else line


def select_backend(text: str) -> tuple[Backend, str]:
    """The backend and mode that ``torch`` or ``torch:compile`` names, installed.

    Raises:
        UsageError: no such backend or mode, or its framework is not installed.
        PluginError: the plugin cannot be loaded.
    """
    name, _, mode = text.partition(":")
    backend = registry.backend(name)
    if mode and mode not in backend.modes:
        raise unknown_name(f"mode of backend {name}", mode, backend.modes)
    state, detail = installation(name)
    if state != "installed":
        raise UsageError(f"backend {name} is {state}: {detail}")
    return backend, mode or backend.modes[0]
