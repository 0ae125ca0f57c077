"""The document of a bisection: the culprit, the result of every candidate, and the posterior as a chart."""

from collections.abc import Iterator
from functools import partial

import numpy as np

from harness.core.documents.circumstances import circumstances, started
from harness.core.documents.document import Document, Figures, Folded, Items, Node, Section, Table
from harness.core.documents.escaping import one_line
from harness.core.documents.kinds import Listed
from harness.core.documents.numbers import NOTHING, counted
from harness.core.stats.estimate import Estimate
from harness.timing.bisect.charts import posterior_figures
from harness.timing.bisect.findings import (
    candidates_left,
    culprits_of,
    difference,
    evident_culprits,
    is_confirmed,
    is_searched,
    ratio_of,
    search_of,
)
from harness.timing.bisect.record import BisectRecord
from harness.timing.engine.intervals import bootstrap_interval
from harness.timing.engine.record import MOST_PAIRS
from harness.timing.gate.words import change

_MOST_NAMED = 6

_METHOD = """\
A pair is a fresh process of good and one of a candidate, whose blocks of steps alternate. Good, good again \
and bad come first: their pairs show whether there is a difference, and how much pairs of equal code vary.
Then each pair goes to the candidate that splits the probability of the culprits in two. Every culprit has \
the probability of all pairs under one change of unknown size with Student noise; nothing is decided by a \
single pair.
Candidates that cannot be installed or run are skipped, and may still be the culprit.""".splitlines()


def outcome(record: BisectRecord) -> str:
    """Return the outcome in one sentence."""
    good, bad = record.candidates[0].name, record.candidates[-1].name
    of_bad = ratio_of(record, len(record.candidates) - 1)
    between = ratio_text(record, of_bad)
    ratio = "" if of_bad is None else f": {between}"
    if record.outcome == "no difference":
        margin = "" if record.metric == "values" else f" of {_margin(record)} or more"
        return f"No difference{margin} between {good} and {bad}{ratio}"
    if record.outcome != "culprit":
        return f"Undecided between {good} and {bad}{ratio}"
    culprits, probability = culprits_of(record)
    names = [_named(record, number) for number in culprits]
    shown = ", ".join(names[:_MOST_NAMED]) + ("" if len(names) <= _MOST_NAMED else ", …")
    who = f"The culprit is {shown}" if len(names) == 1 else f"The culprit is one of {shown}"
    if record.metric == "values":
        changes = [each.difference for each in record.returned if each.candidate == culprits[-1]]
        return f"{who}: {changes[0] if changes else 'its first calls return other values'}"
    return f"{who}, with a probability of {100 * probability:.0f} %; {record.metric} of bad: {between}"


def ratio_text(record: BisectRecord, ratio: Estimate | None) -> str:
    """Return a ratio in the words of its metric."""
    return NOTHING if ratio is None else change(record.metric, ratio)


def search_text(record: BisectRecord) -> str:
    """Say which candidates are left; empty before good and bad are shown to differ.

    The likeliest is named if the pairs are evidence for it.
    """
    if not is_searched(record):
        return ""
    left = candidates_left(record)
    counts = f"{len(left)} of {counted(len(record.candidates) - 1, 'candidate')} left"
    if len(left) > 1:
        counts += f", {record.candidates[left[0]].name} to {record.candidates[left[-1]].name}"
    evident = evident_culprits(record)
    if evident is None:
        return counts
    culprits, probability = evident
    names = ", ".join(record.candidates[number].name for number in list(culprits)[:_MOST_NAMED])
    return f"likeliest culprit {names} ({100 * probability:.0f} %); {counts}"


def _undecided_text(record: BisectRecord) -> str:
    """Say what is left of an undecided search, and what decides it."""
    if state := search_text(record):
        return f"{state[0].upper()}{state[1:]}. The same command goes on."
    pairs = difference(record)
    state = f"Good and bad are shown neither to differ nor to be the same within {_margin(record)}"
    if len(pairs.logs) > 1:
        state += f"; their pairs vary by {100 * pairs.spread:.1f} %"
    if len(pairs.logs) < MOST_PAIRS:
        return f"{state}. The same command goes on; a quieter machine or a larger --within decides sooner."
    return f"{state}. These are the most pairs that are made: use a quieter machine, or a larger --within."


def _margin(record: BisectRecord) -> str:
    return f"{100 * record.same_within:g} %"


def _named(record: BisectRecord, number: int) -> str:
    candidate = record.candidates[number]
    return one_line(f"{candidate.name} ({candidate.title})" if candidate.title else candidate.name)


def bisect_document(record: BisectRecord) -> Document:
    """Return the whole result."""
    drawn = [Figures(partial(posterior_figures, record))] if is_searched(record) else []
    skipped = [f"{_named(record, each.candidate)}: {one_line(each.reason)}" for each in record.skipped]
    nodes: list[Node] = [
        Section("Probabilities", drawn if record.probes else [], "posterior"),
        Items([*_remarks(record)]),
        Section("Measured", [candidate_table(record)], "measured"),
        Folded("Skipped", [Items(skipped)], "skipped", len(skipped)),
        circumstances(record, Items(_METHOD)),
    ]
    headline = [one_line(outcome(record)) + "."]
    if record.status != "ok":
        why = f": {record.failure}" if record.failure else ""
        if record.status == "lost":
            why = ": its process was killed. The same command goes on"
        headline.append(one_line(f"The search is {record.status}{why}"))
    meta = [started(record), record.machine.cpu]
    work = one_line(record.benchmark.step or f"{record.benchmark.task} in {record.benchmark.backend}")
    return Document("bisection", f"Which {record.kind} changed {work}", nodes, headline, meta)


def _remarks(record: BisectRecord) -> Iterator[str]:
    count = len([probe for probe in record.probes if probe.log_ratio is not None])
    candidates = counted(len(record.candidates) - 2, "candidate")
    if record.probes:
        yield f"{counted(count, 'pair')} in {record.seconds:.0f} s; {candidates} between good and bad."
    if record.confirmation:
        ratio = bootstrap_interval(np.array(record.confirmation)).exp()
        doubt = "" if is_confirmed(record) or record.status != "ok" else ": not confirmed"
        yield f"The culprit beside the candidate before it: {ratio_text(record, ratio)}{doubt}."
    elif record.outcome == "culprit" and record.metric != "values":
        yield "It was not compared with the candidate before it: no time was left, or one of them failed."
    if record.outcome == "undecided" and record.probes:
        yield _undecided_text(record)
    if record.metric != "values" and is_searched(record):
        others = [_named(record, number) for number in search_of(record).at_neither_level()]
        if others:
            yield (
                f"{', '.join(others)} fit neither good nor bad: there is more than one change in the row. "
                "Search again on each side of the culprit."
            )


def candidate_table(record: BisectRecord) -> Table:
    """Return a row for each candidate that was tried."""
    last = len(record.candidates) - 1
    roles = {0: "good", last: "bad"}
    if record.metric == "values":
        rows = [
            [record.candidates[each.candidate].name, record.candidates[each.candidate].title, values]
            for each in sorted(record.returned, key=lambda each: each.candidate)
            for values in ["same" if each.is_same else each.difference]
        ]
        return Table([record.kind, "", "values"], rows, "What the first calls return, beside good")
    search, has_culprit = search_of(record), is_searched(record)
    posterior = [0.0, *search.posterior.tolist()]
    rows = [
        [
            one_line(record.candidates[number].name),
            one_line(record.candidates[number].title[:60]),
            roles.get(number, ""),
            ratio_text(record, ratio_of(record, number)),
            str(len(values)),
            f"{100 * posterior[number]:.0f} %" if has_culprit else NOTHING,
        ]
        for number, values in sorted(search.values.items())
    ]
    headers = [record.kind, "title", "", f"{record.metric} to good", "pairs", "culprit"]
    return Table(headers, rows, "Candidates that were tried, in their order")


def row(record: BisectRecord) -> Listed:
    """Return the row of a bisection in a list of results."""
    work = record.benchmark.step or record.benchmark.task
    return Listed(work, f"{record.candidates[0].name} to {record.candidates[-1].name}", outcome(record))
