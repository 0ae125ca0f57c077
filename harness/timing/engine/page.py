"""Parts that the pages of duels, gates and timings share: profiles, load, pairs and versions."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from harness.core.documents.document import Cell, Node, Only, Paragraph, Section, Table, Text
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import NOTHING, counted, percent, significant
from harness.core.runs.words import framework_text
from harness.timing.engine.record import BlockRecord, ConfigurationRecord
from harness.timing.engine.steps.profiles import (
    Change,
    Operation,
    Profiles,
    StepProfile,
    changes,
    step_change,
)


class RestsOnPairs(Protocol):
    """A result that rests on pairs, of which ``weight`` is the effective number."""

    @property
    def pairs(self) -> int: ...

    @property
    def weight(self) -> float | None: ...


_Row = list[Cell | str]
_SHOWN, _SHOWN_IN_TERMINAL = 10, 4
_LEGENDS = {
    False: "Milliseconds of one step in an operation itself, not in those that it calls.",
    True: "Functions of your own: milliseconds of one step with all that they call.",
}
_SLOWER = (
    "Profilers slow a step down, each in other places, so these times say where the time goes, not how much "
    "of it there is."
)


def profile_sections(
    profiles: Profiles | None,
    labels: Sequence[str],
    of: Text = "",
    increases: Sequence[float | None] = (),
) -> list[Node]:
    """Return one table for each profiler; nothing where nothing was profiled.

    ``of`` names the profiled work. ``increases`` are the seconds by which the step of each side but the first
    was measured to be longer than that of the first.
    """
    if profiles is None:
        return []
    fault = f"It could not be profiled: {profiles.fault}" if profiles.fault else ""
    nodes: list[Node] = [
        Paragraph(of),
        Paragraph(one_line(fault)),
        Only(("terminal",), list(_tables(profiles, labels, increases, _SHOWN_IN_TERMINAL))),
        Only(("verbose", "markdown", "page"), list(_tables(profiles, labels, increases, _SHOWN))),
    ]
    return [Section("Where the time goes", nodes, "profile", announced=True)]


def _tables(
    profiles: Profiles, labels: Sequence[str], increases: Sequence[float | None], count: int
) -> Iterator[Node]:
    if len(profiles.sides) == 1:
        for alone in profiles.sides[0]:
            rows: list[_Row] = [[each.name, _ms(each), _calls(each)] for each in alone.operations[:count]]
            if rows:
                yield _table(alone, ["ms", "calls"], rows, "took most")
        return
    for number, (label, side) in enumerate(zip(labels[1:], profiles.sides[1:], strict=False)):
        theirs = {each.kind: each for each in side}
        increase = increases[number] if number < len(increases) else None
        for ours in profiles.sides[0]:
            if ours.kind in theirs and (ours.operations or theirs[ours.kind].operations):
                yield from _compared(ours, theirs[ours.kind], (labels[0], label), increase, count)


def _compared(
    base: StepProfile, head: StepProfile, labels: tuple[str, str], increase: float | None, count: int
) -> Iterator[Node]:
    """Yield the operations of two profiles that changed; ``increase`` is that of the step, in seconds."""
    every = changes(base, head)
    if not every:
        what = "were added to or taken from the step, or changed by more than the repetitions vary"
        yield Paragraph(f"By the profiler of {base.profiler}, no {_noun(base)} {what}.")
        return
    shown = every[:count]
    headers = [*(f"ms, {label}" for label in labels), "change", *(f"calls, {label}" for label in labels)]
    yield _table(base, headers, [_change_row(each) for each in shown], "changed")
    if not base.inclusive:  # else a caller and what it calls would be added
        profiled = step_change(base, head)
        yield Paragraph(_sum_text(shown, len(every), profiled, increase), "small")


def _change_row(change: Change) -> _Row:
    mark = ", new" if change.is_new else ", gone" if change.is_gone else ""
    size = Cell(f"{1e3 * change.seconds:+.3g}{mark}", "bad" if change.seconds > 0 else "good")
    sides = (change.base, change.head)
    return [change.name, *map(_ms, sides), size, *map(_calls, sides)]


def _sum_text(shown: Sequence[Change], count: int, profiled: float, increase: float | None) -> str:
    """State what the changes that are shown add up to, beside the increase of the whole step."""
    more, less = (
        sum(each.seconds for each in shown if (each.seconds > 0) == is_more) for is_more in (True, False)
    )
    parts = [f"{1e3 * more:+.3g} ms"] * bool(more) + [f"{1e3 * less:+.3g} ms"] * bool(less)
    which = "The changes shown" if len(shown) == count else f"These {len(shown)} of {count} changes"
    measured = "" if increase is None else f"{1e3 * increase:+.3g} ms in the pairs, and by "
    return (
        f"{which} add up to {' and '.join(parts) or '0 ms'} a step. The whole step changed by "
        f"{measured}{1e3 * profiled:+.3g} ms under this profiler."
    )


def _noun(profile: StepProfile) -> str:
    if profile.inclusive:
        return "functions of your own"
    return "functions" if profile.profiler == "Python" else "operations"


def _table(profile: StepProfile, headers: list[str], rows: list[_Row], what: str) -> Table:
    kind = "operation" if _noun(profile) == "operations" else "function"
    title = f"The {_noun(profile)} that {what}, by the profiler of {profile.profiler}"
    named = [[one_line(str(name)), *others] for name, *others in rows]
    return Table([kind, *headers], named, title, (_LEGENDS[profile.inclusive], _SLOWER), announced=True)


def _ms(operation: Operation) -> str:
    return significant(1e3 * operation.seconds) if operation.calls else NOTHING


def _calls(operation: Operation) -> str:
    return f"{operation.calls:g}" if operation.calls else NOTHING


#: Down-weighted outliers are mentioned if they cost more than this share of the pairs.
_LOST_WEIGHT_SHOWN = 0.1
#: The load of other programs is mentioned from this share of a core on.
_WORTH_MENTIONING = 0.1
#: The meaning of ``uneven`` in a result.
UNEVEN = "a few blocks of most pairs are far from the others, so the ratio is over all blocks"


def pairs_text(result: RestsOnPairs) -> str:
    """Return ``10 pairs, outliers down-weighted``."""
    pairs = counted(result.pairs, "pair")
    down_weighted = result.weight is not None and result.weight < (1 - _LOST_WEIGHT_SHOWN) * result.pairs
    return f"{pairs}, outliers down-weighted" if down_weighted else pairs


def load_remarks(blocks: Sequence[BlockRecord]) -> Iterator[str]:
    """Yield a remark on the CPU time that other programs used during the blocks, if it is large."""
    if not blocks:
        return
    seconds = sum(block.seconds for block in blocks)
    others = sum(block.others_seconds for block in blocks) / seconds
    if others > _WORTH_MENTIONING:
        yield f"Other programs used {percent(others)} of a CPU: measuring takes longer and varies more."


def versions_text(own: ConfigurationRecord) -> str:
    """Return the framework of a configuration, or the versions that a step of the user's own imported."""
    if own.configuration.backend:
        return framework_text(own.configuration.backend, own.framework)
    return ", ".join(f"{name} {version}" for name, version in own.framework.items())
