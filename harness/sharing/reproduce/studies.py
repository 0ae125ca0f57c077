"""Repetition of studies: the compared runs again, and the verdict on each variant compared."""

from collections.abc import Iterator, Mapping, Sequence

from harness.core.documents.kinds import RecordKind
from harness.core.documents.numbers import counted
from harness.core.runs.jobs import outcome_of
from harness.core.runs.record import Record
from harness.core.runs.request import TRIAL_SEED
from harness.core.runs.store import RUNS, Store
from harness.learning.study.effects import findings_of
from harness.learning.study.record import STUDIES, Study, study_records
from harness.sharing.reproduce import runs
from harness.sharing.reproduce.repetition import Agreement, Place, Repetition, Stored, worst_of

#: Verdicts that more seeds would replace by another.
_OPEN = {"undecided", "few"}


class StudyRepetition(Repetition[Study]):
    """Studies: the runs that are compared are repeated, with the settings that tuning found there."""

    def lacking(self, stored: Stored[Study]) -> Iterator[str]:
        """See :meth:`Repetition.lacking`."""
        compared = _compared_runs(stored)
        if not compared:
            yield f"the runs of the study, which its results folder {stored.path.parent.parent} does not have"
        for each in compared:
            yield from runs.REPETITION.lacking(each)

    def facts(self, stored: Stored[Study]) -> Mapping[str, str]:
        """See :meth:`Repetition.facts`: those of the runs, of which the study itself has none."""
        return next(map(runs.REPETITION.facts, _compared_runs(stored)), {})

    def repeat(
        self, records: Sequence[Stored[Study]], kind: RecordKind[Study], place: Place
    ) -> list[Stored[Study]]:
        """See :meth:`Repetition.repeat`."""
        every = {each.path: each for stored in records for each in _compared_runs(stored)}
        runs.REPETITION.repeat([*every.values()], RUNS, place)
        folder = place.results / STUDIES.folder
        return [Stored(stored.record, kind.save(stored.record, folder)) for stored in records]

    def agreement(self, theirs: Stored[Study], mine: Stored[Study]) -> Agreement:
        """See :meth:`Repetition.agreement`: equal runs, or else variant by variant, on each configuration."""
        if (runs_there := _outcomes(theirs)) and runs_there == _outcomes(mine):
            counted_runs = counted(len(runs_there), "compared run")
            reason = f"the losses and scores of {counted_runs} are equal bit for bit"
            return Agreement(verdict="identical", reasons=[reason])
        there, here = verdicts_of(theirs), verdicts_of(mine)
        return worst_of(
            compare_verdicts(name, verdict, here.get(name, "")) for name, verdict in there.items()
        )


STUDY_REPETITION = StudyRepetition()


def _compared_runs(stored: Stored[Study]) -> list[Stored[Record]]:
    store = Store(stored.path.parent.parent)
    return [
        Stored(record, store.folder / f"{record.id}.json")
        for record in study_records(stored.record, store)
        if record.status in {"ok", "diverged"} and record.seed != TRIAL_SEED
    ]


def _outcomes(stored: Stored[Study]) -> dict[tuple[object, ...], list[object]]:
    """Return what each compared run has computed, by its variant, configuration and seed."""
    names = {variant.description: variant.name for variant in stored.record.variants}
    records = [each.record for each in _compared_runs(stored)]
    return {
        (names.get(each.task.sha256), each.epochs_asked, each.configuration.label, each.seed): outcome_of(
            each
        )
        for each in records
    }


def verdicts_of(stored: Stored[Study]) -> dict[str, str]:
    """Return the verdict on each variant, by its name and its configuration; the leading one is the best."""
    records = [each.record for each in _compared_runs(stored)]
    return {
        f"{effect.variant.name} on {finding.configuration.record.configuration.label}": (
            effect.verdict or "reference"
        )
        for finding in findings_of(stored.record, records)
        for effect in finding.effects
    }


def compare_verdicts(name: str, theirs: str, mine: str) -> Agreement:
    """Compare the verdicts on a variant."""
    reason = f"{name}: {theirs} there and {mine or 'no runs'} here"
    if _OPEN & {theirs, mine}:
        return Agreement(verdict="undecided", reasons=[f"{reason}; more seeds are needed"])
    if theirs == mine:
        return Agreement(verdict="holds", reasons=[f"{name}: {theirs} in both"])
    return Agreement(verdict="does not hold", reasons=[reason])
