"""Pairs of a benchmark: fresh processes of base and head, and the side to blame if one fails."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from harness.core.audit.findings import WorkDiffers
from harness.errors import WorkerTimeout
from harness.timing.engine.pairs import (
    PROCESS_LIMIT_SECONDS,
    Alternation,
    PairTime,
    Program,
    TimedProgram,
)
from harness.timing.engine.preparation import Prepared, prepare
from harness.timing.engine.record import PairRecord
from harness.timing.engine.sessions import ConfigurationFailed
from harness.timing.engine.steps.own import TimedStep
from harness.timing.engine.steps.timed_calls import Returned
from harness.timing.environments.imports import ImportedFiles
from harness.timing.gate.conclusion import Ended
from harness.timing.gate.reasons import Reason

_T = TypeVar("_T")
#: The next step where head failed only beside base.
_CROWDED = (
    "Run the gate again: the failure is occasional, or memory is too small for both. If memory is the cause, "
    "give the benchmark a smaller batch_size."
)


class WatchedAlternation(Alternation):
    """Pairs, of which each process of a step says what it has imported."""

    files: ImportedFiles

    def before_finish(self, workers: Mapping[int, TimedProgram]) -> None:
        """Ask for the imported files."""
        for index, worker in workers.items():
            if isinstance(worker, TimedStep):
                self.files.add(self.workloads[index].label, worker.imported())


class PairMaker:
    """The maker of pairs of base and head (``workloads``).

    Base is paused in memory next to head, and both may need more memory than there is. So if head fails, it
    is tried alone, and is to blame only if it fails then too; otherwise :class:`Ended` is raised. A hang, and
    work that was recomputed and differs, do not depend on memory: head is to blame at once. ``files`` gets
    what the processes of steps have imported at their end.
    """

    def __init__(
        self, workloads: Sequence[Program], dataset: str, say: Callable[[str], None], files: ImportedFiles
    ) -> None:
        self._time = PairTime()
        self._workloads = list(workloads)
        self._dataset = dataset
        self._say = say
        self._steps: list[int] = []
        self._alternation = WatchedAlternation(workloads, dataset)
        self._alternation.files = files

    def prepare(self, turns: int | None) -> Prepared:
        """Set the steps of a block, and the turns unless they are given."""
        prepared = self._blaming_fairly(lambda alternation, _: prepare(alternation, None, turns))
        self._steps = prepared.steps
        self._time.prepared(prepared.pair_seconds)
        seconds, limit = prepared.pair_seconds / len(self._workloads), PROCESS_LIMIT_SECONDS
        if seconds > limit:
            planned = f"{seconds:.0f} s for {prepared.turns} turns"
            text = f"a process would take about {planned}, more than {limit:.0f} s"
            raise Ended(Reason(kind="not measured", text=text, hint="Set fewer turns (--turns)."))
        return prepared

    def make(self, turns: int) -> PairRecord:
        """Run one pair; raise the errors of :meth:`prepare`."""
        pair = self._blaming_fairly(lambda alternation, part: alternation.pair(self._steps[part], turns))
        self._time.made(pair)
        return pair

    @property
    def returned(self) -> list[Returned]:
        """The values that steps returned in the last pair, by the numbers of their calls."""
        return self._alternation.returned

    @property
    def seconds(self) -> float:
        """The estimated time of the next pair."""
        return self._time.seconds

    def _blaming_fairly(self, work: Callable[[Alternation, slice], _T]) -> _T:
        """Do work with base and head; ``work`` gets the part of the two to do it with."""
        try:
            return work(self._alternation, slice(0, 2))
        except ConfigurationFailed as error:
            if error.label != self._workloads[1].label or isinstance(
                error.__cause__, WorkerTimeout | WorkDiffers
            ):
                raise
            failure = error
        self._say("trying head alone")
        alone = slice(1, 2)
        work(Alternation(self._workloads[alone], self._dataset), alone)
        text = f"head failed next to base and did the same work alone: {failure.reason}"
        raise Ended(Reason(kind="failed", text=text, hint=_CROWDED)) from failure
