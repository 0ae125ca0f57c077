"""Parts that the pages of duels, gates and timings share: profiles, load, pairs and versions."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from harness.core.documents.document import Cell, Node, Only, Paragraph, Section, Table, Text
from harness.core.documents.escaping import one_line
from harness.core.documents.numbers import counted, percent, significant
from harness.core.runs.words import framework_text
from harness.timing.engine.record import BlockRecord, ConfigurationRecord
from harness.timing.engine.steps.profiles import Operation, Profiles, StepProfile, changed_most


class RestsOnPairs(Protocol):
    """A result that rests on pairs, of which ``weight`` is the effective number."""

    @property
    def pairs(self) -> int: ...

    @property
    def weight(self) -> float | None: ...


_Row = list[Cell | str]
_SHOWN, _SHOWN_IN_TERMINAL = 10, 4
_LEGEND = (
    "Milliseconds in one step, in the operation itself and not in those that it calls. Profilers slow a step "
    "down, each in other places, so these times say where the time goes, not how much of it there is."
)


def profile_sections(profiles: Profiles | None, labels: Sequence[str], of: Text = "") -> list[Node]:
    """Return one table for each profiler; nothing where nothing was profiled.

    ``of`` names the profiled work.
    """
    if profiles is None:
        return []
    fault = f"It could not be profiled: {profiles.fault}" if profiles.fault else ""
    nodes: list[Node] = [
        Paragraph(of),
        Paragraph(one_line(fault)),
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
            differing: list[_Row] = []
            for each in changed_most(ours, theirs[ours.profiler], count):
                both = (each.base, each.head)
                change = Cell(f"{1e3 * each.seconds:+.3g}", "bad" if each.seconds > 0 else "good")
                differing.append([each.name, *map(_ms, both), change, *map(_calls, both)])
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


#: Down-weighted outliers are mentioned if they cost more than this share of the pairs.
_LOST_WEIGHT_SHOWN = 0.1
#: Load of other programs, and throttling, are mentioned from this share of a core on.
_WORTH_MENTIONING = 0.1
#: The meaning of ``uneven`` in a result.
UNEVEN = "a few blocks of most pairs are far from the others, so the ratio is over all blocks"


def pairs_text(result: RestsOnPairs) -> str:
    """Return ``10 pairs, outliers down-weighted``."""
    pairs = counted(result.pairs, "pair")
    down_weighted = result.weight is not None and result.weight < (1 - _LOST_WEIGHT_SHOWN) * result.pairs
    return f"{pairs}, outliers down-weighted" if down_weighted else pairs


def load_remarks(blocks: Sequence[BlockRecord]) -> Iterator[str]:
    """Yield remarks on the time that other programs and limits took from the blocks throughout."""
    if not blocks:
        return
    seconds = sum(block.seconds for block in blocks)
    disturbances = [block.disturbance for block in blocks]
    others = sum(each.others_seconds + each.stolen_seconds for each in disturbances) / seconds
    if others > _WORTH_MENTIONING:
        yield f"Other programs used {percent(others)} of a CPU: measuring takes longer and varies more."
    throttled = sum(each.throttled_seconds for each in disturbances) / seconds
    if throttled > _WORTH_MENTIONING:
        yield (
            f"The CPU quota of the control group held threads back {percent(throttled)} of the time. Use "
            "fewer threads (--threads) or a larger quota."
        )
    if slowed := sum(each.throttle_events for each in disturbances):
        yield f"Cores were throttled for heat {slowed} times."


def versions_text(own: ConfigurationRecord) -> str:
    """Return the framework of a configuration, or the versions that a step of the user's own imported."""
    if own.configuration.backend:
        return framework_text(own.configuration.backend, own.framework)
    return ", ".join(f"{name} {version}" for name, version in own.framework.items())
