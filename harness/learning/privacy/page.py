"""The page ``compare --privacy``: membership inference beside the generalisation gap, and epsilon."""

from collections.abc import Sequence

import numpy as np

from harness.core.documents.document import Document, Node, Paragraph, Table, table_of
from harness.core.documents.numbers import NOTHING, estimate, score_digits, score_unit
from harness.core.runs.record import Record
from harness.core.stats.intervals import mean_interval
from harness.learning.privacy.membership import audit, membership, of_runs
from harness.learning.privacy.record import member_scores, privacy_claim
from harness.learning.runs.findings import Findings
from harness.learning.runs.grouping import RunGroup
from harness.learning.runs.overfit import gap_curves
from harness.learning.runs.rows import ConfigurationRuns
from harness.learning.runs.sentences import SHOWN_GROUPS

#: How the columns are read; see :mod:`harness.learning.privacy.membership`.
MEMBERSHIP_LEGEND = (
    (
        "Membership AUC: how well the loss tells training samples from test samples; 0.5 is guessing. "
        "Interval: the wider of that over seeds (Student's) and that over samples (DeLong et al. 1988)."
    ),
    (
        "Found at 1 %: the share of training samples that are found when at most 1 % of test samples are "
        "taken for them; beside it the share of these that is realised, lower where losses are tied."
    ),
    "A small AUC is no proof of privacy: other attacks find more.",
)


_AUDIT_LEGEND = (
    "ε at least: what an audit by canaries proves at 95 % (Steinke et al. 2023), the largest of the runs. "
    "More than is claimed refutes the claim."
)


def privacy_document(findings: Findings) -> Document:
    """Make a table for each task; a sentence where no record has losses of training samples."""
    groups = [group.comparison.group for group in findings.groups[:SHOWN_GROUPS]]
    configurations = [(group, each) for group in groups for each in group.configurations]
    configurations += [pair for section in findings.sections for pair in section.configurations]
    nodes: list[Node] = []
    if not any(membership(run.record) for _, each in configurations for run in each.runs):
        nodes.append(Paragraph(_NONE))
        return Document("", "Privacy", nodes)
    for task in dict.fromkeys(group.conditions.task for group, _ in configurations):
        shown = [(group, each) for group, each in configurations if group.conditions.task == task]
        nodes.append(_table(task, shown))
    return Document("", "Privacy", nodes)


_NONE = (
    "No record has the losses of training samples, by which membership is inferred: runs of earlier versions "
    "and of generators have none. Run them again with: harness run --fresh"
)


def claim_text(records: Sequence[Record]) -> str:
    """Return ``3.95``, ``∞``, or a dash for trainings that claim nothing."""
    claims = [claim for claim in map(privacy_claim, records) if claim is not None]
    return ", ".join(dict.fromkeys(claim.text for claim in claims)) or NOTHING


def _audited(records: Sequence[Record]) -> str:
    """Return the largest lower bound on epsilon of any of the runs; a dash without canaries."""
    bounds = [found.epsilon for found in map(audit, records) if found is not None]
    return f"{max(bounds):.2f}" if bounds else NOTHING


def _table(task: str, configurations: Sequence[tuple[RunGroup, ConfigurationRuns]]) -> Table:
    measure = configurations[0][0].measure
    unit = score_unit(measure)
    gap = f"gap ({unit})" if unit else "gap"
    several = len({group.title for group, _ in configurations}) > 1
    members = [member_scores(run.record) for _, each in configurations for run in each.runs]
    audited = any(each is not None and each.canaries is not None for each in members)
    rows = []
    for group, each in configurations:
        records = [run.record for run in each.runs]
        found = of_runs(records)
        curves = gap_curves(each, measure)
        gaps = None if curves is None else mean_interval(np.asarray(curves)[:, -1])
        row = {
            "trained": group.title if several else None,
            "configuration": each.name,
            "seeds": str(len(records)),
            "ε claimed": claim_text(records),
            "membership AUC": estimate(found and found.area, 3),
            "found at 1 % (%)": estimate(found and found.true_positives.scaled(100.0), 2),
            "realised (%)": f"{100 * found.false_positives:.2f}" if found else NOTHING,
            gap: estimate(gaps, score_digits(measure)),
            "ε at least": _audited(records) if audited else None,
        }
        rows.append(row)
    legend = (*MEMBERSHIP_LEGEND, *[_AUDIT_LEGEND] * audited)
    return table_of(rows, f"Privacy of {task}", legend=legend, announced=True)
