"""What a comparison of two models found.

Differences are relative to the largest number of what is compared.
"""

from typing import Literal

import msgspec

Verdict = Literal["equal", "equal up to", "different", "undecided"]
Mode = Literal["evaluation", "training", "gradients", "steps"]


class Cause(msgspec.Struct, kw_only=True):
    """Why two models differ at a place.

    ``kind`` is one of :data:`harness.port.causes.KINDS`. ``a`` and ``b`` are what each side has, as text.
    With that of A in place of that of B the difference falls from ``before`` to ``after``; None where nothing
    of the kind can be tried. ``more`` are further places of B with the same cause.
    """

    kind: str
    path_a: str
    path_b: str
    function_a: str = ""
    function_b: str = ""
    a: str = ""
    b: str = ""
    before: float | None = None
    after: float | None = None
    mode: Mode = "evaluation"
    harmless: bool = False
    more: list[str] = []


class ParameterPair(msgspec.Struct, frozen=True):
    """A parameter of A, or a part of it, and its counterpart in B; ``role`` as in the semantics."""

    a: str
    b: str
    role: str
    shape: tuple[int, ...]


class Parameters(msgspec.Struct):
    """How many numbers each side trains, and what belongs together."""

    count_a: int
    count_b: int
    pairs: list[ParameterPair]
    unmatched_a: list[str]
    unmatched_b: list[str]


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
        """Whether nothing but rounding differs."""
        return self.worst is not None and self.worst <= self.tolerance


class SideRecord(msgspec.Struct):
    """One side: what was loaded, and in which framework."""

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
    """What could not be seen or decided, a sentence each."""

    @property
    def equal(self) -> bool:
        """Whether the models are the same, up to what is harmless."""
        return self.verdict in {"equal", "equal up to"}
