"""The reason of a record of schema 1."""

from harness.gate.reasons.base import BaseReason


class Recorded(BaseReason, frozen=True, kw_only=True):
    """The sentence of a record of schema 1, which has no structured reasons."""

    text: str
    beyond_limit: bool = False
    """As :class:`BeyondLimit`: the verdict never becomes PASS."""
