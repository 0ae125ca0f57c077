"""The first training steps of base and head: made, and judged for equality.

Both make the same steps in float64, where rounding leaves about 1e-15 and any other formula shows, and again
in the precision that is timed; then they are scored. No time is measured.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import msgspec

from harness.core.certify.parity import LOSS_TOLERANCES, TOLERANCE
from harness.core.machine.cpus import places_to_start
from harness.core.stats.deviations import exceeds, largest
from harness.errors import Declined, MemoryRanOut, WorkerLost
from harness.spec.backend import Precision
from harness.spec.task import Task
from harness.timing.engine.workloads import Workload
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import QualityResult
from harness.timing.gate.training_worker import FirstSteps, TrainingWorker, training_worker

#: Tolerance of scores, which pass through decompositions that amplify rounding.
_SCORE_TOLERANCE = 1e-6
_FINGERPRINT_DIGITS = 12
_LOSS_TOLERANCES: Mapping[Precision, float] = {**LOSS_TOLERANCES, "float64": TOLERANCE}


def compare_first_steps(workloads: Sequence[Workload], dataset: str) -> QualityResult:
    """Run the first steps of base and head (``workloads``), and judge them."""
    of_base, of_head = first_steps_of(workloads, dataset)
    return judge_first_steps(of_base, of_head, task_change(*workloads))


def judge_first_steps(
    base: Sequence[FirstSteps], head: Sequence[FirstSteps], change: Reason | None = None
) -> QualityResult:
    """Judge the first steps of base and head.

    PASS if rounding explains all differences, else FAIL; INVALID if no losses of base and head are finite.
    ``change`` is the difference of head's task from base's. Steps for which either side had too little memory
    are left out.
    """
    frameworks = [steps[-1].framework or {} for steps in (base, head)]
    lost = {steps.precision for steps in [*base, *head] if steps.memory_ran_out}
    base, head = ([steps for steps in every if steps.precision not in lost] for every in (base, head))
    result = _judged(base, head, change)
    if lost and result.verdict == "PASS":
        text = f"memory ran out in {', '.join(sorted(lost))}, so losses in it were not compared"
        result = msgspec.structs.replace(result, reasons=[Reason(kind="note", text=text)])
    return msgspec.structs.replace(result, frameworks=frameworks)


def task_change(base: Workload, head: Workload) -> Reason | None:
    """Return the difference of head's task from base's: in options, else in fields; None without any.

    An option that only head has is no change: its effect shows in the first steps.
    """
    changes = [
        f"{name} {value} instead of {base.options[name]}"
        for name, value in head.options.items()
        if name in base.options and base.options[name] != value
    ]
    before, after = base.task, head.task
    fields = [name for name in Task.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    if not (changes or fields):
        return None
    text = f"head trains another task: {', '.join(changes or fields)}"
    hint = "If intended, set max_accuracy_loss or use a base with the same change."
    return Reason(kind="task changed", text=text, hint=hint)


def _judged(base: list[FirstSteps], head: list[FirstSteps], change: Reason | None) -> QualityResult:
    before, after = ([steps.precision for steps in every] for every in (base, head))
    if before != after:
        return _failed(_losses_differ(f"head runs in {', '.join(after)}, base in {', '.join(before)}"))
    if base[-1].fingerprint != head[-1].fingerprint:
        ours, theirs = (steps[-1].fingerprint[:_FINGERPRINT_DIGITS] for steps in (base, head))
        text = f"head reads data with sha256 {theirs}…, base with sha256 {ours}…"
        hint = "If intended, use a base that reads the same data."
        return _failed(Reason(kind="other data", text=text, hint=hint))
    differences = [
        _difference(ours, theirs, compare_scores=number == 0)
        for number, (ours, theirs) in enumerate(zip(base, head, strict=True))
    ]
    for worst, difference in differences:
        if difference is not None:
            return _failed(difference, *([change] if change else []), worst=worst)
    worst, _ = differences[0]  # in the more exact precision
    if change is not None:
        return _failed(change, worst=worst)
    for steps in base:
        for step, row in enumerate(steps.losses, 1):
            if None in row:
                text = f"in {steps.precision} no loss is finite from step {step} on, so nothing was compared"
                hint = "Change the benchmark so that its losses are finite: no training can decide."
                reason = Reason(kind="not finite", text=text, hint=hint)
                return QualityResult(verdict="INVALID", reasons=[reason], worst=worst)
    return QualityResult(verdict="PASS", worst=worst)


def _failed(*failures: Reason, worst: float | None = None) -> QualityResult:
    return QualityResult(verdict="FAIL", reasons=list(failures), worst=worst)


def _losses_differ(text: str) -> Reason:
    return Reason(kind="losses differ", text=text, accept="set max_accuracy_loss", command="check")


def _both(*of_base_and_head: float | None) -> str:
    base, head = ("not finite" if value is None else str(value) for value in of_base_and_head)
    return f"{head} in head, {base} in base"


def _difference(base: FirstSteps, head: FirstSteps, *, compare_scores: bool) -> tuple[float, Reason | None]:
    """Return the worst relative deviation of a loss, and the first that rounding does not explain."""
    if [len(row) for row in base.losses] != [len(row) for row in head.losses]:
        text = f"in {base.precision} a training step returns another number of losses in head than in base"
        return math.inf, _losses_differ(text)
    tolerance, worst = _LOSS_TOLERANCES[base.precision], 0.0
    for step, (of_base, of_head) in enumerate(zip(base.losses, head.losses, strict=True), 1):
        for ours, theirs in zip(of_base, of_head, strict=True):
            deviation = _relative(ours, theirs)
            worst = largest((worst, deviation))
            if exceeds(deviation, tolerance):
                size = f" (relative deviation {deviation:.1e})" if math.isfinite(deviation) else ""
                text = f"in {base.precision} the loss of step {step} is {_both(ours, theirs)}{size}"
                return deviation, _losses_differ(text)
    return (worst, None) if not compare_scores else _score_difference(base, head, worst)


def _score_difference(base: FirstSteps, head: FirstSteps, worst: float) -> tuple[float, Reason | None]:
    """Return the first score that differs.

    In less than float64 only the loss counts: rounding may turn a class.
    """
    is_exact = base.precision == "float64"
    tolerance = _SCORE_TOLERANCE if is_exact else _LOSS_TOLERANCES[base.precision]
    for name, ours in base.scores.items():
        theirs = head.scores.get(name)
        deviation = _relative(ours, theirs)
        if (is_exact or name == "loss") and exceeds(deviation, tolerance):
            score = f"after {len(base.losses)} steps the validation {name} is {_both(ours, theirs)}"
            return deviation, _losses_differ(f"all losses agree, but {score}: evaluation differs")
    return worst, None


def _relative(ours: float | None, theirs: float | None) -> float:
    """Return the relative deviation; infinite where only one of the two is finite."""
    if ours is None or theirs is None:
        return 0.0 if ours is theirs else math.inf
    return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-12)


_EXACT_STEPS = 20
#: Only the first few in the precision that is timed: later, rounding alone makes equal trainings differ.
_TIMED_STEPS = 3


def first_steps_of(workloads: Sequence[Workload], dataset: str) -> list[list[FirstSteps]]:
    """Make the first steps of base and head (``workloads``)."""
    # Head first: what neither can do fails head, not base, which would leave nothing to compare with.
    order = [*reversed(workloads)]
    made = _side_by_side(order, dataset)
    return [*reversed(made or [observe(workload, dataset) for workload in order])]


def observe(workload: Workload, dataset: str) -> list[FirstSteps]:
    """Make the first steps in float64 and in the timed precision.

    Those in float64 are left out if the backend does not offer it or memory does not suffice.
    """
    precision = workload.plan.precision
    exact = [FirstSteps("float64", [], {}, memory_ran_out=True)] if precision != "float64" else []
    with training_worker(workload, dataset) as worker, contextlib.suppress(MemoryRanOut):
        exact = _exact_steps(worker)
        return _with_timed_steps(exact, worker, precision)
    # Memory that suffices for the timed precision need not suffice for float64, nor for both at once.
    with training_worker(workload, dataset) as worker:
        return _with_timed_steps(exact, worker, precision)


def _side_by_side(workloads: Sequence[Workload], dataset: str) -> list[list[FirstSteps]] | None:
    """Make the first steps of both at the same time, which is sound because nothing is timed.

    None where this is not possible: it takes a CPU for each thread of both and memory for both, and one may
    have read data while the other was writing it.
    """
    places = places_to_start([workload.worker_variables(quiet=True) for workload in workloads])
    if places is None or len({cpu for place in places for cpu in place}) < sum(map(len, places)):
        return None
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(training_worker(workload, dataset, cpus))
            for workload, cpus in zip(workloads, places, strict=True)
        ]
        pool = stack.enter_context(ThreadPoolExecutor(len(workloads)))
        try:
            futures = [
                pool.submit(_first_steps, worker, workload.plan.precision)
                for worker, workload in zip(workers, workloads, strict=True)
            ]
            observed = [future.result() for future in futures]
        except BaseException as error:
            for worker in workers:  # the pool waits for its threads, and these for the workers
                worker.end()
            if _is_lack_of_memory(error.__cause__):
                return None
            raise
    return observed if len({steps[-1].fingerprint for steps in observed}) == 1 else None


def _is_lack_of_memory(error: BaseException | None) -> bool:
    """Check that a worker may have failed for lack of memory: it said so, or the kernel killed it."""
    return isinstance(error, MemoryRanOut) or (
        isinstance(error, WorkerLost) and error.signal_name == "SIGKILL"
    )


def _first_steps(worker: TrainingWorker, precision: Precision) -> list[FirstSteps]:
    with worker.blamed():
        return _with_timed_steps(_exact_steps(worker), worker, precision)


def _exact_steps(worker: TrainingWorker) -> list[FirstSteps]:
    """Make the first steps in float64; return nothing if the backend does not offer it."""
    try:
        return [worker.first_steps("float64", _EXACT_STEPS)]
    except Declined:
        return []


def _with_timed_steps(
    exact: list[FirstSteps], worker: TrainingWorker, precision: Precision
) -> list[FirstSteps]:
    if exact and precision == "float64":
        return exact
    return [*exact, worker.first_steps(precision, _TIMED_STEPS)]
