"""One pair: a fresh process of each workload, in alternating short blocks, one running at a time."""

import contextlib
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from harness.core.machine.calibration import Control
from harness.core.machine.cpus import cpus_of, on_their_cores, places_to_start
from harness.core.machine.usage import between, disturbed, read_counters
from harness.timing.engine.record import BlockRecord, PairRecord
from harness.timing.engine.steps.own import OwnStep, TimedStep
from harness.timing.engine.steps.process import Sample
from harness.timing.engine.timed_worker import TimedWorker
from harness.timing.engine.workloads import Workload, pad_to_equal_size

#: A process that takes longer than this from start to end is taken to hang.
PROCESS_LIMIT_SECONDS = 1800.0
#: The two kinds of program that alternate, and their processes.
Program = Workload | OwnStep
TimedProgram = TimedWorker | TimedStep


def trainings_of(programs: Sequence[Program]) -> list[Workload]:
    """Return the programs that train a task; of programs that are compared, all or none do."""
    return [program for program in programs if isinstance(program, Workload)]


def steps_of(programs: Sequence[Program]) -> list[OwnStep]:
    """Return the programs that are steps of the user's own."""
    return [program for program in programs if isinstance(program, OwnStep)]


#: From this number of blocks for each workload on, each workload's usual disturbance is its own.
_FEWEST_BLOCKS_OF_ITS_OWN = 5


class Alternation:
    """The workloads that alternate, and what stays the same from pair to pair.

    ``chance`` draws the order of workloads without a seed. ``returned`` are the values of steps in the last
    pair.
    """

    def __init__(
        self,
        workloads: Sequence[Program],
        dataset: str,
        *,
        quiet: bool = True,
        deadline_seconds: Callable[[], float] = lambda: PROCESS_LIMIT_SECONDS,
    ) -> None:
        """Make the alternation of ``workloads``; ``deadline_seconds()`` limits a process that starts now."""
        self.chance = random.SystemRandom()
        self.workloads = list(workloads)
        self.variables = [workload.worker_variables(quiet=quiet) for workload in workloads]
        if quiet:
            pythons = [workload.configuration.python for workload in workloads]
            self.variables = pad_to_equal_size(self.variables, pythons)
        self._dataset = dataset
        self._deadline_seconds = deadline_seconds
        self._control = Control()
        self._is_first = True
        self.returned: list[Mapping[int, Mapping[str, Sample]]] = []

    def worker(self, index: int, cpus: list[int] | None = None) -> TimedProgram:
        """Start a fresh process of a workload, not yet set up, on ``cpus`` or else on its own CPUs.

        The caller ends it.
        """
        workload, variables = self.workloads[index], self.variables[index]
        if isinstance(workload, OwnStep):
            return TimedStep(workload, variables, self._deadline_seconds(), cpus)
        return TimedWorker(workload, variables, self._deadline_seconds(), cpus)

    def pair(self, steps: Sequence[int], turns: int) -> PairRecord:
        """Run one pair of ``turns`` turns, each a block of ``steps[index]`` steps of every workload.

        The work of the processes of the first pair is verified.
        """
        start = time.monotonic()
        order = list(range(len(self.workloads)))
        self.chance.shuffle(order)
        with contextlib.ExitStack() as stack:
            workers = self.built(order, stack)
            for index, worker in workers.items():
                worker.session.resume()
                worker.make_first_step()
                worker.warm_up(steps[index])
                worker.session.pause()
            made = [
                self._block(workers, index, turn, steps[index])
                for turn in range(turns)
                for index in (order if turn % 2 == 0 else reversed(order))
            ]
            self.before_finish(workers)
            processes = [workers[index].finish(verify=self._is_first) for index in sorted(workers)]
        self._is_first = False
        seconds = time.monotonic() - start
        marked = mark_disturbed(made, [workload.configuration.threads for workload in self.workloads])
        side_by_side = len(order) > 1 and self._places(order) is not None
        self.returned = [each.returned for _, each in sorted(workers.items()) if isinstance(each, TimedStep)]
        return PairRecord(processes, marked, seconds, side_by_side)

    def before_finish(self, workers: Mapping[int, TimedProgram]) -> None:
        """Measure more in the processes of a pair, after its blocks: nothing here."""

    def built(self, order: list[int], stack: contextlib.ExitStack) -> dict[int, TimedProgram]:
        """Start a process of each workload that has imported and built and is stopped; ``stack`` ends it.

        This is the longest part of most pairs, and nearly all of it runs on one thread. If there is a CPU for
        each process, they start side by side. This slowed none of them down: two imports of PyTorch,
        TensorFlow or JAX at once take as long as one. Workloads of one thread, which share a CPU, move there
        when they have built; ``order`` decides which workload starts elsewhere.
        """
        workers: dict[int, TimedProgram] = {}
        places = self._places(order)
        for group in [order] if places else [[index] for index in order]:
            for number, index in enumerate(group):
                workers[index] = self.worker(index, places[number] if places else None)
                stack.callback(workers[index].end)
                workers[index].begin(self._dataset)
            for number, index in enumerate(group):
                workers[index].await_build()
                workers[index].session.pause()
                if places and places[number] != (home := cpus_of(self.variables[index])):
                    workers[index].session.process.move_to(home)
        return workers

    def _places(self, order: list[int]) -> list[list[int]] | None:
        """Return the CPUs on which the workloads can start side by side; None if they cannot."""
        return places_to_start([self.variables[index] for index in order])

    def _block(self, workers: Mapping[int, TimedProgram], index: int, turn: int, steps: int) -> BlockRecord:
        worker = workers[index]
        pids = [other.session.process.pid for other in workers.values()]
        # Load on cores of which the worker may use no part does not matter.
        cpus = on_their_cores(cpus_of(self.variables[index]))
        control = self._control.seconds()
        worker.session.resume()
        before = read_counters(pids, cpus)
        seconds = worker.block(steps)
        others_seconds = between(before, read_counters(pids, cpus))
        worker.read_state()
        worker.session.pause()
        return BlockRecord(
            index,
            turn,
            steps,
            seconds,
            control,
            others_seconds,
            disturbed=False,
        )


def mark_disturbed(blocks: list[BlockRecord], threads: list[int]) -> list[BlockRecord]:
    """Mark the blocks into which a burst of other work fell as disturbed; their order stays.

    ``threads[index]`` are those of a workload. The usual disturbance is determined for each workload alone;
    with few turns, where a burst may meet most blocks of a workload, for all workloads with as many threads
    together.
    """
    marked = list(blocks)
    few = len(blocks) < _FEWEST_BLOCKS_OF_ITS_OWN * len(threads)
    groups = [{index for index, own in enumerate(threads) if own == count} for count in set(threads)]
    for group in groups if few else [{index} for index in range(len(threads))]:
        places = [place for place, block in enumerate(blocks) if block.configuration in group]
        others = [blocks[place].others_seconds for place in places]
        seconds = [blocks[place].seconds for place in places]
        marks = disturbed(others, seconds, threads[min(group)])
        for place, mark in zip(places, marks, strict=True):
            marked[place] = msgspec.structs.replace(blocks[place], disturbed=mark)
    return marked


#: As many of the latest pairs are taken: the machine's load changes.
_LATEST = 3


class PairTime:
    """The predicted ``seconds`` of the next pair; 0 before anything is known."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._made: list[float] = []

    def prepared(self, seconds: float) -> None:
        """Take the prediction of the trial."""
        self.seconds = seconds

    def made(self, pair: PairRecord) -> None:
        """Take the time of a pair into account.

        Recomputing is left out: only the first pair has it.
        """
        verified = sum(each.verification.seconds for each in pair.processes if each.verification is not None)
        self._made.append(pair.seconds - verified)
        self.seconds = statistics.median(self._made[-_LATEST:])
