"""What ``harness --version`` prints. Versions are those of packages' metadata: no framework is imported."""

import platform
from importlib import metadata


def version_text(*, verbose: bool) -> str:
    """``harness, version 0.1.0``; if ``verbose`` also a line each for Python and every backend."""
    own = f"harness, version {metadata.version('dl-harness')}"
    if not verbose:
        return own
    from harness.plugins import registry

    versions = {"python": platform.python_version()} | {name: _of(name) for name in registry.names("backend")}
    width = max(map(len, versions))
    return "\n".join([own, "", *(f"{name:{width}}  {version}" for name, version in versions.items())])


def _of(backend: str) -> str:
    """The versions that a backend uses, or that it is not installed or broken."""
    from harness.plugins.installation import installation

    state, detail = installation(backend)
    return detail if state == "installed" else state
