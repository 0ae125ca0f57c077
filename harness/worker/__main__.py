"""One process, one program: carries out requests from a pipe of its own until the pipe closes.

Standard output and error belong to the framework; nothing it prints can disturb the protocol.
Run as ``python -P -m harness.worker REQUEST_FD REPLY_FD``.
"""

import ctypes
import functools
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import NoReturn

import msgspec
import numpy as np

from harness.errors import unknown_name
from harness.plugins import registry
from harness.plugins.definition import define_task
from harness.plugins.faults import explain, memory_ran_out
from harness.plugins.installation import installation
from harness.plugins.options import parse_options
from harness.plugins.program_contract import CheckedProgram, checked_environment, read_only
from harness.plugins.versions import PLUGIN
from harness.spec.backend import Backend, Plan, Program, Unsupported
from harness.spec.data import Samples, Split
from harness.spec.task import Adversarial, Classification, Task
from harness.testing.observation import finite_losses, observe, observe_losses
from harness.training.batches import BatchOrder
from harness.training.data_contract import fitted
from harness.training.gan_quality import Judge
from harness.training.initial import initial_weights
from harness.training.sample_grid import sample_grid
from harness.training.scoring import generate, score
from harness.training.splits import balancing_weights, split_samples
from harness.worker import protocol


class Worker:
    """The program of this process and what it has been asked to remember."""

    def __init__(self) -> None:
        self._backend: Backend
        self._program: Program
        self._task: Task
        self._splits: dict[Split, Samples]
        self._order: BatchOrder
        self._judge: Judge | None = None
        self._next_step = 0
        self._kept: dict[str, np.ndarray] = {}

    @functools.singledispatchmethod
    def carry_out(self, request: object) -> protocol.Reply:
        """The reply to one request; each kind has a method below."""
        raise TypeError(f"no such request: {request!r}")

    @carry_out.register
    def _(self, request: protocol.Describe) -> protocol.Described:
        self._backend = registry.backend(request.backend)
        start = time.perf_counter()
        reported = self._backend.environment(request.threads)
        seconds = time.perf_counter() - start
        environment = checked_environment(reported, request.backend)
        if plugin := registry.backend_distribution(request.backend):
            environment[PLUGIN] = plugin
        return protocol.Described(protocol.VERSION, environment, seconds)

    @carry_out.register
    def _(self, request: protocol.Define) -> protocol.Defined:
        name, _, mode = request.backend.partition(":")
        backend = registry.backend(name)
        if mode and mode not in backend.modes:
            raise unknown_name(f"mode of backend {name}", mode, backend.modes)
        state, detail = installation(name)
        definition = registry.task(request.task)
        options = parse_options(definition, request.assignments)
        return protocol.Defined(
            define_task(definition, options),
            msgspec.structs.asdict(options),
            mode or backend.modes[0],
            "" if state == "installed" else f"backend {name} is {state}: {detail}",
        )

    @carry_out.register
    def _(self, request: protocol.Observe) -> protocol.Observed:
        observation = observe(self._backend, request.mode, request.device, request.threads, request.case)
        return protocol.Observed(observation)

    @carry_out.register
    def _(self, request: protocol.ObserveLosses) -> protocol.ObservedLosses:
        losses = observe_losses(
            self._backend, request.mode, request.device, request.threads, request.case, request.precision
        )
        return protocol.ObservedLosses(losses)

    @carry_out.register
    def _(self, request: protocol.Build) -> protocol.Built:
        plan = request.plan
        start = time.perf_counter()
        task = plan.task
        dataset = fitted(registry.dataset(request.dataset).load(), task)
        splits = split_samples(dataset, plan.precision, task.imbalance, task.train_fraction)
        self._splits = {split: read_only(samples) for split, samples in splits.items()}
        train = self._splits["train"]
        if plan.mode not in self._backend.modes:
            raise Unsupported(f"backend {self._backend.name} has no mode {plan.mode}")
        if empty := [split for split, samples in self._splits.items() if not len(samples)]:
            raise Unsupported(
                f"{request.dataset} has too few samples: nothing is left for {', '.join(empty)}"
            )
        if (plan.task.batch_size or 1) > len(train):
            raise Unsupported(
                f"batch size {plan.task.batch_size} is larger than the {len(train)} training samples "
                f"of {request.dataset}"
            )
        plan = _with_class_weights(plan, train, len(dataset.classes))
        self._task, self._next_step, self._judge = plan.task, 0, None
        self._order = BatchOrder.of_task(plan.task, len(train), plan.seed)
        data_ready = time.perf_counter()
        built = self._backend.build(plan, train)
        self._program = CheckedProgram(built, self._backend.name, plan)
        self._program.load(initial_weights(plan.task, plan.seed))
        self._program.synchronize()
        return protocol.Built(
            device=self._program.device,
            dataset_fingerprint=dataset.fingerprint,
            dataset_origin=dataset.origin,
            samples={split: len(samples) for split, samples in self._splits.items()},
            data_seconds=data_ready - start,
            build_seconds=time.perf_counter() - data_ready,
        )

    @carry_out.register
    def _(self, request: protocol.Train) -> protocol.Trained:
        steps = self._order.steps(self._next_step, request.steps, self._splits["train"].inputs.dtype)
        self._program.synchronize()
        start = time.perf_counter()
        losses = self._program.train(steps)
        self._program.synchronize()
        seconds = time.perf_counter() - start
        self._next_step += request.steps
        return protocol.Trained(seconds, finite_losses(losses))

    @carry_out.register
    def _(self, request: protocol.Evaluate) -> protocol.Evaluated:
        start = time.perf_counter()
        predict = self._program.predict
        scores = {split: score(self._task, predict, self._splits[split]) for split in request.splits}
        png = None
        if isinstance(self._task.objective, Adversarial):
            self._judge = self._judge or Judge(self._splits["train"])
            for split in request.splits:
                real = self._splits[split]
                fakes = generate(self._task.objective, predict, real)
                judged = self._judge.verdict if split == "test" else self._judge.distance
                scores[split] |= judged(real.inputs, fakes)
                if split == "test":
                    png = sample_grid(fakes)
                    scores[split] |= self._judge.baselines(real.inputs, self._untrained(real))
        return protocol.Evaluated(scores, time.perf_counter() - start, png)

    def _weights(self) -> dict[str, np.ndarray]:
        """The weights now, as a program's ``load`` is promised them: float64, of their own memory."""
        return {
            name: np.array(value, np.float64, order="C") for name, value in self._program.weights().items()
        }

    def _untrained(self, real: Samples) -> np.ndarray:
        """What the generator makes with its initial weights."""
        assert isinstance(self._task.objective, Adversarial)  # noqa: S101  others have no generator
        trained = self._weights()
        self._program.load(initial_weights(self._task, self._order.seed))
        fakes = generate(self._task.objective, self._program.predict, real)
        self._program.load(trained)
        return fakes

    @carry_out.register
    def _(self, _request: protocol.KeepWeights) -> protocol.Done:
        self._kept = self._weights()
        return protocol.Done()

    @carry_out.register
    def _(self, _request: protocol.RestoreWeights) -> protocol.Done:
        self._program.load(self._kept)
        return protocol.Done()

    @carry_out.register
    def _(self, _request: protocol.MeasureMemory) -> protocol.Memory:
        return protocol.Memory(_peak_memory_bytes(), self._program.device_peak_memory_bytes())


def _with_class_weights(plan: Plan, train: Samples, classes: int) -> Plan:
    """The plan with the weights that ``rebalance=weights`` asks for, which follow from the training data."""
    task = plan.task
    if task.imbalance is None or task.imbalance.rebalance != "weights":
        return plan
    weights = balancing_weights(train.targets, classes)
    (outputs,) = task.networks["model"].output_shape()
    unused = (1.0,) * (outputs - len(weights))  # a network may have more outputs than there are classes
    objective = Classification(weights + unused)
    return msgspec.structs.replace(plan, task=msgspec.structs.replace(task, objective=objective))


def _peak_memory_bytes() -> int:
    """The high-water mark of this process's resident memory.

    Linux's ``VmHWM`` comes first, because ``ru_maxrss`` there remembers the process that this one
    was forked from.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _die_with_parent() -> None:
    """Linux ends this process when the parent dies, however it dies; elsewhere the closed pipe does."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


def _reply(worker: Worker, line: bytes) -> bytes:
    """Encoded here, so that what a plugin gave and cannot be sent is a fault like any other."""
    fault: protocol.Reply
    try:
        return msgspec.json.encode(worker.carry_out(msgspec.json.decode(line, type=protocol.Request)))
    except Unsupported as error:
        fault = protocol.Fault(str(error), "", unsupported=True)
    except Exception as error:  # noqa: BLE001  whatever a plugin raises belongs in the record
        fault = protocol.Fault(explain(error), traceback.format_exc(), memory_ran_out=memory_ran_out(error))
    return msgspec.json.encode(fault)


def main() -> NoReturn:
    """Serve until the request pipe closes, then leave without waiting for a framework's threads."""
    _die_with_parent()
    registry.tried_apart = False  # this process is the one in which a plugin may do its worst
    worker, process = Worker(), os.getpid()
    for descriptor in sys.argv[1:3]:
        os.set_inheritable(int(descriptor), False)
    with os.fdopen(int(sys.argv[1]), "rb") as requests, os.fdopen(int(sys.argv[2]), "wb", 0) as replies:
        for line in requests:
            reply = _reply(worker, line)
            if os.getpid() != process:
                # A child that a plugin forked has come back here; only its parent may answer.
                os._exit(1)
            replies.write(reply + b"\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
