"""Carries out the requests of the parent, one program at a time."""

import dataclasses
import functools
import resource
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from harness.errors import unknown_name
from harness.plugins import registry
from harness.plugins.data_seal import DataSeal
from harness.plugins.definition import define_task
from harness.plugins.installation import installation
from harness.plugins.options import parse_options
from harness.plugins.program_contract import CheckedProgram, checked_environment, data_changed
from harness.plugins.versions import PLUGIN
from harness.spec.backend import Backend, Plan, Program, Unsupported
from harness.spec.data import Samples, Split
from harness.spec.task import Adversarial, Classification, Task
from harness.testing.cases import SEED
from harness.testing.dropout import dropout_tests
from harness.testing.long_calls import observe_calls
from harness.testing.losses import Losses
from harness.testing.numpy_backend import NUMPY, NumpyBackend
from harness.testing.observation import finite_losses, observe, observe_losses
from harness.testing.trial_programs import TrialPrograms
from harness.testing.weights_checksum import weights_checksum
from harness.training.batches import BatchOrder
from harness.training.data_contract import fitted
from harness.training.gan_quality import Judge
from harness.training.initial import initial_weights
from harness.training.sample_grid import sample_grid
from harness.training.scoring import generate, score
from harness.training.splits import at_most, balancing_weights, split_samples
from harness.worker import protocol, saved_state


class Worker:
    """The state of a worker: its backend, its program and the weights that it was asked to keep."""

    def __init__(self) -> None:
        self._backend: Backend
        self._program: Program
        self._plan: Plan
        self._task: Task
        self._splits: dict[Split, Samples]
        self._order: BatchOrder
        self._seal = DataSeal({})
        self._judge: Judge | None = None
        self._next_step = 0
        self._kept: dict[str, np.ndarray] = {}

    @functools.singledispatchmethod
    def carry_out(self, request: object) -> protocol.Reply:
        """Carry out a request and return the reply; each kind of request has a method below."""
        raise TypeError(f"unknown request: {request!r}")

    @carry_out.register
    def _(self, request: protocol.Describe) -> protocol.Described:
        self._backend = NumpyBackend() if request.backend == NUMPY else registry.backend(request.backend)
        start = time.perf_counter()
        reported = self._backend.environment(request.threads)
        seconds = time.perf_counter() - start
        environment = checked_environment(reported, request.backend)
        if request.backend != NUMPY and (plugin := registry.backend_distribution(request.backend)):
            environment[PLUGIN] = plugin
        return protocol.Described(protocol.VERSION, environment, seconds)

    @carry_out.register
    def _(self, request: protocol.Define) -> protocol.Defined:
        name, _, mode = request.backend.partition(":")
        backend = registry.backend(name)
        if mode and mode not in backend.modes:
            raise unknown_name("mode", mode, backend.modes, owner=f"backend {name}")
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
    def _(self, request: protocol.ObserveCalls) -> protocol.ObservedCalls:
        observation = observe_calls(
            self._backend, request.mode, request.device, request.threads, request.case
        )
        return protocol.ObservedCalls(observation)

    @carry_out.register
    def _(self, request: protocol.TestDropout) -> protocol.DropoutTested:
        programs = TrialPrograms(self._backend, request.mode, request.threads, request.device)
        return protocol.DropoutTested(dropout_tests(programs, request.case))

    @carry_out.register
    def _(self, request: protocol.Build) -> protocol.Built:
        plan = request.plan
        start = time.perf_counter()
        task = plan.task
        dataset = fitted(registry.dataset(request.dataset).load(), task)
        splits = split_samples(dataset, plan.precision, task.imbalance, task.train_fraction)
        self._splits, train = splits, splits["train"]
        self._refuse_unsupported(request)
        plan = _with_class_weights(plan, train, len(dataset.classes))
        self._task, self._judge = plan.task, None
        self._order = BatchOrder.of_task(plan.task, len(train), plan.seed)
        self._seal = DataSeal(splits)
        data_ready = time.perf_counter()
        build_seconds = self._build(plan)
        return protocol.Built(
            device=self._program.device,
            dataset_fingerprint=dataset.fingerprint,
            dataset_origin=dataset.origin,
            samples={split: len(samples) for split, samples in self._splits.items()},
            data_seconds=data_ready - start,
            build_seconds=build_seconds,
        )

    def _build(self, plan: Plan) -> float:
        """Build the program of a plan with its initial weights; returns the seconds that it took."""
        self._plan, self._next_step = plan, 0
        start = time.perf_counter()
        built = self._backend.build(plan, self._splits["train"])
        build_seconds = time.perf_counter() - start
        self._require_unchanged("build()")
        self._program = CheckedProgram(built, self._backend.name, plan)
        start = time.perf_counter()
        self._program.load(initial_weights(plan.task, plan.seed))
        self._program.synchronize()
        return build_seconds + time.perf_counter() - start

    @carry_out.register
    def _(self, _request: protocol.Rebuild) -> protocol.Done:
        del self._program  # the device may not have room for both
        self._build(self._plan)
        return protocol.Done()

    @carry_out.register
    def _(self, request: protocol.SaveState) -> protocol.StateSaved:
        return protocol.StateSaved(saved_state.save(self._program, request.path))

    @carry_out.register
    def _(self, request: protocol.Replay) -> protocol.Replayed:
        if request.path is not None:
            saved_state.restore(self._program, request.path, with_state=request.complete)
        self._next_step = request.step
        losses: Losses = []
        for steps in request.calls:
            losses += self._train(steps).losses
        return protocol.Replayed(losses)

    @carry_out.register
    def _(self, request: protocol.BuildCase) -> protocol.Done:
        trial = TrialPrograms(self._backend, request.mode, request.threads, request.device, request.precision)
        self._program, data = trial.build_on(request.case.task, request.samples)
        self._task, self._next_step, self._splits = request.case.task, 0, {"train": data}
        self._seal = DataSeal({})
        self._order = BatchOrder.of_task(self._task, len(data), SEED)
        return protocol.Done()

    def _require_unchanged(self, call: str, *splits: Split) -> None:
        """Raise :class:`ContractBroken`, naming the call, if these splits (default: all) were changed."""
        if part := self._seal.changed(*splits):
            raise data_changed(self._backend.name, call, part)

    def _refuse_unsupported(self, request: protocol.Build) -> None:
        mode, batch_size = request.plan.mode, request.plan.task.batch_size or 1
        if mode not in self._backend.modes:
            raise Unsupported(f"backend {self._backend.name} has no mode {mode}")
        if empty := [split for split, samples in self._splits.items() if not len(samples)]:
            raise Unsupported(f"{request.dataset} has too few samples: none is left for {', '.join(empty)}")
        if batch_size > (samples := len(self._splits["train"])):
            raise Unsupported(
                f"batch size {batch_size} is larger than the {samples} training samples of {request.dataset}"
            )

    @carry_out.register
    def _(self, request: protocol.Train) -> protocol.Trained:
        return self._train(request.steps)

    @carry_out.register
    def _(self, request: protocol.Shuffle) -> protocol.Done:
        self._order = dataclasses.replace(self._order, seed=request.seed)
        return protocol.Done()

    def _train(self, count: int) -> protocol.Trained:
        steps = self._order.steps(self._next_step, count, self._splits["train"].inputs.dtype)
        self._program.synchronize()
        start = time.perf_counter()
        losses = self._program.train(steps)
        self._program.synchronize()
        seconds = time.perf_counter() - start
        self._next_step += count
        return protocol.Trained(seconds, finite_losses(losses))

    @carry_out.register
    def _(self, request: protocol.Evaluate) -> protocol.Evaluated:
        # Where the system protects the data, it is read again only at the end.
        verified = "test" in request.splits or not self._seal.is_protected
        if verified:
            self._require_unchanged("train()")
        start = time.perf_counter()
        predict = self._program.predict
        samples = {split: at_most(self._splits[split], request.samples) for split in request.splits}
        scores = {split: score(self._task, predict, samples[split]) for split in request.splits}
        png = None
        if isinstance(self._task.objective, Adversarial):
            self._judge = self._judge or Judge(self._splits["train"])
            for split, real in samples.items():
                fakes = generate(self._task.objective, predict, real)
                judged = self._judge.verdict if split == "test" else self._judge.distance
                scores[split] |= judged(real.inputs, fakes)
                if split == "test":
                    png = sample_grid(fakes)
                    scores[split] |= self._judge.baselines(real.inputs, self._untrained(real))
        seconds = time.perf_counter() - start
        if verified:
            self._require_unchanged("predict()", *request.splits)
        return protocol.Evaluated(scores, seconds, png)

    def _weights(self) -> dict[str, np.ndarray]:
        """The current weights as :meth:`Program.load` takes them: float64, in memory of their own."""
        return {
            name: np.array(value, np.float64, order="C") for name, value in self._program.weights().items()
        }

    def _untrained(self, real: Samples) -> np.ndarray:
        """Pictures that the generator makes with its initial weights."""
        assert isinstance(self._task.objective, Adversarial)  # noqa: S101  other tasks have no generator
        trained = self._weights()
        self._program.load(initial_weights(self._task, self._plan.seed))
        fakes = generate(self._task.objective, self._program.predict, real)
        self._program.load(trained)
        return fakes

    @carry_out.register
    def _(self, _request: protocol.KeepWeights) -> protocol.Done:
        self._kept = self._weights()
        return protocol.Done()

    @carry_out.register
    def _(self, _request: protocol.ReadWeights) -> protocol.WeightsRead:
        return protocol.WeightsRead(weights_checksum(self._program.weights()))

    @carry_out.register
    def _(self, _request: protocol.RestoreWeights) -> protocol.Done:
        self._program.load(self._kept)
        return protocol.Done()

    @carry_out.register
    def _(self, _request: protocol.MeasureMemory) -> protocol.Memory:
        self._require_unchanged("train()")
        return protocol.Memory(_peak_memory_bytes(), self._program.device_peak_memory_bytes())


def _with_class_weights(plan: Plan, train: Samples, classes: int) -> Plan:
    """The plan with the class weights of ``rebalance=weights``, which follow from the training data."""
    task = plan.task
    if task.imbalance is None or task.imbalance.rebalance != "weights":
        return plan
    weights = balancing_weights(train.targets, classes)
    (outputs,) = task.networks["model"].output_shape()
    unused = (1.0,) * (outputs - len(weights))  # a network may have more outputs than the data has classes
    objective = Classification(weights + unused)
    return msgspec.structs.replace(plan, task=msgspec.structs.replace(task, objective=objective))


def _peak_memory_bytes() -> int:
    """The peak of this process's resident memory.

    On Linux it is ``VmHWM``, because ``ru_maxrss`` there includes the process that this one was forked from.
    """
    try:
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
