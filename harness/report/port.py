"""The findings of ``harness port`` in words: the verdict, each cause, and what was compared."""

import json
from collections.abc import Iterator

from harness.port.findings import KINDS, Cause, Findings, PortRecord
from harness.report.table import Cell, Table, terminal_table
from harness.report.terminal import terminal_width

_SHOWN_NAMES = 6


def port_text(record: PortRecord) -> str:
    """Everything for a terminal."""
    findings = record.findings
    parts = [verdict_sentence(findings)]
    if findings.causes:
        parts.append("\n".join(f"{number}. {cause_sentence(cause)}" for number, cause in numbered(findings)))
    parts.append("\n".join(parameter_sentences(findings)))
    parts.append(terminal_table(compared_table(findings), terminal_width()))
    if findings.notes:
        parts.append("\n".join(f"- {note}" for note in findings.notes))
    return "\n\n".join(parts)


def numbered(findings: Findings) -> Iterator[tuple[int, Cause]]:
    """The causes with numbers from 1, harmless ones last."""
    yield from enumerate(sorted(findings.causes, key=lambda cause: cause.harmless), 1)


def verdict_sentence(findings: Findings) -> str:
    """The verdict with its reason, in one line."""
    names = f"{findings.a.target} ({findings.a.framework}) and {findings.b.target} ({findings.b.framework})"
    serious = [cause for cause in findings.causes if not cause.harmless]
    match findings.verdict:
        case "equal":
            return f"EQUAL: {names} compute and train the same."
        case "equal up to":
            kinds = ", ".join(dict.fromkeys(cause.kind for cause in findings.causes))
            return f"EQUAL UP TO {kinds}: {names} compute and train the same otherwise."
        case "different":
            kinds = ", ".join(dict.fromkeys(cause.kind for cause in serious)) or "cause not found"
            return f"DIFFERENT ({kinds}): {names}."
        case _:
            return f"UNDECIDED: {names} could not be matched in all parts."


def cause_sentence(cause: Cause) -> str:
    """The kind, where it is, what each side has, and the number that proves it."""
    return f"{cause.kind}, {described(cause)}"


def described(cause: Cause) -> str:
    """A cause without its kind."""
    head = place(cause)
    sides = f": {cause.a or _nothing(cause, 'a')} against {cause.b or _nothing(cause, 'b')}"
    return f"{head}{sides}{_proof(cause)}{_more(cause)}{_ending(cause)}"


def _ending(cause: Cause) -> str:
    if not cause.harmless:
        return "."
    return (
        ". Harmless; training steps differ by it and are not compared."
        if cause.mode == "steps"
        else ". Harmless."
    )


def place(cause: Cause) -> str:
    """The layers of both sides."""
    a, b = cause.path_a or cause.function_a, cause.path_b or cause.function_b
    return a if a == b or not b else f"{a or 'nothing'} ↔ {b}"


def _nothing(cause: Cause, side: str) -> str:
    function = cause.function_a if side == "a" else cause.function_b
    return function or "nothing"


def _proof(cause: Cause) -> str:
    if cause.before is None:
        return ""
    if cause.after is None:
        return f". The outputs differ by {cause.before:.1e}"
    fall = f"the difference falls from {cause.before:.1e} to {cause.after:.1e}"
    return f". With that of A in place of that of B {fall}"


def _more(cause: Cause) -> str:
    if not cause.more:
        return ""
    shown = ", ".join(cause.more[:_SHOWN_NAMES])
    rest = len(cause.more) - _SHOWN_NAMES
    return f"; the same at {shown}{f' and {rest} more' if rest > 0 else ''}"


def parameter_sentences(findings: Findings) -> list[str]:
    """Counts, and what has no counterpart."""
    parameters = findings.parameters
    lines = [
        (
            f"Parameters: A trains {parameters.count_a:,} numbers, B {parameters.count_b:,}; "
            f"{len(parameters.pairs)} arrays are paired."
        )
    ]
    for side, names in (("A", parameters.unmatched_a), ("B", parameters.unmatched_b)):
        if names:
            rest = len(names) - _SHOWN_NAMES
            more = f" and {rest} more" if rest > 0 else ""
            lines.append(f"Without counterpart in {side}: {', '.join(names[:_SHOWN_NAMES])}{more}.")
    if parameters.candidates and findings.verdict == "undecided":
        shown = {name: each or ["NAME"] for name, each in [*parameters.candidates.items()][:_SHOWN_NAMES]}
        lines.append(f"Write the right pairs into a file and give it as --map: {json.dumps(shown)}")
    return lines


def compared_table(findings: Findings) -> Table:
    """What was compared, with the worst relative difference."""
    rows: list[list[Cell | str]] = [
        [
            compared.what,
            "other shape" if compared.worst is None else f"{compared.worst:.1e}",
            f"{compared.tolerance:.0e}",
            Cell("yes", "good") if compared.equal else Cell("no", "bad"),
            compared.where,
        ]
        for compared in findings.compared
    ]
    return Table(
        ["compared", "worst difference", "rounding allows", "equal", "where"],
        rows,
        "What was compared",
        "Differences are relative to the largest number of what is compared, in float64.",
    )


def cause_help(cause: Cause) -> str:
    """What the kind of cause means."""
    return KINDS.get(cause.kind, "")
