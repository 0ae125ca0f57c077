"""Carries out the requests of the parent, one program at a time."""

import functools
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from pkgutil import resolve_name

import msgspec
import numpy as np

from harness.core.certify.certify import EXAMINATIONS
from harness.core.certify.observation import TrialPrograms, finite_losses
from harness.core.machine.encoding import encode
from harness.core.machine.quantities import QUANTITIES
from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.installation import PLUGIN, installation
from harness.core.plugins.options import parse_options
from harness.core.plugins.programs import CheckedProgram, build, checked_environment, data_changed
from harness.core.plugins.seal import DataSeal
from harness.core.plugins.selection import parse_backend
from harness.core.reference.training import NUMPY, NumpyBackend
from harness.core.training.batches import BatchOrder
from harness.core.training.draws import normal
from harness.core.training.federated import FederatedProgram, clients_of
from harness.core.training.fitted import fitted
from harness.core.training.initial import initial_weights, own_initial
from harness.core.training.own_augmentation import OwnAugmentation
from harness.core.training.program_scores import Scorer, current_weights
from harness.core.training.scoring import packed
from harness.core.training.splits import Canaries, split_samples, with_canaries, with_class_weights
from harness.core.training.weights import decoded, encoded
from harness.core.worker import protocol, saved_state
from harness.spec.backend import Backend, Plan, Program, Steps, Unsupported
from harness.spec.data import Samples, Split
from harness.spec.task import Adversarial

_MEASURED = {quantity.name: quantity.read for quantity in QUANTITIES}
#: Batches of which predictions are timed.
_PREDICTED_BATCHES = 8


class Worker:
    """The state of a worker: its backend, its program and the weights that it was asked to keep.

    Operations of features (:class:`harness.core.worker.protocol.Operate`) use the public attributes.
    """

    program: Program
    plan: Plan
    splits: dict[Split, Samples]
    """The samples of the data set, in the precision of the plan."""
    classes: tuple[str, ...]
    """The names of the classes of the data set; empty without any."""
    canaries: Canaries | None
    """The canaries of an audited training with DP-SGD, those left out of the training among them."""
    scorer: Scorer
    kept_weights: dict[str, np.ndarray]
    """The weights that the parent last had the worker keep, as :meth:`Program.load` takes them."""

    def __init__(self) -> None:
        self._backend: Backend
        self.canaries, self.classes, self.kept_weights = None, (), {}
        self._order: BatchOrder
        self._augmentation: OwnAugmentation
        self._seal = DataSeal({})
        self._next_step = 0

    def carry_out(self, request: protocol.Request) -> protocol.Reply:
        """Carry out a request and return the reply."""
        return self._carry_out(request) or protocol.Done()

    @functools.singledispatchmethod
    def _carry_out(self, request: object) -> protocol.Reply | None:
        """Carry out a kind of request by one of the methods below; None stands for ``Done``."""
        raise TypeError(f"unknown request: {request!r}")

    @_carry_out.register
    def _(self, request: protocol.Describe) -> protocol.Described:
        self._backend = NumpyBackend() if request.backend == NUMPY else registry.backend(request.backend)
        for variable in self._backend.compilation_caches:
            os.environ[variable] = tempfile.mkdtemp(
                prefix="compilations-"
            )  # deleted with the worker's TMPDIR
        start = time.perf_counter()
        reported = self._backend.environment(request.threads)
        seconds = time.perf_counter() - start
        environment = checked_environment(reported, request.backend)
        if request.backend != NUMPY and (plugin := registry.backend_distribution(request.backend)):
            environment[PLUGIN] = plugin
        return protocol.Described(protocol.VERSION, environment, seconds)

    @_carry_out.register
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

    @_carry_out.register
    def _(self, request: protocol.Examine) -> protocol.Examined:
        programs = TrialPrograms(
            self._backend, request.mode, request.threads, request.device, request.precision
        )
        observed = EXAMINATIONS[request.what].observe(programs, request.case)
        return protocol.Examined(msgspec.Raw(msgspec.json.encode(observed)))

    @_carry_out.register
    def _(self, request: protocol.Build) -> protocol.Built:
        plan = request.plan
        start = time.perf_counter()
        task = plan.task
        dataset = fitted(registry.dataset(request.dataset).load(), task)
        splits = split_samples(
            dataset, plan.precision, task.imbalance, task.train_fraction, tokens=task.takes_tokens()
        )
        splits["train"], self.canaries = with_canaries(splits["train"], task, plan.seed)
        self.splits, train = splits, splits["train"]
        self._refuse_unsupported(request)
        plan = with_class_weights(plan, train, len(dataset.classes))
        self.classes = dataset.classes
        self.scorer = Scorer(plan.task, splits, plan.seed, dataset.classes, dataset.series)
        self._order = BatchOrder.of_task(plan.task, len(train), plan.seed)
        self._augmentation = OwnAugmentation(plan.task, train.inputs, plan.seed)
        self._seal = DataSeal(splits)
        data_ready = time.perf_counter()
        build_seconds = self._build(plan)
        return protocol.Built(
            device=self.program.device,
            dataset_fingerprint=dataset.fingerprint,
            dataset_origin=dataset.origin,
            samples={split: len(samples) for split, samples in self.splits.items()},
            data_seconds=data_ready - start,
            build_seconds=build_seconds,
        )

    def _build(self, plan: Plan) -> float:
        """Build the program of a plan with its initial weights; return the seconds that this took."""
        self.plan, self._next_step = plan, 0
        start = time.perf_counter()
        built = build(self._backend, plan, self.splits["train"])
        build_seconds = time.perf_counter() - start
        self.program = CheckedProgram(built, self._backend.name, plan)
        if plan.task.federated is not None:
            owners = clients_of(plan.task.federated, self.splits["train"].targets, plan.seed)
            self.program = FederatedProgram(self.program, plan.task, owners)
        start = time.perf_counter()
        made = current_weights(self.program) if (own := own_initial(plan.task)) else {}
        made = {name: array for name, array in made.items() if name in own}
        self.program.load(initial_weights(plan.task, plan.seed, made))
        self.program.synchronize()
        return build_seconds + time.perf_counter() - start

    @_carry_out.register
    def _(self, _request: protocol.Rebuild) -> None:
        del self.program  # the device may not have room for both
        self._build(self.plan)

    @_carry_out.register
    def _(self, request: protocol.SaveState) -> protocol.StateSaved:
        return protocol.StateSaved(saved_state.save(self.program, request.path))

    @_carry_out.register
    def _(self, request: protocol.Replay) -> protocol.Trained:
        if request.path is not None:
            saved_state.restore(self.program, request.path, with_state=request.complete)
        self._next_step = request.step
        blocks = [self._train(steps) for steps in request.calls]
        losses = [row for block in blocks for row in block.losses]
        return protocol.Trained(sum(block.seconds for block in blocks), losses)

    def predictor(self, batch_size: int) -> Callable[[], np.ndarray]:
        """Return a function that predicts the next batch of test inputs at each call, in a cycle.

        The inputs of a generator are latents.
        """
        task = self.plan.task
        network = "generator" if isinstance(task.objective, Adversarial) else "model"
        predict, inputs = self.program.predictor(network), self.splits["test"].inputs
        if isinstance(task.objective, Adversarial):
            shape = (batch_size * _PREDICTED_BATCHES, task.objective.latent_size)
            inputs = normal(shape, self.plan.seed, "predicted").astype(inputs.dtype)
        rows = np.arange(batch_size * _PREDICTED_BATCHES).reshape(_PREDICTED_BATCHES, -1)
        batches = itertools.cycle([np.take(inputs, each, axis=0, mode="wrap") for each in rows])
        return lambda: predict(next(batches))

    def _require_unchanged_data(self) -> None:
        """Raise :class:`ContractBroken` if the data of any split were changed since the build."""
        if part := self._seal.changed():
            raise data_changed(self._backend.name, part)

    def _refuse_unsupported(self, request: protocol.Build) -> None:
        mode, batch_size = request.plan.mode, request.plan.task.batch_size or 1
        if mode not in self._backend.modes:
            raise Unsupported(f"backend {self._backend.name} has no mode {mode}")
        if empty := [split for split, samples in self.splits.items() if not len(samples)]:
            raise Unsupported(f"{request.dataset} has too few samples: none is left for {', '.join(empty)}")
        if batch_size > (samples := len(self.splits["train"])):
            raise Unsupported(
                f"batch size {batch_size} is larger than the {samples} training samples of {request.dataset}"
            )

    @_carry_out.register
    def _(self, _request: protocol.Ping) -> None:
        pass

    @_carry_out.register
    def _(self, request: protocol.Train) -> protocol.Trained:
        return self._train(request.steps)

    def _draw(self, count: int) -> Steps:
        steps = self._order.steps(self._next_step, count, self.splits["train"].inputs.dtype)
        return self._augmentation.added_to(steps, self._next_step)

    def _train(self, count: int) -> protocol.Trained:
        steps = self._draw(count)
        self.program.synchronize()
        start = time.perf_counter()
        returned = self.program.train(steps)
        self.program.synchronize()
        losses = np.array(returned, np.float64)  # a call ends when its losses are values
        seconds = time.perf_counter() - start
        self._next_step += count
        return protocol.Trained(seconds, finite_losses(losses))

    @_carry_out.register
    def _(self, request: protocol.Evaluate) -> protocol.Evaluated:
        start = time.perf_counter()
        scored = {split: self.scorer.scores(self.program, split, request.samples) for split in request.splits}
        png = self.scorer.samples_png if "test" in request.splits else None
        seconds = time.perf_counter() - start
        drawn = self.scorer.drawn(self.program) if request.drawn else None
        scores = {split: of_split.scores for split, of_split in scored.items()}
        if "train" in scores and isinstance(self.program, FederatedProgram):
            scores["train"]["client_drift"] = self.program.drift
        samples = packed(scored["test"].rows) if "test" in scored else None
        return protocol.Evaluated(scores, seconds, png, drawn, samples)

    @_carry_out.register
    def _(self, _request: protocol.KeepWeights) -> None:
        self.kept_weights = current_weights(self.program)

    @_carry_out.register
    def _(self, request: protocol.SaveWeights) -> None:
        weights = self.kept_weights if request.kept else current_weights(self.program)
        exact = np.float64 if self.plan.precision == "float64" else np.float32
        arrays = {name: array.astype(exact) for name, array in weights.items()}
        Path(request.path).write_bytes(encoded(arrays, request.description))

    @_carry_out.register
    def _(self, request: protocol.LoadWeights) -> None:
        arrays = decoded(Path(request.path).read_bytes()).arrays
        self.program.load({name: array.astype(np.float64) for name, array in arrays.items()})
        self.program.synchronize()

    @_carry_out.register
    def _(self, request: protocol.Operate) -> protocol.Operated:
        result = resolve_name(request.function)(self, request.arguments)
        return protocol.Operated(msgspec.Raw(encode(result)))

    @_carry_out.register
    def _(self, _request: protocol.RestoreWeights) -> None:
        self.program.load(self.kept_weights)

    @_carry_out.register
    def _(self, _request: protocol.Measure) -> protocol.Measured:
        self._require_unchanged_data()
        values = {name: measure(self.program) for name, measure in _MEASURED.items()}
        return protocol.Measured({name: value for name, value in values.items() if value is not None})
