"""Training in plain NumPy with a backward pass by hand: the contract of :mod:`harness.spec` in code.

It shares no code with any backend or framework, so it can say whether their work is right. It is slow, and
covers all tasks without dropout and without models of users.
"""

from collections.abc import Mapping

import numpy as np

from harness.layers import Embedding
from harness.spec.backend import Steps, Unsupported
from harness.spec.task import BinaryClassification, Task
from harness.testing.numpy_arrays import Array, Backward, Gradients, Pass
from harness.testing.numpy_attention import OUTPUT_TABLE
from harness.testing.numpy_layers import forward_all, is_covered
from harness.testing.numpy_objectives import loss_and_gradient
from harness.testing.numpy_rules import CONTRACT_RULES, Rules
from harness.testing.numpy_updates import change, clipped, kept_share


class NumpyTraining:
    """A task in training: ``train`` on steps, read ``weights``, ``predict``."""

    def __init__(
        self,
        task: Task,
        inputs: Array,
        targets: Array,
        weights: Mapping[str, Array],
        rules: Rules = CONTRACT_RULES,
    ) -> None:
        """It computes in float64; ``inputs (n, *input)``. Raises Unsupported for what it does not cover."""
        refuse_uncovered(task)
        self._task, self._rules = task, rules
        self._places = {name: network.placed() for name, network in task.networks.items()}
        self._tables = [
            f"{name}/{place.name}/table"
            for name, places in self._places.items()
            for place in places
            if isinstance(place.layer, Embedding)
        ]
        self._inputs, self._targets = inputs, targets
        self.weights: dict[str, Array] = {}
        self.load(weights)
        self._moments = {name: (np.zeros(w.shape), np.zeros(w.shape)) for name, w in self.weights.items()}
        self._step = 0

    def load(self, weights: Mapping[str, Array]) -> None:
        """Take these weights; the optimizer's state stays as it is."""
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}
        if not self._rules.tied:
            self.weights |= {OUTPUT_TABLE.format(name): self.weights[name].copy() for name in self._tables}

    def train(self, steps: Steps) -> Array:
        """Make the steps; returns the loss of each ``(steps,)``, or of both networks ``(steps, 2)``."""
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
                losses.append(self._supervised_step(inputs, self._targets[rows], float(rates[index])))
            else:
                latents = steps.latents[index].astype(np.float64)
                losses.append(self._adversarial_step(inputs, latents, float(rates[index])))
        return np.array(losses)

    def predict(self, inputs: Array, network: str = "model") -> Array:
        """Outputs ``(n, *output)`` of a network in evaluation mode."""
        return self._forward(network, inputs.astype(np.float64), Pass(self.weights, self._rules))[0]

    def _supervised_step(self, inputs: Array, targets: Array, rate: float) -> float:
        made = self._training_pass()
        outputs, backward = self._forward("model", inputs, made)
        loss, gradient = loss_and_gradient(self._task.objective, outputs, targets)
        gradients: Gradients = {}
        backward(gradient, gradients)
        loss += self._update(gradients, rate)
        self.weights |= made.state
        return loss

    def _adversarial_step(self, inputs: Array, latents: Array, rate: float) -> list[float]:
        """The loss of the discriminator, which is updated first, and of the generator."""
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
        task, penalty = self._task, 0.0
        for name in gradients:
            if name.endswith("kernel"):
                w = self.weights[name]
                penalty += task.penalty.l1 * float(np.abs(w).sum()) + task.penalty.l2 * float((w**2).sum())
                gradients[name] = gradients[name] + task.penalty.l1 * np.sign(w) + 2 * task.penalty.l2 * w
        for name, g in clipped(gradients, task.clip_norm, self._rules).items():
            step = change(task.optimizer, g, self._moments[name], self._step, rate, self._rules)
            self.weights[name] = kept_share(task, name, rate, self._rules) * self.weights[name] - step
        return penalty

    def _training_pass(self) -> Pass:
        return Pass(self.weights, self._rules, training=True)

    def _forward(self, network: str, x: Array, made: Pass) -> tuple[Array, Backward]:
        return forward_all(network, self._places[network], x, made)


def refuse_uncovered(task: Task) -> None:
    """Raise Unsupported for a task that this module has no training of."""
    for network in task.networks.values():
        for place in network.leaves():
            if not is_covered(place.layer):
                raise Unsupported(f"no {type(place.layer).__name__}")


def _augmented(pictures: Array, steps: Steps, index: int, crop: int) -> Array:
    """Pictures ``(n, height, width, channels)`` of a step, cropped and then flipped as its draws say."""
    if steps.offsets is not None:
        _, height, width, _ = pictures.shape
        padded = np.pad(pictures, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
        places = zip(padded, steps.offsets[index], strict=True)
        pictures = np.stack([p[row : row + height, left : left + width] for p, (row, left) in places])
    if steps.flips is not None:
        mirrored = steps.flips[index][:, None, None, None]
        pictures = np.where(mirrored, pictures[:, :, ::-1], pictures)
    return pictures
