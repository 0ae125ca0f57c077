"""Frameworks that a plugin imports at its top level, which the contract forbids.

The import of a framework is part of the start-up that is timed, and a plugin must be listed where its
framework is not installed.
"""

import functools
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.errors import PluginError
from harness.plugins.trial import Imported

_HARNESS = "dl-harness"
#: Modules of frameworks, whatever a plugin requires.
FRAMEWORKS = frozenset(
    {
        "cupy",
        "equinox",
        "flax",
        "jax",
        "jaxlib",
        "keras",
        "mindspore",
        "mlx",
        "mxnet",
        "oneflow",
        "paddle",
        "pytensor",
        "tensorflow",
        "tf_keras",
        "tinygrad",
        "torch",
    }
)


def refuse_framework(imports: Iterable[Imported], where: str, requires: Iterable[str] = ()) -> None:
    """Refuse a plugin whose import imported a framework, or a distribution that it requires.

    What the harness itself requires, such as NumPy, is no framework.

    Raises:
        PluginError: names the module and the line that imports it; begins with ``where``.
    """
    imports = list(imports)
    modules = FRAMEWORKS.union(*map(_modules, requires) if imports else ())
    for module, file, line in imports:
        if module in modules:
            raise PluginError(
                f"{where} breaks the contract: {Path(file).name}, line {line}, imports {module} at the top "
                "level; import it in environment(), build() or a module that build() imports"
            )


@functools.cache
def _modules(requirement: str) -> frozenset[str]:
    """The top-level modules of the distribution that a requirement names."""
    name = canonicalize_name(Requirement(requirement).name)
    if name in _own_requirements():
        return frozenset()
    modules = {name.replace("-", "_")}
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return frozenset(modules)
    if listed := distribution.read_text("top_level.txt"):
        modules |= set(listed.split())
    else:
        files = [file for file in distribution.files or () if file.suffix == ".py"]
        modules |= {Path(file.parts[0]).stem for file in files}
    return frozenset(modules)


@functools.cache
def _own_requirements() -> frozenset[str]:
    try:
        texts = metadata.requires(_HARNESS) or []
    except metadata.PackageNotFoundError:
        texts = []
    requirements = map(Requirement, texts)
    return frozenset(
        canonicalize_name(each.name)
        for each in requirements
        if each.marker is None or "extra" not in str(each.marker)
    )
