"""Cost of training through the harness relative to a hand-written loop of the same framework and mode.

Both are processes in the same environment, with the same data, weights and batches. They alternate (ABBA)
in blocks of ``--steps``; one is stopped while the other runs. The unit of inference is the pair of fresh
processes, because the steps of a process are correlated. The hand-written loop calls ``model.fit`` once per
block and the harness once every two seconds, so give Keras whole epochs (703 steps of CIFAR-10). Both
finish the rest of an epoch before a block; it is not counted. ``--cpu-time`` counts the CPU seconds of a
process, for a machine that other programs use. Run it by hand.
"""

import math
import os
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import psutil
from common import parser
from hand_written.side import TASKS
from scipy.stats import trim_mean

from harness.core.machine.description import default_threads
from harness.core.machine.worker_variables import worker_variables
from harness.core.plugins import registry
from harness.core.plugins.selection import select_backend
from harness.core.training.batches import BatchOrder, block_steps
from harness.core.worker import protocol
from harness.core.worker.session import Conversation, Session
from harness.spec.backend import Plan

PROGRAM = Path(__file__).parent / "hand_written" / "side.py"
#: Keras's own Adam places epsilon differently, and float32 trainings diverge after some steps.
SAME_LOSS = 0.01
#: Share of the turns that is trimmed at each end: an interruption affects a single block.
TRIMMED_SHARE = 0.2


class HarnessLoop:
    """Trains through a worker, in the blocks of ``harness run``."""

    def __init__(
        self, backend: str, mode: str, task_name: str, dataset: str, threads: int, variables: dict[str, str]
    ) -> None:
        definition = registry.task(task_name)
        task = definition.define(definition.options())
        plan = Plan(task=task, mode=mode, device="cpu", threads=threads, seed=0)
        self.session = Session(variables)
        built = Conversation(self.session, backend, threads).build(plan, dataset)
        self.order = BatchOrder.of_task(task, built.samples["train"], 0)
        self.step = 0
        self._total = self.order.steps_per_epoch * task.epochs
        self._step_seconds = 0.0

    @property
    def pid(self) -> int:
        """The worker's process id."""
        return self.session.process.pid

    def resume(self) -> None:
        """Let the process run."""
        self.session.resume()

    def pause(self) -> None:
        """Stop the process until :meth:`resume`."""
        self.session.pause()

    def train(self, count: int) -> tuple[float, float]:
        """Seconds and mean loss of ``count`` steps."""
        until = self.step + count
        total = 0.0
        losses: list[float] = []
        while self.step < until:
            first = self.step == 0
            longest = block_steps(self.order, self.step, self._step_seconds, self._total)
            steps = min(longest, until - self.step)
            self.step += steps
            trained = self.session.call(protocol.Train(steps), protocol.Trained)
            self._step_seconds = 0.0 if first else trained.seconds / steps
            total += trained.seconds
            losses += [losses_of_step[-1] for losses_of_step in trained.losses]
        return total, statistics.fmean(losses)

    def rest_before(self, count: int) -> list[int]:
        """The rest of the epoch if ``count`` steps do not fit into it: calls with one batch size each."""
        rest: list[int] = []
        step = self.step
        while self.order.run_length(step) < count:
            rest.append(self.order.run_length(step))
            step += rest[-1]
        return rest


class HandWrittenLoop:
    """The hand-written loop, in a process that makes the same steps."""

    def __init__(self, *arguments: str, variables: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), *arguments],
            env={**os.environ, **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise SystemExit("the hand-written loop did not start")
        self.pid = self.process.pid
        self.step = 0

    def resume(self) -> None:
        """Let the process run."""
        self.process.send_signal(signal.SIGCONT)

    def pause(self) -> None:
        """Stop the process until :meth:`resume`."""
        self.process.send_signal(signal.SIGSTOP)

    def train(self, count: int) -> tuple[float, float]:
        """Seconds and mean loss of ``count`` steps."""
        self.process.stdin.write(f"{self.step} {count}\n")
        self.process.stdin.flush()
        self.step += count
        seconds, loss = map(float, self.process.stdout.readline().split())
        return seconds, loss


def block(
    loop: HarnessLoop | HandWrittenLoop, rest: list[int], count: int, *, cpu_time: bool
) -> tuple[float, float]:
    """Seconds and mean loss of ``count`` steps; those of ``rest`` come first and are not counted."""
    loop.resume()
    for steps in rest:
        loop.train(steps)
    before = cpu_seconds(loop.pid)
    seconds, loss = loop.train(count)
    after = cpu_seconds(loop.pid)
    loop.pause()
    return after - before if cpu_time else seconds, loss


def cpu_seconds(pid: int) -> float:
    """Time that the threads of a process have spent on CPUs."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def pair_log_ratio(
    backend: str, mode: str, task: str, dataset: str, steps: int | None, turns: int, *, cpu_time: bool
) -> tuple[float, float]:
    """Log ratio harness / hand of one fresh pair, and the hand-written step in seconds."""
    threads = default_threads()
    variables = worker_variables(threads, "cpu", os.environ)
    ours = HarnessLoop(backend, mode, task, dataset, threads, variables)
    hand = HandWrittenLoop(backend, mode, task, dataset, str(threads), variables=variables)
    with ours.session:
        steps = min(steps or ours.order.full_steps, ours.order.full_steps)
        ratios, hand_seconds = [], []
        for turn in range(turns + 1):
            rest = ours.rest_before(steps)
            loops = (ours, hand) if turn % 2 else (hand, ours)
            measured = {loop: block(loop, rest, steps, cpu_time=cpu_time) for loop in loops}
            if not turn:  # the first block warms both up and shows that they do the same work
                require_same_loss(measured[ours][1], measured[hand][1])
                continue
            ratios.append(math.log(measured[ours][0] / measured[hand][0]))
            hand_seconds.append(measured[hand][0] / steps)
        ours.session.resume()
    hand.process.kill()
    hand.process.wait()
    return float(trim_mean(ratios, TRIMMED_SHARE)), statistics.median(hand_seconds)


def require_same_loss(ours: float, hand: float) -> None:
    """Stop if the programs do not do the same work."""
    if abs(ours / hand - 1) > SAME_LOSS:
        raise SystemExit(f"not the same work: the harness's first block has mean loss {ours}, by hand {hand}")
    print(f"mean loss of the first block: harness {ours:.6f}, hand-written {hand:.6f}")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--backend", default="torch")
    options.add_argument("--task", default="cnn", choices=TASKS)
    options.add_argument("--dataset", help="default: the task's own")
    options.add_argument("--pairs", type=int, default=8)
    options.add_argument("--steps", type=int, help="steps per block; default: a whole epoch")
    options.add_argument("--turns", type=int, default=2, help="blocks of each loop in a pair")
    options.add_argument("--cpu-time", action="store_true", help="compare CPU time")
    arguments = options.parse_args()
    selection, definition = select_backend(arguments.backend), registry.task(arguments.task)
    backend, mode = selection.backend, selection.mode(definition.define(definition.options()))
    task, dataset = arguments.task, arguments.dataset or definition.datasets[0]
    logs = []
    for pair in range(1, arguments.pairs + 1):
        blocks = (arguments.steps, arguments.turns)
        log, step = pair_log_ratio(backend.name, mode, task, dataset, *blocks, cpu_time=arguments.cpu_time)
        logs.append(log)
        print(
            f"pair {pair}: harness / hand-written {math.exp(log):.4f}, hand-written step {step * 1e3:.2f} ms"
        )
    spread = statistics.stdev(logs) if len(logs) > 1 else math.nan
    print(
        f"{backend.name}:{mode}, {task} on {dataset}: ratio {math.exp(statistics.fmean(logs)):.4f} "
        f"(geometric mean of {len(logs)} pairs, {math.exp(min(logs)):.4f} to {math.exp(max(logs)):.4f}, "
        f"SD of the log ratio {spread:.4f})"
    )


if __name__ == "__main__":
    main()
