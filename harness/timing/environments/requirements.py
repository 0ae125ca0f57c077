"""Base and head that differ in what pip installs: two versions of a framework, the rest equal."""

import base64
import contextlib
import hashlib
import importlib.util
import re
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.plugins import registry
from harness.errors import UsageError
from harness.timing.environments.cache import Progress
from harness.timing.environments.earlier_suite import SuiteInForce
from harness.timing.environments.environment import Environment, EnvironmentPair
from harness.timing.environments.installation import Checkout, Package, environment_of
from harness.timing.environments.suite import Benchmark, Suite

_DISTRIBUTION = "dl-harness"


def requirements_of(text: str, option: str) -> list[str]:
    """Parse ``jax==0.5.3,jaxlib==0.5.3``; commas of versions and extras do not split."""
    found: list[str] = []
    for part in re.split(r",(?![^\[\]]*\])", text):
        if found and part.strip()[:1] in "<>=!~":
            found[-1] += f",{part.strip()}"
        else:
            found.append(part.strip())
    for each in found:
        try:
            Requirement(each)
        except InvalidRequirement as error:
            raise UsageError(f"{option} {each}: write PACKAGE==VERSION, such as torch==2.8.0") from error
    return found


@contextlib.contextmanager
def pair_of_requirements(
    suite: Suite, base: Sequence[str], head: Sequence[str], others: Sequence[str], progress: Progress
) -> Iterator[EnvironmentPair]:
    """Make two environments that differ in requirements: see :func:`environment_with`."""
    with (
        environment_with("base", base, others, suite.benchmarks, progress) as of_base,
        environment_with("head", head, others, suite.benchmarks, progress) as of_head,
    ):
        yield EnvironmentPair(of_base, of_head, SuiteInForce(suite))


@contextlib.contextmanager
def environment_with(
    label: str,
    requirements: Sequence[str],
    others: Sequence[str],
    benchmarks: Sequence[Benchmark],
    progress: Progress,
) -> Iterator[Environment]:
    """Make an environment with these requirements and ``others``.

    Where one of the benchmarks trains a task, it also has this harness and what the backends require.
    """
    own = {project_of(each) for each in requirements}
    backends = sorted({each.backend.partition(":")[0] for each in benchmarks if each.backend})
    required = dict.fromkeys(each for name in backends for each in registry.backend(name).requires)
    beside = [each for each in [*map(_absolute, others), *required] if project_of(each) not in own]
    named = f"{label} ({', '.join(requirements)})"
    has_tasks = any(not benchmark.step for benchmark in benchmarks)
    with (
        own_wheel() if has_tasks else contextlib.nullcontext() as package,
        environment_of([*requirements, *beside], package, label=named, progress=progress) as installed,
    ):
        yield Environment(label=label, python=str(installed.python), installed_first=True)


def project_of(requirement: str) -> str:
    """Return the name of the required project; a path stands for itself."""
    try:
        return canonicalize_name(Requirement(requirement).name)
    except InvalidRequirement:
        return requirement


def _absolute(requirement: str) -> str:
    """Make a path, such as ``.[extra]``, independent of the folder of pip; leave anything else as it is."""
    path, bracket, extras = requirement.partition("[")
    return f"{Path(path).resolve()}{bracket}{extras}" if Path(path).exists() else requirement


@contextlib.contextmanager
def own_wheel() -> Iterator[Package]:
    """Make a wheel of this harness from the files that it is imported from."""
    found = metadata.distribution(_DISTRIBUTION)
    tops = {entry.value.partition(":")[0].partition(".")[0] for entry in found.entry_points}
    files: dict[str, bytes] = {}
    for top in sorted(tops | {"harness"}):
        spec = importlib.util.find_spec(top)
        for folder in (spec and spec.submodule_search_locations) or ():
            for path in sorted(Path(folder).rglob("*")):
                if path.is_file() and path.suffix != ".pyc":
                    files[f"{top}/{path.relative_to(folder)}"] = path.read_bytes()
    info = f"dl_harness-{found.version}.dist-info"
    files[f"{info}/METADATA"] = (found.read_text("METADATA") or "").encode()
    files[f"{info}/entry_points.txt"] = (found.read_text("entry_points.txt") or "").encode()
    tags = "Wheel-Version: 1.0\nGenerator: harness\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files[f"{info}/WHEEL"] = tags.encode()
    listed = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},"
        f"{len(content)}"
        for name, content in files.items()
    ]
    record = "\n".join([*listed, f"{info}/RECORD,,", ""])
    name = f"dl_harness-{found.version}-py3-none-any.whl"
    with GuardedFolder("wheel") as built:
        with zipfile.ZipFile(built.path / name, "w", zipfile.ZIP_DEFLATED) as wheel:
            for each, content in {**files, f"{info}/RECORD": record.encode()}.items():
                wheel.writestr(each, content)
        identity = hashlib.sha256(record.encode()).hexdigest()
        yield Package(name, (_DISTRIBUTION, identity), lambda: contextlib.nullcontext(Checkout(built.path)))
