"""The sentences that matter most, under the title of the group or study that they are about."""

from harness.analysis.comparison import Comparison
from harness.analysis.findings import Findings
from harness.report.duel import DECIDES, next_duel
from harness.report.overfitting_words import gap_sentence, overfitting_sentence
from harness.report.study_words import study_sentence, study_title
from harness.report.words import SHOWN_GROUPS, headline


def key_sentences(findings: Findings) -> dict[str, list[str]]:
    """The answer of each group, then overfitting; and the recommendation of each study."""
    sentences = {}
    for task in findings.by_task(SHOWN_GROUPS):
        for group in task.groups:
            sentences[group.comparison.group.title] = [
                headline(group.comparison),
                *_duel(group.comparison, findings),
                *map(overfitting_sentence, group.overfittings),
                *map(gap_sentence, group.gaps),
            ]
        for study in task.studies:
            sentences[study_title(study)] = [study_sentence(study)]
    return sentences


def _duel(comparison: Comparison, findings: Findings) -> list[str]:
    command = next_duel(comparison, findings.results)
    return [f"{DECIDES} {command}"] if command else []
