"""The record of an environment."""

import msgspec


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Base or head: its interpreter, and what is installed there.

    ``commit`` is that of its source, where the harness made the environment; ``cautions`` are clauses about
    how it was made.
    """

    python: str
    harness: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []
