"""Carries out the requests of the parent, one program at a time."""

import dataclasses
import functools
import time

import msgspec
import numpy as np

from harness.machine.peak_memory import peak_memory_bytes
from harness.plugins import registry
from harness.plugins.building import build
from harness.plugins.data_seal import DataSeal
from harness.plugins.definition import define_task
from harness.plugins.installation import installation
from harness.plugins.options import parse_options
from harness.plugins.program_contract import CheckedProgram, checked_environment, data_changed
from harness.plugins.selection import parse_backend
from harness.plugins.versions import PLUGIN
from harness.spec.backend import Backend, Plan, Program, Unsupported
from harness.spec.data import Samples, Split
from harness.testing.cases import SEED
from harness.testing.losses import Losses
from harness.testing.numpy_backend import NUMPY, NumpyBackend
from harness.testing.observation import finite_losses
from harness.testing.trial_programs import TrialPrograms
from harness.testing.weights_checksum import weights_checksum
from harness.training.batches import BatchOrder
from harness.training.data_contract import fitted
from harness.training.initial import initial_weights
from harness.training.program_scores import Scorer, current_weights
from harness.training.splits import split_samples, with_class_weights
from harness.worker import protocol, saved_state
from harness.worker.examinations import Examination, examine


class Worker:
    """The state of a worker: its backend, its program and the weights that it was asked to keep."""

    def __init__(self) -> None:
        self._backend: Backend
        self._program: Program
        self._plan: Plan
        self._splits: dict[Split, Samples]
        self._scorer: Scorer
        self._order: BatchOrder
        self._seal = DataSeal({})
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
        selection = parse_backend(request.backend)
        name = selection.backend.name
        state, detail = installation(name)
        definition = registry.task(request.task)
        options = parse_options(definition, request.assignments)
        task = define_task(definition, options)
        return protocol.Defined(
            task,
            msgspec.structs.asdict(options),
            selection.mode(task),
            "" if state == "installed" else f"backend {name} is {state}: {detail}",
        )

    @carry_out.register
    def _(self, request: Examination) -> protocol.Reply:
        return examine(request, self._backend)

    @carry_out.register
    def _(self, request: protocol.Build) -> protocol.Built:
        plan = request.plan
        start = time.perf_counter()
        task = plan.task
        dataset = fitted(registry.dataset(request.dataset).load(), task)
        splits = split_samples(
            dataset, plan.precision, task.imbalance, task.train_fraction, tokens=task.takes_tokens()
        )
        self._splits, train = splits, splits["train"]
        self._refuse_unsupported(request)
        plan = with_class_weights(plan, train, len(dataset.classes))
        self._scorer = Scorer(plan.task, splits, plan.seed, dataset.classes, dataset.series)
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
        built = build(self._backend, plan, self._splits["train"])
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
        self._next_step, self._splits = 0, {"train": data}
        self._seal = DataSeal({})
        self._order = BatchOrder.of_task(request.case.task, len(data), SEED)
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
        scores = {
            split: self._scorer.scores(self._program, split, request.samples) for split in request.splits
        }
        png = self._scorer.samples_png if "test" in request.splits else None
        seconds = time.perf_counter() - start
        if verified:
            self._require_unchanged("predict()", *request.splits)
        drawn = self._scorer.drawn(self._program) if request.drawn else None
        return protocol.Evaluated(scores, seconds, png, drawn)

    @carry_out.register
    def _(self, _request: protocol.KeepWeights) -> protocol.Done:
        self._kept = current_weights(self._program)
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
        return protocol.Memory(peak_memory_bytes(), self._program.device_peak_memory_bytes())
