"""Training in plain NumPy with a backward pass by hand: the contract of :mod:`harness.spec` in code.

It shares no code with any backend or framework, so it can say whether their work is right. It is slow, and
covers all tasks without dropout and without models of users.
"""

import dataclasses
import math
from collections.abc import Mapping

import msgspec
import numpy as np

from harness.core.reference.layers import forward_all, is_covered
from harness.core.reference.losses import loss_and_gradient
from harness.core.reference.optimizers import entry_of
from harness.core.reference.passes import Array, Backward, Gradients, Pass
from harness.layers import AnyLayer, Dropout, Embedding, Native, SelfAttention
from harness.spec.backend import Backend, Plan, Program, Steps, Unsupported
from harness.spec.data import Samples
from harness.spec.task import LOSSES, BinaryClassification, Task

#: Rows that are predicted at a time.
_PREDICTED = 500


class NumpyProgram(Program):
    """The harness's own program, by which the work of backends is verified; it is never timed.

    It computes in float64 whatever the precision of a plan, in which losses are compared.
    """

    device = "cpu"

    def __init__(self, task: Task, data: Samples) -> None:
        """Start with weights of zero. Raises Unsupported for a task that is not covered."""
        refuse_uncovered(task)
        self._task = task
        self._places = {name: network.placed() for name, network in task.networks.items()}
        self._inputs, self._targets = data.inputs, data.targets
        self._weights: dict[str, Array] = {}
        self.load({name: np.zeros(array.shape) for name, array in task.weights().items()})
        self._slots = {
            name: tuple(np.zeros(w.shape) for _ in task.optimizer.slots) for name, w in self._weights.items()
        }
        self._step = 0

    def load(self, weights: Mapping[str, Array]) -> None:
        """See :meth:`harness.spec.Program.load`; the optimizer's state stays as it is."""
        self._weights = {name: array.astype(np.float64) for name, array in weights.items()}

    def weights(self) -> dict[str, Array]:
        """See :meth:`harness.spec.Program.weights`."""
        return {name: array.copy() for name, array in self._weights.items()}

    def synchronize(self) -> None:
        """Do nothing: NumPy is synchronous."""

    @np.errstate(all="ignore")
    def train(self, steps: Steps) -> Array:
        """See :meth:`harness.spec.Program.train`."""
        if steps.noise_seeds is not None and steps.noise is None:
            steps = dataclasses.replace(steps, noise=self._noise(steps.noise_seeds))
        rates = steps.learning_rates
        if rates is None:
            rates = np.full(len(steps.indices), self._task.optimizer.learning_rate)
        losses: list[float | list[float]] = []
        for index, rows in enumerate(steps.indices):
            self._step += 1
            inputs = _augmented(
                self._inputs[rows].astype(np.float64), steps, index, self._task.augmentation.crop
            )
            if steps.latents is None:
                targets, rate = self._targets[rows], float(rates[index])
                if steps.included is None:
                    losses.append(self._supervised_step(inputs, targets, rate))
                else:
                    noise = {name: array[index] for name, array in (steps.noise or {}).items()}
                    own = steps.included[index]
                    losses.append(self._private_step(inputs[own], targets[own], noise, rate))
            else:
                latents = steps.latents[index].astype(np.float64)
                losses.append(self._adversarial_step(inputs, latents, float(rates[index])))
        return np.array(losses)

    def _noise(self, seeds: Array) -> dict[str, Array]:
        """Draw standard normal numbers for each parameter, a row a step, by the seeds of the steps."""
        streams = [np.random.default_rng(own) for own in seeds]
        return {
            name: np.stack([stream.standard_normal(array.shape) for stream in streams])
            for name, array in self._task.parameters().items()
        }

    @np.errstate(all="ignore")
    def predict(self, inputs: Array, network: str = "model") -> Array:
        """See :meth:`harness.spec.Program.predict`."""
        made = Pass(self._weights)
        parts = (inputs[at : at + _PREDICTED] for at in range(0, len(inputs), _PREDICTED))
        return np.concatenate([self._forward(network, part.astype(np.float64), made)[0] for part in parts])

    @np.errstate(all="ignore")
    def input_gradients(self, inputs: Array, targets: Array, network: str = "model") -> tuple[Array, Array]:
        """See :meth:`harness.spec.Program.input_gradients`; exact."""
        places = self._places[network]
        embedded = isinstance(places[0].layer, Embedding)
        made = Pass(self._weights)
        outputs, backward = forward_all(network, places[embedded:], inputs.astype(np.float64), made)
        rows, flat = np.arange(len(inputs)), outputs.reshape(len(inputs), -1)
        chosen = np.zeros_like(flat)
        chosen[rows, targets] = 1
        return backward(chosen.reshape(outputs.shape), {}), flat[rows, targets]

    def _supervised_step(self, inputs: Array, targets: Array, rate: float) -> float:
        loss, gradients, state = self._gradients(inputs, targets)
        loss += self._update(gradients, rate)
        self._weights |= state
        return loss

    def _private_step(self, inputs: Array, targets: Array, noise: Gradients, rate: float) -> float:
        """Make a step of DP-SGD, sample by sample; add ``noise`` if there is any."""
        task = self._task
        privacy, batch_size = task.privacy, task.batch_size
        assert privacy is not None and batch_size is not None  # noqa: S101, PT018  it has marked samples
        total = {name: np.zeros(array.shape) for name, array in task.parameters().items()}
        total_loss = 0.0
        for x, target in zip(inputs, targets, strict=True):
            loss, gradients, _ = self._gradients(x[None], target[None])
            total_loss += loss
            for name, gradient in _clipped(gradients, privacy.clip).items():
                total[name] += gradient
        for name in noise:
            total[name] += privacy.noise * privacy.clip * noise[name]
        divided = {name: g / batch_size for name, g in total.items()}
        return total_loss / batch_size + self._update(divided, rate)

    def _gradients(self, inputs: Array, targets: Array) -> tuple[float, Gradients, dict[str, Array]]:
        """Return the mean loss of samples without penalty, its gradients, and the next state of layers."""
        made, gradients = self._training_pass(), dict[str, Array]()
        outputs, backward = self._forward("model", inputs, made)
        loss, gradient = loss_and_gradient(self._task.objective, outputs, targets)
        backward(gradient, gradients)
        return loss, gradients, made.state

    def _adversarial_step(self, inputs: Array, latents: Array, rate: float) -> list[float]:
        """Update the discriminator, then the generator; return their losses."""
        fakes, to_generator = self._forward("generator", latents, self._training_pass())
        together = np.concatenate([inputs, fakes])
        logits, to_discriminator = self._forward("discriminator", together, self._training_pass())
        are_real = np.repeat([1, 0], [len(inputs), len(fakes)])
        loss, gradient = loss_and_gradient(BinaryClassification(), logits, are_real)
        gradients: Gradients = {}
        to_discriminator(gradient, gradients)
        discriminator_loss = loss + self._update(gradients, rate)

        logits, to_fakes = self._forward("discriminator", fakes, self._training_pass())
        loss, gradient = loss_and_gradient(BinaryClassification(), logits, np.ones(len(fakes), np.int64))
        gradients = {}
        to_generator(to_fakes(gradient, {}), gradients)
        return [discriminator_loss, loss + self._update(gradients, rate)]

    def _update(self, gradients: Gradients, rate: float) -> float:
        """Update the parameters of a network by the gradients of its loss; returns its penalty."""
        task, penalty, subtracted = self._task, 0.0, entry_of(self._task.optimizer).subtracted
        for name in gradients:
            if name.endswith("kernel"):
                w = self._weights[name]
                penalty += task.penalty.l1 * float(np.abs(w).sum()) + task.penalty.l2 * float((w**2).sum())
                gradients[name] = gradients[name] + task.penalty.l1 * np.sign(w) + 2 * task.penalty.l2 * w
        for name, g in _clipped(gradients, task.clip_norm).items():
            step = subtracted(task.optimizer, g, self._slots[name], self._step, rate)
            kept = 1 - rate * task.weight_decay if task.is_decayed(name) else 1.0
            self._weights[name] = kept * self._weights[name] - step
        return penalty

    def _training_pass(self) -> Pass:
        return Pass(self._weights, training=True)

    def _forward(self, network: str, x: Array, made: Pass) -> tuple[Array, Backward]:
        return forward_all(network, self._places[network], x, made)


def _clipped(gradients: Gradients, norm: float) -> Gradients:
    """Scale the gradients of a network so that their norm together is at most ``norm``; 0: leave them."""
    if not norm:
        return gradients
    length = math.sqrt(math.fsum(float((g**2).sum()) for g in gradients.values()))
    return {name: g * (norm / max(length, norm)) for name, g in gradients.items()}


def without_dropout(task: Task) -> Task:
    """Remove dropout from a task; every other layer keeps its name and weights."""
    return task.with_layers(_without_dropout)


def _without_dropout(layer: AnyLayer) -> AnyLayer | None:
    match layer:
        case Dropout():
            return None
        case SelfAttention():
            return msgspec.structs.replace(layer, dropout=0.0)
        case Native(dropout="active"):
            return msgspec.structs.replace(layer, dropout="off")
    return layer


def refuse_uncovered(task: Task) -> None:
    """Raise Unsupported for a task that this module cannot train."""
    for network in task.networks.values():
        for place in network.leaves():
            if not is_covered(place.layer):
                raise Unsupported(f"no {type(place.layer).__name__}")


def _augmented(pictures: Array, steps: Steps, index: int, crop: int) -> Array:
    """Return the images ``(n, height, width, channels)`` of a step, cropped and then flipped by its draws."""
    if steps.offsets is not None:
        _, height, width, _ = pictures.shape
        padded = np.pad(pictures, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
        places = zip(padded, steps.offsets[index], strict=True)
        pictures = np.stack([p[row : row + height, left : left + width] for p, (row, left) in places])
    if steps.flips is not None:
        mirrored = steps.flips[index][:, None, None, None]
        pictures = np.where(mirrored, pictures[:, :, ::-1], pictures)
    return pictures


#: The name by which a worker is asked for it. No plugin can have it: names have no spaces.
NUMPY = "plain NumPy"


class NumpyBackend(Backend):
    """Builds programs of the tasks that :mod:`harness.core.reference.training` covers."""

    name = NUMPY
    summary = "verifies the work of backends"
    modes = ("plain",)
    requires = ("numpy>=2",)
    losses = LOSSES
    sample_gradients = True

    def environment(self, threads: int) -> dict[str, str]:
        """Return the version of NumPy, whose threads are set by the variables of the process."""
        del threads
        return {"engine": "numpy", "numpy": np.__version__}

    def build(self, plan: Plan, data: Samples) -> Program:
        """See :meth:`harness.spec.Backend.build`."""
        refuse_uncovered(plan.task)
        if plan.device.startswith("cuda"):
            raise Unsupported("no GPU")
        return NumpyProgram(plan.task, data)
