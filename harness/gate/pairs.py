"""The pairs of a benchmark: fresh processes of base and head, and who is to blame if one fails."""

import random
import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from harness.audit.findings import WorkDiffers
from harness.duel.pair_time import PairTime
from harness.duel.pairs import Alternation
from harness.duel.preparation import Prepared, is_certified, prepare
from harness.duel.record import PairRecord
from harness.duel.timed_worker import ConfigurationFailed
from harness.duel.workloads import Workload, pad_to_equal_size
from harness.gate import reasons
from harness.gate.conclusion import Ended
from harness.plugins import registry
from harness.worker.errors import WorkerTimeout

#: A process that takes longer than this from start to end is taken to hang.
PROCESS_LIMIT_SECONDS = 1800.0

_T = TypeVar("_T")


class PairMaker:
    """Makes pairs of base and head (``workloads``).

    Base is paused in memory next to head, and both may need more memory than there is. So if head fails, it
    is tried alone, and is to blame only if it fails then too; otherwise :class:`Ended` is raised. A hang, and
    work that was recomputed and differs, do not depend on memory: head is to blame at once.
    """

    def __init__(self, workloads: Sequence[Workload], dataset: str, say: Callable[[str], None]) -> None:
        self._time = PairTime()
        self._workloads = list(workloads)
        self._dataset = dataset
        self._say = say
        self._steps: list[int] = []
        # Which of the two runs first must not follow a seed.
        self._chance = random.Random(secrets.randbits(64))  # noqa: S311
        self._variables = pad_to_equal_size(
            [workload.worker_variables(quiet=True) for workload in workloads],
            [workload.configuration.python for workload in workloads],
        )
        self._certified = False
        self._alternation = self._alternation_of(slice(0, 2))

    def prepare(self, turns: int | None, *, same_work: bool = False) -> Prepared:
        """Set the steps of a block, and the turns unless they are given.

        ``same_work``: the first steps of base and head are equal. So if base is certified, the later work of
        both must be that of the reference; this is verified for backends of others.

        Raises:
            ConfigurationFailed: base or head failed.
            Ended: head failed next to base only, or a process would take too long.
        """
        base, _ = self._workloads
        if same_work and registry.is_third_party(base.configuration.backend):
            self._say("certifying base")
            self._certified = is_certified(base)
            self._alternation = self._alternation_of(slice(0, 2))
        prepared = self._blaming_fairly(lambda alternation, _: prepare(alternation, None, turns))
        self._steps = prepared.steps
        self._time.prepared(prepared.pair_seconds)
        seconds, limit = prepared.pair_seconds / len(self._workloads), PROCESS_LIMIT_SECONDS
        if seconds > limit:
            raise Ended(reasons.ProcessTooLong(seconds=seconds, limit_seconds=limit, turns=prepared.turns))
        return prepared

    def make(self, turns: int) -> PairRecord:
        """Run one pair; raises what :meth:`prepare` raises."""
        pair = self._blaming_fairly(
            lambda alternation, part: alternation.pair(self._steps[part], turns, self._chance)
        )
        self._time.made(pair)
        return pair

    @property
    def seconds(self) -> float:
        """What the next pair will take, about."""
        return self._time.seconds

    def _alternation_of(self, part: slice) -> Alternation:
        return Alternation(
            self._workloads[part],
            self._variables[part],
            self._dataset,
            deadline_seconds=lambda: PROCESS_LIMIT_SECONDS,
            certified=self._certified,
        )

    def _blaming_fairly(self, work: Callable[[Alternation, slice], _T]) -> _T:
        """Do work with base and head; ``work`` gets the part of the two that it is done with."""
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
        work(self._alternation_of(alone), alone)
        raise Ended(reasons.FailedBesideBase(message=failure.reason)) from failure
