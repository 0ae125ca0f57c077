"""The findings of a comparison of two models, and their record.

Differences are relative to the largest number of the arrays that are compared.
"""

import math
from typing import Literal

import msgspec

from harness.core.documents.contents import Needs
from harness.core.documents.kinds import Envelope, RecordKind
from harness.tracing.calls import Call, InputShape, Loss

Verdict = Literal["equal", "equal up to", "different", "undecided"]
Mode = Literal["evaluation", "training", "gradients", "steps"]


class Cause(msgspec.Struct, kw_only=True):
    """Why two models differ at a place.

    ``kind`` is one of :data:`~harness.port.cause_kinds.KINDS`. ``a`` and ``b`` are texts of what each side
    has. With A's in place of B's, the difference falls from ``before`` to ``after``; None where nothing of
    the kind can be tried. ``more`` are further places of B with the same cause. The lines are those of the
    user's code, ``model.py:41``, empty where it has none.
    """

    kind: str
    path_a: str
    path_b: str
    function_a: str = ""
    function_b: str = ""
    line_a: str = ""
    line_b: str = ""
    a: str = ""
    b: str = ""
    before: float | None = None
    after: float | None = None
    mode: Mode = "evaluation"
    harmless: bool = False
    more: list[str] = []
    step: int = 0
    steps: int = 0
    """The step of a loop with which the difference begins, from 1, and their count; 0 outside of loops."""
    exchanged: list[str] = []
    """The stored arrays of both sides that were exchanged with the calls of the cause."""

    @classmethod
    def at(
        cls,
        kind: str,
        one: Call | str | None,
        other: Call | str | None,
        a: str = "",
        b: str = "",
        before: float | None = None,
        after: float | None = None,
        mode: Mode = "evaluation",
        *,
        harmless: bool = False,
    ) -> "Cause":
        """Make a cause at a call or path of each side; ``before`` is left out unless it is finite."""
        paths = [place.path if isinstance(place, Call) else place or "" for place in (one, other)]
        made = cls(kind=kind, path_a=paths[0], path_b=paths[1], a=a, b=b, after=after)
        made.mode, made.harmless = mode, harmless
        made.before = before if before is not None and math.isfinite(before) else None
        if isinstance(one, Call):
            made.function_a, made.line_a = one.function, one.line
        if isinstance(other, Call):
            made.function_b, made.line_b = other.function, other.line
        return made

    def mirrored(self) -> "Cause":
        """Return the cause with A and B exchanged."""
        kinds = {"missing call": "extra call", "extra call": "missing call"}
        fields = {
            f"{name}{one}": getattr(self, f"{name}{other}")
            for name in ("path_", "function_", "line_", "")
            for one, other in ("ab", "ba")
        }
        return msgspec.structs.replace(self, kind=kinds.get(self.kind, self.kind), more=[], **fields)


class ParameterPair(msgspec.Struct, frozen=True):
    """A parameter of A, or a part of it, and its counterpart in B; ``role`` as in the semantics."""

    a: str
    b: str
    role: str
    shape: tuple[int, ...]


class Parameters(msgspec.Struct):
    """The count of trained numbers of each side, and the pairs of parameters."""

    count_a: int
    count_b: int
    pairs: list[ParameterPair]
    unmatched_a: list[str]
    unmatched_b: list[str]
    candidates: dict[str, list[str]] = {}
    """For each trained parameter of A without counterpart, the parameters of B of its size."""
    tried: str = ""
    """A sentence about the assignments by gradients that were tried without success."""


class Compared(msgspec.Struct):
    """The worst difference of a part of the comparison, and the tolerance that rounding allows.

    ``worst`` is None where shapes differ, or a number is not finite.
    """

    what: str
    worst: float | None
    tolerance: float
    where: str = ""

    @property
    def equal(self) -> bool:
        """Whether the difference is within the tolerance of rounding."""
        return self.worst is not None and self.worst <= self.tolerance


class SideRecord(msgspec.Struct):
    """One model: its target, its framework, and its own training."""

    target: str
    framework: str
    versions: dict[str, str]
    own_optimizer: bool = False
    own_loss: bool = False


class Findings(msgspec.Struct, kw_only=True):
    """The outcome of a comparison."""

    a: SideRecord
    b: SideRecord
    verdict: Verdict
    parameters: Parameters
    compared: list[Compared]
    causes: list[Cause]
    notes: list[str] = []
    """Sentences about properties that could not be seen or decided."""
    not_compared: list[str] = []
    """Phrases that name the properties which the verdict does not cover."""
    same_steps: int = 0
    """The number of training steps in which both models train the same; 0 if training was not compared."""

    @property
    def equal(self) -> bool:
        """Whether the models are equal, up to harmless causes."""
        return self.verdict in {"equal", "equal up to"}


class PortOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The options of a comparison."""

    loss: Loss = "cross-entropy"
    batch: int = 4
    steps: int | None = None
    """20, or 5 for a model of more than 3 million numbers, unless given."""
    threads: int = 1
    timeout_seconds: float | None = None
    names: dict[str, list[str]] = {}
    """Names of A's parameters with their counterparts in B; the rest is matched by use and shape."""


SCHEMA = 3


class PortRecord(Envelope, kw_only=True):
    """The record of a comparison: its inputs, its options, and its findings."""

    schema: int = SCHEMA
    inputs: list[InputShape]
    options: PortOptions
    findings: Findings
    seconds: float


PORTS = RecordKind(
    name="port",
    folder="ports",
    type=PortRecord,
    schema=SCHEMA,
    mark="findings",
    row="harness.port.page:row",
    document="harness.port.page:port_document",
    noun=("port check", "port checks"),
    needs=lambda record: Needs([record.findings.a.target, record.findings.b.target]),
)
