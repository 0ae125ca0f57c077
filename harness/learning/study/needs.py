"""What the open verdicts of a study need: more seeds, or what seeds cannot give."""

from collections.abc import Mapping, Sequence

from harness.core.documents.numbers import counted, listed
from harness.learning.study.finding import StudyFinding
from harness.learning.study.judging import Limit, Need

#: Larger numbers of seeds are not stated.
MOST_SEEDS = 200
_LIMITS: Mapping[Limit, str] = {
    "": "how many seeds would decide is not known",
    "the test set": "the number of test samples limits the verdict, and more seeds would not decide",
    "the tuning": "chance in the tuning limits the verdict, and more seeds would not decide; add --trials",
}


def needs(findings: Sequence[StudyFinding]) -> dict[str, Need]:
    """Return the needs of all variants without a verdict, by name, on the configuration that needs most."""
    found: dict[str, Need] = {}
    for finding in findings:
        without = finding.of_verdict("undecided", "few")
        for effect in without:
            need = effect.need
            if finding.asks_for_best and effect is finding.reference:  # it waits for the others
                others = [each.need for each in without if each is not effect]
                need = max(others, key=_seeds, default=need)
            name = effect.variant.name
            found[name] = max(found.get(name, need), need, key=_seeds)
    return found


def seeds_wanted(needed: Mapping[str, Need]) -> int:
    """Return the seeds after which every variant whose number is known has a verdict; 0 if none is."""
    return max(map(_seeds, needed.values()), default=0)


def _seeds(need: Need) -> int:
    return need.seeds or 0


def need_text(need: Need) -> str:
    """State a need in words: ``about 12 seeds would decide``."""
    if need.seeds is None:
        return _LIMITS[need.limit]
    most = f"more than {counted(MOST_SEEDS, 'seed')} would be needed"
    return most if need.seeds > MOST_SEEDS else f"about {counted(need.seeds, 'seed')} would decide"


def needs_text(needed: Mapping[str, Need], condition: str = "") -> str:
    """State what variants need in words: ``dropout and l2: about 12 seeds would decide``.

    ``condition`` follows the number of seeds, such as `` if the differences stay as they are``.
    """
    most = Need(seeds_wanted(needed))
    by_text: dict[str, list[str]] = {}
    for name, need in sorted(needed.items(), key=lambda each: each[1].seeds is None):
        text = f"{need_text(most)}{condition}" if need.seeds else need_text(need)
        by_text.setdefault(text, []).append(name)
    return "; ".join(f"{listed(names)}: {text}" for text, names in by_text.items())
