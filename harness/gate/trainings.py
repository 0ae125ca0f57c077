"""Trainings of base and head on the same seeds, until head is shown to be no worse or no seed is left."""

import time
from collections.abc import Callable, Sequence

from harness.duel.workloads import Workload
from harness.gate import reasons
from harness.gate.noninferiority import Rule, judge, tries_of
from harness.gate.record import QualityResult, SeedScores
from harness.gate.seed_scores import seed_scores
from harness.gate.suite import Limits
from harness.gate.training_worker import Curve, training_worker
from harness.training.measures import measure_of_task

#: Of fewer epochs, half is the first alone, by which both have trivially reached the target.
_FEWEST_EPOCHS = 3


def compare_trainings(
    workloads: Sequence[Workload],
    dataset: str,
    limits: Limits,
    worse_level: float,
    seeds: Sequence[int],
    limit_seconds: float,
    deadline: float,
    say: Callable[[str], None],
) -> QualityResult:
    """Train base and head (``workloads``) on each seed and judge whether head is no worse.

    No seed is started after ``deadline``, of :func:`time.monotonic`. ``worse_level``: see
    :class:`harness.gate.noninferiority.Rule`. A process may take ``limit_seconds`` for each epoch.

    Raises:
        ConfigurationFailed: base or head failed.
    """
    task = workloads[0].task
    if limits.max_extra_steps is not None and task.epochs < _FEWEST_EPOCHS:
        reason = reasons.TooFewEpochs(epochs=task.epochs, needed=_FEWEST_EPOCHS)
        return QualityResult(verdict="INVALID", reasons=[reason])
    tries = tries_of(len(seeds))
    rule = Rule(measure_of_task(task), limits, len(tries), worse_level)
    rows: list[SeedScores] = []
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        say(f"training base and head on seed {seed}")
        base, head = (_train(workload, dataset, seed, limit_seconds) for workload in workloads)
        rows.append(seed_scores(seed, base, head, rule.measure, limits))
        if len(rows) in tries and judge(rows, rule).verdict == "PASS":
            break
    verdict, why = judge(rows, rule)
    return QualityResult(verdict=verdict, reasons=list(why), measure=rule.measure.name, seeds=rows)


def _train(workload: Workload, dataset: str, seed: int, limit_seconds: float) -> Curve:
    with training_worker(workload, dataset, limit_seconds) as worker:
        return worker.curve(seed)
