"""Where the time of a step goes, and in which operations it changed: a section of duels, gates and times."""

from collections.abc import Iterator, Sequence

from harness.report.document import Cell, Node, Only, Paragraph, Section, Table, Text
from harness.report.escaping import one_line
from harness.report.numbers import significant
from harness.steps.findings import Operation, Profiles, StepProfile, changed_most

_Row = list[Cell | str]
_SHOWN, _SHOWN_IN_TERMINAL = 10, 4
_LEGEND = (
    "Milliseconds in one step, in the operation itself and not in those that it calls. Profilers slow a step "
    "down, each in other places, so these times say where the time goes, not how much of it there is."
)


def profile_sections(profiles: Profiles | None, labels: Sequence[str], of: Text = "") -> list[Node]:
    """One table for each profiler; nothing where nothing was profiled. ``of`` is what was profiled."""
    if profiles is None:
        return []
    nodes: list[Node] = [Paragraph(of)] if of else []
    if profiles.fault:
        nodes.append(Paragraph(one_line(f"It could not be profiled: {profiles.fault}")))
    nodes += [
        Only(("terminal",), list(_tables(profiles, labels, _SHOWN_IN_TERMINAL))),
        Only(("verbose", "markdown", "page"), list(_tables(profiles, labels, _SHOWN))),
    ]
    return [Section("Where the time goes", nodes, "profile", announced=True)]


def _tables(profiles: Profiles, labels: Sequence[str], count: int) -> Iterator[Table]:
    if len(profiles.sides) == 1:
        for alone in profiles.sides[0]:
            rows: list[_Row] = [[each.name, _ms(each), _calls(each)] for each in alone.operations[:count]]
            yield _table(alone, ["ms", "calls"], rows, "took most")
        return
    for label, side in zip(labels[1:], profiles.sides[1:], strict=False):
        theirs = {each.profiler: each for each in side}
        for ours in profiles.sides[0]:
            if ours.profiler not in theirs:
                continue
            changes = changed_most(ours, theirs[ours.profiler], count)
            differing: list[_Row] = [
                [
                    each.name,
                    _ms(each.base),
                    _ms(each.head),
                    Cell(f"{1e3 * each.seconds:+.3g}", "bad" if each.seconds > 0 else "good"),
                    _calls(each.base),
                    _calls(each.head),
                ]
                for each in changes
            ]
            headers = [f"ms, {labels[0]}", f"ms, {label}", "change", f"calls, {labels[0]}", f"calls, {label}"]
            yield _table(ours, headers, differing, "changed most")


def _table(profile: StepProfile, headers: list[str], rows: list[_Row], what: str) -> Table:
    kind = "functions" if profile.profiler == "Python" else "operations"
    title = f"The {kind} that {what}, by the profiler of {profile.profiler}"
    named = [[one_line(str(name)), *others] for name, *others in rows]
    return Table([kind[:-1], *headers], named, title, (_LEGEND,), announced=True)


def _ms(operation: Operation) -> str:
    return significant(1e3 * operation.seconds)


def _calls(operation: Operation) -> str:
    return f"{operation.calls:g}"
