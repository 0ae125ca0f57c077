"""References: what the cases of a task give, from the agreement of frameworks, kept in a file."""

import hashlib
from pathlib import Path

import msgspec

from harness.core.certify.cases import Case, cases
from harness.core.certify.observation import Observation
from harness.core.machine.files import read_file
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.installation import installation
from harness.errors import UsageError
from harness.layers import Native
from harness.spec.task import Task, TaskDefinition

#: The number of frameworks that must agree on a reference.
_FRAMEWORKS = 2


class ReferenceCase(msgspec.Struct, frozen=True):
    """The expected observation of a case; ``sha256`` is that of its task, so that a stale one is noticed."""

    sha256: str
    observation: Observation


class Reference(msgspec.Struct, frozen=True):
    """The cases of one version of a task, and the backends that agreed on them."""

    task: str
    version: int
    made_with: dict[str, str]
    cases: dict[str, ReferenceCase]


def case_sha256(case: Case) -> str:
    """Hash a case's whole description."""
    return hashlib.sha256(msgspec.json.encode(case, order="deterministic")).hexdigest()


def read_reference(path: Path) -> Reference:
    """Read the reference in a file; raises :class:`msgspec.MsgspecError`, RecursionError or OSError."""
    return msgspec.json.decode(read_file(path), type=Reference)


def reference_of(definition: TaskDefinition, backend: str = "") -> Reference:
    """Read the committed reference of a task, checked against the task as it is now.

    ``backend`` is the certified backend; a remedy names it, with an installed backend of another framework.
    """
    if definition.reference is None or not definition.reference.is_file():
        raise UsageError(f"task {definition.name} has no reference; {_remedy(definition, backend)}")
    try:
        reference = read_reference(definition.reference)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"the reference {definition.reference} cannot be read: {error}; {_remedy(definition, backend)}"
        ) from error
    for case in cases(definition):
        known = reference.cases.get(case.name)
        if known is None or known.sha256 != case_sha256(case) or reference.version != case.task.version:
            raise UsageError(
                f"the reference of task {definition.name} is stale: case {case.name!r} has changed since it "
                f"was made; {_remedy(definition, backend)}"
            )
    return reference


def alone_in(task: Task) -> str | None:
    """Return the framework for which alone a task's own model is written; None without such a model."""
    natives = [place.layer for network in task.networks.values() for place in network.leaves()]
    own = (each for each in natives if isinstance(each, Native) and len(each.models) == 1)
    return next((each.models[0].framework for each in own), None)


def _remedy(definition: TaskDefinition, backend: str) -> str:
    """Describe how to make the reference with this backend and an installed backend of another framework."""
    if (alone := alone_in(define_task(definition, definition.options()))) is not None:
        return f"its model is written for {alone} alone, so there is nothing to compare it with"
    installed = [name for name in registry.names("backend") if installation(name).state == "installed"]
    by_framework: dict[tuple[str, ...], str] = {}
    for name in [backend, *installed]:
        if name in installed:
            by_framework.setdefault(tuple(sorted(registry.backend(name).requires)), name)
    names = list(by_framework.values())[:_FRAMEWORKS]
    command = f"harness reference {definition.name} --backend {','.join(names) or 'A,B'}"
    if len(names) == _FRAMEWORKS:
        return f"make it with: {command}"
    return f"make it with two frameworks that agree ({command}{',OTHER' * bool(names)}), or use --no-certify"
