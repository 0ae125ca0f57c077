"""The record of an environment."""

import msgspec


class EnvironmentRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Base or head: its interpreter, and what is installed there.

    ``commit`` is that of the source it was made from, where the harness made it; ``cautions`` are what a
    reader must know of how it was made, each a clause.
    """

    python: str
    harness: str
    variables: dict[str, str] = {}
    commit: str | None = None
    cautions: list[str] = []
