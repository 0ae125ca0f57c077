"""The first training steps of base and head, made to be compared.

Both make the same steps in float64, where rounding leaves about 1e-15 and any other formula shows, and
again in the precision that is timed; then they are scored. :mod:`harness.gate.quality` judges them.
"""

import contextlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from harness.duel.workloads import Workload
from harness.errors import Declined, MemoryRanOut, WorkerLost
from harness.gate.quality import judge_first_steps, task_change
from harness.gate.record import QualityResult
from harness.gate.training_worker import FirstSteps, TrainingWorker, training_worker
from harness.machine.cpus import places_to_start
from harness.spec.backend import Precision

_EXACT_STEPS = 20
#: Only the first few in the precision that is timed: later, rounding alone makes equal trainings differ.
_TIMED_STEPS = 3


def compare_first_steps(workloads: Sequence[Workload], dataset: str, limit_seconds: float) -> QualityResult:
    """Run the first steps of base and head (``workloads``), and judge them.

    See :func:`harness.gate.quality.judge_first_steps`.

    Raises:
        ConfigurationFailed: one of them failed.
    """
    base, head = workloads
    # Head first: what neither can do fails head, not base, which would leave nothing to compare with.
    order = [head, base]
    of_head, of_base = _side_by_side(order, dataset, limit_seconds) or [
        observe(workload, dataset, limit_seconds) for workload in order
    ]
    return judge_first_steps(of_base, of_head, task_change(base, head))


def observe(workload: Workload, dataset: str, limit_seconds: float) -> list[FirstSteps]:
    """The first steps in float64, if the backend offers it and memory suffices, and in the timed precision.

    Raises:
        ConfigurationFailed: the worker failed.
    """
    precision = workload.plan.precision
    exact = [FirstSteps("float64", [], {}, memory_ran_out=True)] if precision != "float64" else []
    with training_worker(workload, dataset, limit_seconds) as worker, contextlib.suppress(MemoryRanOut):
        exact = _exact_steps(worker)
        return _with_timed_steps(exact, worker, precision)
    # Memory that suffices for the timed precision need not suffice for float64, nor for both at once.
    with training_worker(workload, dataset, limit_seconds) as worker:
        return _with_timed_steps(exact, worker, precision)


def _side_by_side(
    workloads: Sequence[Workload], dataset: str, limit_seconds: float
) -> list[list[FirstSteps]] | None:
    """The first steps of both at the same time, which is sound because nothing is timed.

    None where that is not possible: it takes a CPU for each thread of both and memory for both, and one may
    have read data while the other was writing it.

    Raises:
        ConfigurationFailed: one of them failed; the first if several did.
    """
    places = places_to_start([workload.worker_variables(quiet=True) for workload in workloads])
    if places is None or len({cpu for place in places for cpu in place}) < sum(map(len, places)):
        return None
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(training_worker(workload, dataset, limit_seconds, cpus))
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
    """Whether a worker may have failed for lack of memory: it said so, or the kernel killed it."""
    return isinstance(error, MemoryRanOut) or (
        isinstance(error, WorkerLost) and error.signal_name == "SIGKILL"
    )


def _first_steps(worker: TrainingWorker, precision: Precision) -> list[FirstSteps]:
    with worker.blamed():
        return _with_timed_steps(_exact_steps(worker), worker, precision)


def _exact_steps(worker: TrainingWorker) -> list[FirstSteps]:
    """Those in float64; nothing if the backend does not offer it."""
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
