"""Whether head does the maths that base does.

Both make the same first steps in float64, where rounding leaves 1e-15 and any other formula shows, and
again in the precision that is timed; then they are scored. What becomes of other maths, where the suite
allows them, is for :mod:`harness.gate.noninferiority`.
"""

import contextlib
import math
from concurrent.futures import ThreadPoolExecutor

import msgspec

from harness.duel.workloads import Workload
from harness.errors import Declined
from harness.gate import reasons
from harness.gate.learner import Learner, Maths, learner
from harness.gate.reasons import Reason, TaskChanged
from harness.gate.record import QualityResult
from harness.machine.cpus import places_to_start
from harness.spec.backend import Precision
from harness.spec.task import Task
from harness.testing.parity import LOSS_TOLERANCES, TOLERANCE
from harness.worker.errors import MemoryRanOut, WorkerLost

#: Steps of the comparison in float64, and of the one in the precision that is timed: there, only the
#: first can tell, for later ties that rounding decides take equal trainings apart.
_EXACT_STEPS = 20
_TIMED_STEPS = 3
#: Of scores, which pass through decompositions that amplify rounding.
_SCORE_TOLERANCE = 1e-6


def same_maths(sides: list[Workload], dataset: str, limit_seconds: float) -> QualityResult:
    """Compare the first steps of base and head: PASS where rounding explains all differences, else FAIL.

    INCONCLUSIVE where no difference could show, for the losses of both are not finite.

    Raises:
        ConfigurationFailed: a side could not do it.
    """
    ours, theirs = sides
    # Head first: what neither can do is head's fault, not a base that nothing can be held to.
    order = [theirs, ours]
    head, base = _side_by_side(order, dataset, limit_seconds) or [
        observe(side, dataset, limit_seconds) for side in order
    ]
    return compare_maths(base, head, task_change(ours, theirs))


def _side_by_side(sides: list[Workload], dataset: str, limit_seconds: float) -> list[list[Maths]] | None:
    """What each side does, at the same time, for nothing is timed here. None where that cannot be.

    It takes as many CPUs as both have threads, and memory for both: where that runs out, and where one may
    have read data that the other was writing, :func:`observe` is to look at each by itself.

    Raises:
        ConfigurationFailed: one could not do it; of several the first.
    """
    places = places_to_start([side.settings(quiet=True) for side in sides])
    if places is None or len({cpu for place in places for cpu in place}) < sum(map(len, places)):
        return None
    with contextlib.ExitStack() as stack:
        asked = [
            stack.enter_context(learner(side, dataset, limit_seconds, cpus))
            for side, cpus in zip(sides, places, strict=True)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(len(sides)))
        try:
            told = [
                pool.submit(_first_steps, one, side.plan.precision)
                for one, side in zip(asked, sides, strict=True)
            ]
            found = [one.result() for one in told]
        except BaseException as error:
            for one in asked:  # the pool waits for its threads, and these for them
                one.end()
            if _for_want_of_memory(error.__cause__):
                return None
            raise
    return found if len({maths[-1].fingerprint for maths in found}) == 1 else None


def _for_want_of_memory(error: BaseException | None) -> bool:
    """Whether that may be why a worker failed: it says so, or the system ended it."""
    return isinstance(error, MemoryRanOut) or (
        isinstance(error, WorkerLost) and error.signal_name == "SIGKILL"
    )


def compare_maths(base: list[Maths], head: list[Maths], change: TaskChanged | None = None) -> QualityResult:
    """PASS where rounding explains all differences; ``change`` is how the tasks differ."""
    frameworks = [maths[-1].framework or {} for maths in (base, head)]
    return msgspec.structs.replace(_compared(base, head, change), frameworks=frameworks)


def _compared(base: list[Maths], head: list[Maths], change: TaskChanged | None) -> QualityResult:
    # Memory that ran out on either side is no difference of maths.
    lost = {one.precision for one in [*base, *head] if one.memory_ran_out}
    base, head = ([one for one in maths if one.precision not in lost] for maths in (base, head))
    before, after = ([one.precision for one in maths] for maths in (base, head))
    if before != after:
        return _failed(reasons.OtherPrecisions(base=before, head=after))
    read, reads = (maths[-1].fingerprint for maths in (base, head))
    if read != reads:
        return _failed(reasons.OtherData(base=read, head=reads))
    differences = [
        _difference(ours, theirs, scored=number == 0)
        for number, (ours, theirs) in enumerate(zip(base, head, strict=True))
    ]
    for worst, difference in differences:
        if difference is not None:
            return _failed(difference, *([change] if change else []), worst=worst)
    worst, _ = differences[0]  # in the more exact precision
    if change is not None:
        return _failed(change, worst=worst)
    for one in base:
        if (step := _not_finite(one)) is not None:
            reason = reasons.LossesNotFinite(precision=one.precision, step=step)
            return QualityResult(verdict="INVALID", reasons=[reason], worst=worst)
    notes: list[Reason] = [reasons.MemoryRanOut(precisions=sorted(lost))] if lost else []
    return QualityResult(verdict="PASS", reasons=notes, worst=worst)


def _failed(*found: Reason, worst: float | None = None) -> QualityResult:
    return QualityResult(verdict="FAIL", reasons=list(found), worst=worst)


def _not_finite(maths: Maths) -> int | None:
    """The first step whose loss is not finite."""
    return next((step for step, row in enumerate(maths.losses, 1) if None in row), None)


def observe(side: Workload, dataset: str, limit_seconds: float) -> list[Maths]:
    """The first steps of a side, in float64 where it can and there is memory, and in what is timed.

    Raises:
        ConfigurationFailed: it could not do it.
    """
    precision = side.plan.precision
    exact = [Maths("float64", [], {}, memory_ran_out=True)] if precision != "float64" else []
    with learner(side, dataset, limit_seconds) as asked, contextlib.suppress(MemoryRanOut):
        exact = _exact_steps(asked)
        return _with_timed_steps(exact, asked, precision)
    # What fits in the precision that is timed need not fit in one of twice the size, nor beside it.
    with learner(side, dataset, limit_seconds) as asked:
        return _with_timed_steps(exact, asked, precision)


def _first_steps(asked: Learner, precision: Precision) -> list[Maths]:
    with asked.blamed():
        return _with_timed_steps(_exact_steps(asked), asked, precision)


def _exact_steps(asked: Learner) -> list[Maths]:
    """Those in float64; nothing where the backend has none."""
    try:
        return [asked.maths("float64", _EXACT_STEPS)]
    except Declined:
        return []


def _with_timed_steps(exact: list[Maths], asked: Learner, precision: Precision) -> list[Maths]:
    if exact and precision == "float64":
        return exact
    return [*exact, asked.maths(precision, _TIMED_STEPS)]


def task_change(base: Workload, head: Workload) -> TaskChanged | None:
    """How head's task differs from base's: in options, else in fields; None where it does not.

    An option that base did not know yet changes nothing by itself: what it does shows in the maths.
    """
    options = {
        name: (base.options[name], value)
        for name, value in head.options.items()
        if name in base.options and base.options[name] != value
    }
    if options:
        return TaskChanged(options=options)
    ours, theirs = base.plan.task, head.plan.task
    fields = [name for name in Task.__struct_fields__ if getattr(ours, name) != getattr(theirs, name)]
    return TaskChanged(fields=fields) if fields else None


def _difference(base: Maths, head: Maths, *, scored: bool) -> tuple[float, Reason | None]:
    """The worst relative deviation of a loss, and the first that rounding does not explain.

    ``scored`` says whether scores count too. In float64 all do; in less exact arithmetic the loss alone, for
    rounding may turn the answer to a sample.
    """
    precision, tolerance, worst = base.precision, _loss_tolerance(base.precision), 0.0
    if [len(row) for row in base.losses] != [len(row) for row in head.losses]:
        return math.inf, reasons.OtherLossCount(precision=precision)
    for step, (right, theirs) in enumerate(zip(base.losses, head.losses, strict=True), 1):
        for ours, other in zip(right, theirs, strict=True):
            deviation = _relative(ours, other)
            worst = max(worst, deviation)
            if deviation > tolerance:
                return deviation, reasons.LossDiffers(
                    precision=precision,
                    step=step,
                    base=ours,
                    head=other,
                    deviation=deviation if math.isfinite(deviation) else None,
                )
    exact = precision == "float64"
    for name, ours in base.scores.items() if scored else ():
        other = head.scores.get(name)
        deviation = _relative(ours, other)
        if (exact or name == "loss") and deviation > (_SCORE_TOLERANCE if exact else tolerance):
            steps = len(base.losses)
            return deviation, reasons.ScoreDiffers(score=name, steps=steps, base=ours, head=other)
    return worst, None


def _loss_tolerance(precision: Precision) -> float:
    return TOLERANCE if precision == "float64" else LOSS_TOLERANCES[precision]


def _relative(ours: float | None, theirs: float | None) -> float:
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-12)
