"""Why a verdict of a gate is what it is: one class for each reason, with the numbers that belong to it.

Reasons are data. :mod:`harness.report.gate_words` renders them, and nothing reads the text again. In a
record each is an object whose ``kind`` is the class's name in lower-case words, such as ``"pairs lost"``.
Shares are fractions: 0.05 is 5 %.
"""

from harness.gate.reasons.benchmark import (
    BenchmarkReason,
    BudgetSpent,
    Failed,
    FailedBesideBase,
    HarnessFault,
    NotComparable,
    NoWorkers,
    ProcessTooLong,
    Removed,
    Replaced,
)
from harness.gate.reasons.first_steps import (
    FirstStepsReason,
    LossDiffers,
    LossesNotFinite,
    MemoryRanOut,
    OtherData,
    OtherLossCount,
    OtherPrecisions,
    ScoreDiffers,
    TaskChanged,
)
from harness.gate.reasons.metric import (
    BeyondLimit,
    ImplausibleSpeedup,
    LimitNotShown,
    MachineChanged,
    MetricReason,
    NotDecided,
    PairsLost,
    ProvenWorse,
    TooFewPairs,
)
from harness.gate.reasons.recorded import Recorded
from harness.gate.reasons.training import (
    Diverged,
    ExtraSteps,
    Label,
    ScoreLost,
    TargetAtFirstScore,
    TargetMissed,
    TargetRarelyReached,
    TooFewEpochs,
    TooFewSeeds,
    TrainingReason,
)

__all__ = [
    "BenchmarkReason",
    "BeyondLimit",
    "BudgetSpent",
    "Diverged",
    "ExtraSteps",
    "Failed",
    "FailedBesideBase",
    "FirstStepsReason",
    "HarnessFault",
    "ImplausibleSpeedup",
    "Label",
    "LimitNotShown",
    "LossDiffers",
    "LossesNotFinite",
    "MachineChanged",
    "MemoryRanOut",
    "MetricReason",
    "NoWorkers",
    "NotComparable",
    "NotDecided",
    "OtherData",
    "OtherLossCount",
    "OtherPrecisions",
    "PairsLost",
    "ProcessTooLong",
    "ProvenWorse",
    "Reason",
    "Recorded",
    "Removed",
    "Replaced",
    "ScoreDiffers",
    "ScoreLost",
    "TargetAtFirstScore",
    "TargetMissed",
    "TargetRarelyReached",
    "TaskChanged",
    "TooFewEpochs",
    "TooFewPairs",
    "TooFewSeeds",
    "TrainingReason",
    "speaks_against_head",
]

Reason = MetricReason | FirstStepsReason | TrainingReason | BenchmarkReason | Recorded


def speaks_against_head(reason: Reason) -> bool:
    """Whether the measurement indicates that head is beyond a limit, so that INCONCLUSIVE is no PASS."""
    match reason:
        case BeyondLimit() | TargetMissed() | Recorded(beyond_limit=True):
            return True
        case _:
            return False
