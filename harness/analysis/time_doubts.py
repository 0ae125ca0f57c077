"""What makes the times of runs unreliable: other programs, few seeds, unsteady steps, too short a run."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.configuration_summary import ConfigurationSummary
from harness.analysis.run_curves import Run
from harness.stats.intervals import FEWEST_FOR_INTERVAL

#: A step time that changes by more than this share within a run is not one step time.
_UNSTEADY = 0.5


@dataclass(frozen=True, slots=True)
class TimeDoubts:
    """What speaks against comparing the times of these ``runs``, with ``seeds`` in common.

    ``disturbed`` counts the runs in which others used the machine, ``unsettled`` those that ended before
    their warm-up. ``taken`` is the most that others used of ``cpus``. ``variation`` is the largest change of
    a step time within a run, as a share.
    """

    seeds: int
    runs: int
    disturbed: int
    unsettled: int
    taken: float
    cpus: int
    variation: float | None

    @property
    def few_seeds(self) -> bool:
        """Whether there are too few common seeds for an interval."""
        return self.seeds < FEWEST_FOR_INTERVAL

    @property
    def unsteady(self) -> bool:
        """Whether a step time changed too much within a run."""
        return self.variation is not None and self.variation > _UNSTEADY

    @property
    def any(self) -> bool:
        """Whether the times are unreliable."""
        return self.few_seeds or self.unsteady or bool(self.disturbed or self.unsettled)


def time_doubts(summaries: Sequence[ConfigurationSummary], seeds: int) -> TimeDoubts:
    """The doubts about the times of these configurations; ``seeds`` is how many they have in common."""
    runs: list[Run] = [run for summary in summaries for run in summary.configuration.runs]
    disturbed = [run.record.interference for run in runs if run.record.disturbed]
    worst = max((load for load in disturbed if load), key=lambda load: load.taken, default=None)
    changes = [abs(summary.drift) for summary in summaries if summary.drift is not None]
    return TimeDoubts(
        seeds=seeds,
        runs=len(runs),
        disturbed=len(disturbed),
        unsettled=sum(not run.settled for run in runs),
        taken=worst.taken if worst else 0.0,
        cpus=worst.cpus if worst else 0,
        variation=max(changes, default=None),
    )
