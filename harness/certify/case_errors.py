"""Errors of cases as an author reads them: each once, with the names of its cases and the plugin's frames."""

import textwrap
from collections.abc import Iterable

from harness.errors import HarnessError
from harness.plugins.faults import explain, plugin_frames

#: So many cases are named; the others are counted.
_NAMED = 2


class CaseFailed(HarnessError):
    """A case that an error stopped.

    ``reason`` is the error in words, ``frames`` those of the plugin, as a traceback shows them.
    """

    def __init__(self, case: str, reason: str, frames: str = "") -> None:
        """The message names the case and the reason."""
        super().__init__(f"case {case!r}: {reason}")
        self.case, self.reason, self.frames = case, reason, frames


def case_failed(case: str, error: Exception) -> CaseFailed:
    """The error of a case. A violation of the contract is reported without frames."""
    if isinstance(error, HarnessError):
        return CaseFailed(case, str(error))
    return CaseFailed(case, f"raised {explain(error)}", plugin_frames(error))


def raised(what: str, error: Exception) -> str:
    """A fault of the kit: ``what`` raised an error, followed by the plugin's frames."""
    return _with_frames(f"{what} raised {explain(error)}", plugin_frames(error))


def listed_errors(errors: Iterable[CaseFailed]) -> list[str]:
    """A fault for each error that differs, with the names of its cases."""
    cases: dict[tuple[str, str], list[str]] = {}
    for error in errors:
        cases.setdefault((error.reason, error.frames), []).append(error.case)
    return [_with_frames(f"{_named(names)}: {reason}", frames) for (reason, frames), names in cases.items()]


def _named(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:_NAMED]))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"case{'s' * (len(names) > 1)} {shown}{more}"


def _with_frames(text: str, frames: str) -> str:
    return f"{text}\n{textwrap.indent(frames, '  ')}" if frames else text
