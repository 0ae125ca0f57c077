"""The document of ``harness port``: the verdict, each cause, and what was compared."""

import json

from harness.core.documents.circumstances import command_line, show_command
from harness.core.documents.document import (
    Cell,
    Command,
    Document,
    Folded,
    Item,
    Items,
    Node,
    Only,
    Row,
    Section,
    Span,
    Table,
    table_of,
)
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import NOTHING, first_of
from harness.port.cause_kinds import KINDS
from harness.port.record import Cause, Findings, PortRecord

_SHOWN_NAMES = 6
_METHOD = """\
Each model runs in a process of its own, in float64. B gets the values of A's parameters, moved off their \
initial values, so that a parameter that is ignored is seen.
The walk goes from input to output. The first call whose input is right and whose output is not is a fault. \
Its cause is found by trying, in plain NumPy, what would give the other side's numbers. Then the walk goes \
on with A's numbers in its place.
Only numbers decide whether models differ. Rounding allows what a change of A's parameters in the last \
digit makes.""".splitlines()


def port_document(record: PortRecord) -> Document:
    """Return the page: the causes, harmless ones last, then the parts of the comparison and its method."""
    findings = record.findings
    causes = [_cause(cause) for cause in sorted(findings.causes, key=lambda cause: cause.harmless)]
    compared: list[Node] = [
        Items(_parameter_sentences(findings)),
        _compared_table(findings),
        Items(findings.notes, "What could not be decided"),
    ]
    pairs = _pairs(record)
    method: list[Node] = [
        Items(_METHOD),
        Folded("Paired parameters", [pairs], "pairs", len(pairs.rows)),
        Command(command_line(record)),
        show_command(record),
    ]
    nodes: list[Node] = [
        Section("Causes", [Items(causes, ordered=True)], "causes"),
        Section("What was compared", compared, "compared"),
        Only(("page",), [Section("Method", method, "method")]),
    ]
    meta = [
        f"{side.target}: {', '.join(f'{name} {version}' for name, version in side.versions.items())}"
        for side in (findings.a, findings.b)
    ]
    meta += [record.started_at[:10], f"{record.seconds:.0f} s"]
    lead = [_verdict_sentence(findings)]
    if findings.not_compared:
        lead.append(f"Not compared: {'; '.join(findings.not_compared)}.")
    return Document("port", "Comparison of two models", nodes, lead, meta)


def _cause(cause: Cause) -> Item:
    meaning = KINDS.get(cause.kind, "")
    text = (Span(cause.kind), described(cause).removeprefix(cause.kind))
    return Item(text, meaning, tone="muted" if cause.harmless else "")


def _verdict_sentence(findings: Findings) -> str:
    names = f"{findings.a.target} ({findings.a.framework}) and {findings.b.target} ({findings.b.framework})"
    serious = [cause for cause in findings.causes if not cause.harmless]
    match findings.verdict:
        case "equal":
            return f"EQUAL: {names} compute the same{_training(findings)}."
        case "equal up to":
            kinds = ", ".join(dict.fromkeys(cause.kind for cause in findings.causes))
            return f"EQUAL UP TO {kinds}: {names} compute the same{_training(findings)}."
        case "different":
            kinds = ", ".join(dict.fromkeys(cause.kind for cause in serious)) or "cause not found"
            return f"DIFFERENT ({kinds}): {names}."
        case _:
            return f"UNDECIDED: {names} could not be compared in all parts."


def _training(findings: Findings) -> str:
    """State over how many steps both models train the same."""
    count = findings.same_steps
    if not count:
        return "; training was not compared"
    return f", and train the same for {count} step{'s' if count > 1 else ''}"


def described(cause: Cause) -> str:
    """Describe a cause in a sentence."""
    head = _place(cause)
    a, b = cause.a or cause.function_a, cause.b or cause.function_b
    more = f"; the same at {first_of(cause.more, _SHOWN_NAMES)}" if cause.more else ""
    ending = ". Harmless." if cause.harmless else "."
    if cause.harmless and cause.mode == "steps":
        ending = ". Harmless; training steps are compared without it."
    sides = f": {a or 'nothing'} against {b or 'nothing'}" if a or b else ""
    since = f", from step {cause.step} of {cause.steps}" if cause.steps else ""
    return f"{cause.kind}, {head}{since}{sides}{_proof(cause)}{more}{ending}"


def _place(cause: Cause) -> str:
    """Name the layers of both sides, with the lines of the user's code."""
    a, b = (
        f"{path or function} ({line})" if line and (path or function) else path or function or line
        for path, function, line in (
            (cause.path_a, cause.function_a, cause.line_a),
            (cause.path_b, cause.function_b, cause.line_b),
        )
    )
    return a if a == b or not b else f"{a or 'nothing'} ↔ {b}"


def _proof(cause: Cause) -> str:
    if cause.before is None:
        return ""
    if cause.after is None:
        what = "training steps" if cause.mode == "steps" else "outputs"
        return f". The {what} differ by {cause.before:.1e}"
    fall = f"the difference falls from {cause.before:.1e} to {cause.after:.1e}"
    return f". With that of A in place of that of B {fall}"


def _parameter_sentences(findings: Findings) -> list[str]:
    parameters = findings.parameters
    lines = [
        (
            f"Parameters: A trains {parameters.count_a:,} numbers, B {parameters.count_b:,}; "
            f"{len(parameters.pairs)} arrays are paired."
        )
    ]
    for side, names in (("A", parameters.unmatched_a), ("B", parameters.unmatched_b)):
        if names:
            lines.append(f"Without counterpart in {side}: {first_of(names, _SHOWN_NAMES)}.")
    if findings.verdict == "undecided" and parameters.tried:
        lines.append(parameters.tried)
    if parameters.candidates and findings.verdict == "undecided":
        shown = {name: each or ["NAME"] for name, each in [*parameters.candidates.items()][:_SHOWN_NAMES]}
        lines.append(f"Write the right pairs into a file and give it as --map: {json.dumps(shown)}")
    return lines


def _compared_table(findings: Findings) -> Table:
    rows: list[Row] = [
        {
            "compared": compared.what,
            "worst difference": "other shape" if compared.worst is None else f"{compared.worst:.1e}",
            "rounding allows": f"{compared.tolerance:.0e}",
            "equal": Cell("yes", "good") if compared.equal else Cell("no", "bad"),
            "where": compared.where,
        }
        for compared in findings.compared
    ]
    legend = ("Differences are relative to the largest number of what is compared, in float64.",)
    return table_of(rows, "What was compared", legend=legend)


def _pairs(record: PortRecord) -> Table:
    rows = [
        [pair.a, pair.b, pair.role, "×".join(map(str, pair.shape)) or "1"]
        for pair in record.findings.parameters.pairs
    ]
    return Table(["A", "B", "role", "shape"], rows, "Paired parameters")


def row(record: PortRecord) -> Listed:
    """Return the row of a port check in a list of results."""
    findings = record.findings
    kinds = ", ".join(dict.fromkeys(cause.kind for cause in findings.causes))
    outcome = f"{findings.verdict}: {kinds}" if kinds else findings.verdict
    return Listed(NOTHING, f"{findings.a.target}, {findings.b.target}", outcome)
