"""Scores computed with NumPy from a program's outputs, by the same code for every framework."""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from harness.spec.data import Samples
from harness.spec.task import Adversarial, Classification, Regression, Task
from harness.training.gan_quality import COMPARED, judging_latents
from harness.training.measures import Scores


class Predict(Protocol):
    """:meth:`harness.spec.Program.predict`."""

    def __call__(self, inputs: np.ndarray, network: str = ...) -> np.ndarray: ...


def score(task: Task, predict: Predict, samples: Samples) -> Scores:
    """The task's scores on these samples, in evaluation mode."""
    if isinstance(task.objective, Adversarial):
        fakes = generate(task.objective, predict, samples)
        return adversarial_scores(*(predict(inputs, "discriminator") for inputs in (samples.inputs, fakes)))
    outputs = predict(samples.inputs, "model")
    match task.objective:
        case Classification():
            return classification_scores(outputs, samples.targets)
        case Regression():
            return regression_scores(outputs, samples.targets) | naive_scores(samples)


def generate(objective: Adversarial, predict: Predict, samples: Samples) -> np.ndarray:
    """Pictures from the judging latents: as many as there are samples, at most :data:`COMPARED`."""
    count = min(len(samples), COMPARED)
    return predict(judging_latents(count, objective.latent_size, samples.inputs.dtype), "generator")


def _finite(value: float | np.floating) -> float | None:
    return float(value) if np.isfinite(value) else None


def classification_scores(logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64]) -> Scores:
    """Scores of logits ``(n, classes)`` for classes ``(n,)``, summed in float64.

    ``loss`` is the mean softmax cross-entropy in nats, ``accuracy`` the fraction of samples whose largest
    logit is the target, ``recall_K`` that fraction among the samples of class K, and ``balanced_accuracy``
    the mean of the recalls of all classes that occur.
    """
    values = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = values - values.max(axis=1, keepdims=True)
        picked = np.take_along_axis(shifted, targets[:, None], axis=1)[:, 0]
        loss = np.mean(np.log(np.exp(shifted).sum(axis=1)) - picked)
    # argmax returns a NaN as the largest; a row that contains one counts as wrong.
    right = (values.argmax(axis=1) == targets) & ~np.isnan(values).any(axis=1)
    recalls = {
        f"recall_{label}": float(np.mean(right[targets == label])) for label in np.unique(targets).tolist()
    }
    return {
        "loss": _finite(loss),
        "accuracy": float(np.mean(right)),
        "balanced_accuracy": float(np.mean(list(recalls.values()))),
        **recalls,
    }


def regression_scores(outputs: npt.NDArray[np.floating], targets: npt.NDArray[np.floating]) -> Scores:
    """Scores of outputs and targets, both ``(n, outputs)``; ``loss`` is the mean squared error."""
    errors = outputs.astype(np.float64) - targets.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return {
            "loss": _finite(np.mean(errors**2)),
            "mean_absolute_error": _finite(np.mean(np.abs(errors))),
        }


def naive_scores(samples: Samples) -> Scores:
    """Scores of the forecast "same as the last value" on a series ``(n, steps, 1)``; empty for other inputs.

    ``naive_loss`` is its mean squared error, which a model should beat.
    """
    if samples.inputs.ndim != 3 or samples.inputs.shape[-1] != 1:  # noqa: PLR2004  (n, steps, features)
        return {}
    errors = samples.inputs[:, -1].astype(np.float64) - samples.targets
    return {"naive_loss": _finite(np.mean(errors**2))}


def adversarial_scores(real: npt.NDArray[np.floating], fake: npt.NDArray[np.floating]) -> Scores:
    """Scores from a discriminator's logits ``(n, 1)`` of real and of generated samples.

    ``loss`` is the discriminator's, the mean of its two binary cross-entropies; ``generator_loss`` is the
    generator's; ``real`` and ``fake`` are the mean probabilities of being real.
    """
    on_real, on_fake = real.astype(np.float64), fake.astype(np.float64)
    fooled = np.mean(np.logaddexp(0.0, -on_fake))
    losses = (np.mean(np.logaddexp(0.0, -on_real)) + np.mean(np.logaddexp(0.0, on_fake))) / 2
    return {
        "loss": _finite(losses),
        "generator_loss": _finite(fooled),
        "real": _finite(np.mean(_sigmoid(on_real))),
        "fake": _finite(np.mean(_sigmoid(on_fake))),
    }


def _sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -logits))
