"""The installed versions of a backend's framework, from package metadata: nothing is imported."""

from importlib import metadata
from typing import Literal, NamedTuple

from packaging.requirements import Requirement

from harness.core.plugins import registry
from harness.errors import PluginError
from harness.spec.backend import Backend

#: The key of a third-party plugin's distribution among a framework's versions.
PLUGIN = "harness plugin"


def identifying_versions(backend: str, framework: dict[str, str]) -> dict[str, str]:
    """Return the versions, among those that a backend reports, that distinguish its configurations.

    These are the versions of the backend, of the part of its name before the hyphen (``keras`` of
    ``keras-jax``), of its engine and of its plugin.
    """
    names = dict.fromkeys([backend.partition("-")[0], backend, framework.get("engine", ""), PLUGIN])
    return {name: framework[name] for name in names if name in framework}


class Installation(NamedTuple):
    """The state of a backend; ``detail`` has the versions if installed, otherwise the reason and remedy."""

    state: Literal["installed", "not installed", "broken"]
    detail: str


def installation(name: str) -> Installation:
    """Return the state of a backend; ``broken`` also if its plugin cannot be loaded."""
    try:
        backend = registry.backend(name)
    except PluginError as error:
        return Installation("broken", str(error))
    versions, missing, unfit = [], [], []
    for text in backend.requires:
        requirement = Requirement(text)
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(text)
            continue
        versions.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            unfit.append(f"{requirement.name} {version} does not satisfy {text}")
    if missing:
        return Installation("not installed", _install_line(backend, missing))
    if unfit:
        return Installation("broken", f"{'; '.join(unfit)}: {_install_line(backend, backend.requires)}")
    return Installation("installed", ", ".join(versions))


def installed_version(requirement: str) -> str:
    """Return name and installed version of the distribution that a requirement names."""
    name = Requirement(requirement).name
    return f"{name} {metadata.version(name)}"


def _install_line(backend: Backend, requirements: list[str] | tuple[str, ...]) -> str:
    line = "pip install " + " ".join(f'"{requirement}"' for requirement in requirements)
    return f"{line} (extra: {backend.extra})" if backend.extra else line
