"""The records of an environment, and of the suites of base and head."""

from typing import Literal

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


#: A side of a gate.
Side = Literal["base", "head"]


class SuiteChange(msgspec.Struct, frozen=True, kw_only=True):
    """A setting that head's suite has otherwise than base's, in these ``benchmarks``; none: in the suite.

    ``loosens``: head's value lets more pass. None is no value: a limit that is not judged.
    """

    key: str
    base: float | int | str | None
    head: float | int | str | None
    loosens: bool
    benchmarks: list[str] = []


class SuiteComparison(msgspec.Struct, frozen=True, kw_only=True):
    """How head's suite differs from base's, and whose settings were ``in_force``.

    ``new`` are the benchmarks that only head has, which its own settings judge. ``unreadable`` says why
    base's suite, if there is one, is not read as a whole.
    """

    in_force: Side = "head"
    changes: list[SuiteChange] = []
    new: list[str] = []
    unreadable: str = ""
