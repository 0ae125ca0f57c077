"""References: what the cases of a task give, from the agreement of frameworks, kept in a file."""

import hashlib
from pathlib import Path

import msgspec

from harness.errors import UsageError
from harness.spec.task import TaskDefinition
from harness.testing.cases import Case, cases
from harness.testing.observation import Observation


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
    """The hash of a case's whole description."""
    return hashlib.sha256(msgspec.json.encode(case, order="deterministic")).hexdigest()


def read_reference(path: Path) -> Reference:
    """The reference in a file; raises :class:`msgspec.MsgspecError` or OSError."""
    return msgspec.json.decode(path.read_bytes(), type=Reference)


def reference_of(definition: TaskDefinition) -> Reference:
    """The committed reference of a task, checked against the task as it is now.

    Raises:
        UsageError: there is no reference, it cannot be read, or it is stale; says how to make one.
    """
    remedy = f"make it with: harness reference {definition.name} --backend torch --backend jax"
    if definition.reference is None or not definition.reference.is_file():
        raise UsageError(f"task {definition.name} has no reference; {remedy}")
    try:
        reference = read_reference(definition.reference)
    except (OSError, msgspec.MsgspecError) as error:
        raise UsageError(f"the reference {definition.reference} cannot be read: {error}; {remedy}") from error
    for case in cases(definition):
        known = reference.cases.get(case.name)
        if known is None or known.sha256 != case_sha256(case) or reference.version != case.task.version:
            raise UsageError(
                f"the reference of task {definition.name} is stale: case {case.name!r} has changed since it "
                f"was made; {remedy}"
            )
    return reference
