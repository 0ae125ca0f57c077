"""Scores computed with NumPy from a program's outputs, by the same code for every framework."""

import math
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from harness.core.training.gan_quality import COMPARED, judging_latents
from harness.core.training.measures import Scores
from harness.core.training.outcome_records import SampleScores
from harness.spec.data import Samples
from harness.spec.task import Adversarial, BinaryClassification, Classification, Regression, Task

#: The most logits of a sequence that are predicted and scored at a time: 16 MiB in float32.
_MOST_LOGITS = 2**22


class Predict(Protocol):
    """:meth:`harness.spec.Program.predict`."""

    def __call__(self, inputs: np.ndarray, network: str = ...) -> np.ndarray: ...


class Rows(NamedTuple):
    """The scores of single samples, ``(n,)`` each; empty for an adversarial task, whose scores are of sets.

    ``losses`` are without penalty; ``right`` is the share of a sample's positions whose class is right, or
    the same as ``losses`` for a regression, which has none.
    """

    losses: npt.NDArray[np.float64]
    right: npt.NDArray[np.float64]


NO_ROWS = Rows(np.zeros(0), np.zeros(0))


#: The largest loss in its unit when packed; float16 ends at 65504.
_LARGEST_PACKED = 2.0**15


def packed(rows: Rows) -> SampleScores | None:
    """Pack rows as a record holds them: losses to 11 significant bits. None without rows.

    The unit is a power of two that brings the largest finite loss below float16's end; losses below 2**-40 of
    the largest become 0.
    """
    losses, right = rows
    if not len(losses):
        return None
    largest = float(np.max(np.abs(losses), initial=0.0, where=np.isfinite(losses)))
    unit = 2.0 ** math.ceil(math.log2(largest / _LARGEST_PACKED)) if largest > 0 else 1.0
    scores = SampleScores(len(losses), unit, (losses / unit).astype("<f2").tobytes())
    if np.array_equal(right, losses, equal_nan=True):
        return scores
    if np.isin(right, (0.0, 1.0)).all():
        return msgspec.structs.replace(scores, right=np.packbits(right.astype(bool)).tobytes())
    return msgspec.structs.replace(scores, right_shares=right.astype("<f2").tobytes())


def unpacked(scores: SampleScores) -> Rows:
    """Unpack the rows that :func:`packed` has packed."""
    losses = np.frombuffer(scores.losses, "<f2").astype(np.float64) * scores.loss_unit
    if scores.right_shares:
        return Rows(losses, np.frombuffer(scores.right_shares, "<f2").astype(np.float64))
    if not scores.right:
        return Rows(losses, losses)
    bits = np.unpackbits(np.frombuffer(scores.right, np.uint8), count=scores.count)
    return Rows(losses, bits.astype(np.float64))


class Scored(NamedTuple):
    """The scores of a set of samples, those of each of them, and the outputs ``(n, ...)`` of the network.

    There are no outputs of an adversarial task, or where there is a class at each position.
    """

    scores: Scores
    rows: Rows = NO_ROWS
    outputs: np.ndarray | None = None


def score(task: Task, predict: Predict, samples: Samples) -> Scored:
    """Score these samples in evaluation mode, by the task's measures."""
    if isinstance(task.objective, Adversarial):
        fakes = generate(task.objective, predict, samples)
        on_both = (predict(inputs, "discriminator") for inputs in (samples.inputs, fakes))
        return Scored(adversarial_scores(*on_both))
    loss = task.special_loss()
    if task.predicts_positions():
        return position_scores(predict, samples, task.networks["model"].output_shape(), loss)
    outputs = predict(samples.inputs, "model")
    match task.objective:
        case Classification():
            scored = classification_scores(outputs, samples.targets, loss)
        case BinaryClassification():
            scored = binary_scores(outputs, samples.targets, loss)
        case Regression():
            scored = regression_scores(outputs, samples.targets, loss)
            scored.scores.update(naive_scores(samples))
    return scored._replace(outputs=outputs)


def generate(objective: Adversarial, predict: Predict, samples: Samples) -> np.ndarray:
    """Generate images from the judging latents: as many as there are samples, at most :data:`COMPARED`."""
    count = min(len(samples), COMPARED)
    return predict(judging_latents(count, objective.latent_size, samples.inputs.dtype), "generator")


def finite(value: float | np.floating) -> float | None:
    """Return the value as JSON can hold it: None for a value that is not finite."""
    return float(value) if np.isfinite(value) else None


def classification_scores(
    logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64], loss: str | None = None
) -> Scored:
    """Score logits ``(n, classes)`` for classes ``(n,)``, summed in float64.

    ``loss`` is the mean softmax cross-entropy in nats, ``accuracy`` the fraction of samples whose largest
    logit is the target, ``recall_K`` that fraction among the samples of class K, and ``balanced_accuracy``
    the mean of the recalls of all classes that occur. With a task's special loss, ``loss`` is the mean of the
    special loss and ``cross_entropy`` the mean cross-entropy.
    """
    cross_entropies, right = _cross_entropies(logits, targets)
    losses = cross_entropies if loss is None else _squared_errors(loss, logits, targets)
    scores = {
        "loss": _mean(losses),
        **_accuracies(right, targets),
        **_also(loss, "cross_entropy", cross_entropies),
    }
    return Scored(scores, Rows(losses, right.astype(np.float64)))


def binary_scores(
    logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64], loss: str | None = None
) -> Scored:
    """Score logits of class 1 ``(n, 1)`` for classes ``(n,)``, which are 0 or 1, summed in float64.

    ``loss`` is the mean binary cross-entropy in nats; special losses as in :func:`classification_scores`. A
    sample is assigned to class 1 if its logit is above 0; ``accuracy``, ``balanced_accuracy`` and recalls are
    those of :func:`classification_scores`. ``auc`` is the area under the ROC curve; None if only one class
    occurs.
    """
    values = logits.astype(np.float64)[:, 0]
    with np.errstate(invalid="ignore", over="ignore"):
        cross_entropies = np.maximum(values, 0.0) - values * targets + np.log1p(np.exp(-np.abs(values)))
        losses = cross_entropies if loss is None else (_sigmoid(values) - targets) ** 2
    right = ((values > 0) == targets) & ~np.isnan(values)
    scores = {
        "loss": _mean(losses),
        **_accuracies(right, targets),
        "auc": area_under_curve(values, targets),
        **_also(loss, "cross_entropy", cross_entropies),
    }
    return Scored(scores, Rows(losses, right.astype(np.float64)))


def area_under_curve(values: npt.NDArray[np.float64], targets: npt.NDArray[np.int64]) -> float | None:
    """Compute the probability that class 1 has a larger value than class 0; ties count half.

    From the sum of the ranks of class 1 (Hanley and McNeil 1982); ``values`` and ``targets`` are ``(n,)``.
    """
    positives = int(np.sum(targets))
    negatives = len(targets) - positives
    if not positives or not negatives or np.isnan(values).any():
        return None
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]  # equal values share their mean rank
    larger = ranks[targets == 1].sum() - positives * (positives + 1) / 2
    return float(larger / (positives * negatives))


def position_scores(
    predict: Predict, samples: Samples, shape: tuple[int, ...], special_loss: str | None = None
) -> Scored:
    """Score a class at each position: logits of ``shape``, ``(..., classes)``, and targets ``(n, ...)``.

    Samples are predicted in parts, so that the memory does not grow with the text. All positions count alike.
    ``loss`` is the mean cross-entropy in nats per position, ``perplexity`` its exponential,
    ``bits_per_token`` the same in bits, ``accuracy`` the fraction of positions whose largest logit is the
    target. A special loss is scored as by :func:`classification_scores`.
    """
    rows = max(1, _MOST_LOGITS // math.prod(shape))
    parts = []
    for start in range(0, len(samples), rows):
        logits = predict(samples.inputs[start : start + rows], "model")
        flat, targets = logits.reshape(-1, shape[-1]), samples.targets[start : start + rows].reshape(-1)
        entropies, right = _cross_entropies(flat, targets)
        losses = entropies if special_loss is None else _squared_errors(special_loss, flat, targets)
        with np.errstate(over="ignore", invalid="ignore"):
            parts.append([each.reshape(len(logits), -1).sum(axis=1) for each in (losses, entropies, right)])
    losses, entropies, right = (np.concatenate(each) for each in zip(*parts, strict=True))
    size, positions = samples.targets.size, samples.targets[0].size
    with np.errstate(over="ignore", invalid="ignore"):
        loss, entropy = losses.sum() / size, entropies.sum() / size
        perplexity = np.exp(entropy)
    scores = {
        "loss": finite(loss),
        "accuracy": float(right.sum() / size),
        "perplexity": finite(perplexity),
        "bits_per_token": finite(entropy / math.log(2)),
        **({} if special_loss is None else {"cross_entropy": finite(entropy)}),
    }
    return Scored(scores, Rows(losses / positions, right / positions))


def _also(special_loss: str | None, name: str, losses: npt.NDArray[np.float64]) -> Scores:
    """Compute the mean of the default loss, by which trainings with different losses are compared."""
    return {} if special_loss is None else {name: _mean(losses)}


def _squared_errors(
    loss: str, logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Compute the mean squared error of each row of logits ``(n, classes)``, or of its softmax."""
    values = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        if loss == "mse_softmax":
            values = softmax(values)
        values[np.arange(len(values)), targets] -= 1.0
        errors: npt.NDArray[np.float64] = (values**2).mean(axis=1)
    return errors


def softmax(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Compute the probabilities of classes from logits, both ``(n, classes)``."""
    with np.errstate(invalid="ignore", over="ignore"):
        shares: npt.NDArray[np.float64] = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
    return shares


def _mean(losses: npt.NDArray[np.float64]) -> float | None:
    with np.errstate(over="ignore", invalid="ignore"):
        return finite(np.mean(losses))


def _cross_entropies(
    logits: npt.NDArray[np.floating], targets: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """Compute the cross-entropy of rows of logits ``(n, classes)``; flag rows whose largest is the target."""
    values = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = values - values.max(axis=1, keepdims=True)
        picked = np.take_along_axis(shifted, targets[:, None], axis=1)[:, 0]
        losses = np.log(np.exp(shifted).sum(axis=1)) - picked
    # argmax returns a NaN as the largest; a row that contains one counts as wrong.
    return losses, (values.argmax(axis=1) == targets) & ~np.isnan(values).any(axis=1)


def _accuracies(right: npt.NDArray[np.bool_], targets: npt.NDArray[np.int64]) -> Scores:
    recalls: dict[str, float] = {
        f"recall_{label}": float(np.mean(right[targets == label])) for label in np.unique(targets).tolist()
    }
    return {
        "accuracy": float(np.mean(right)),
        "balanced_accuracy": float(np.mean(list(recalls.values()))),
        **recalls,
    }


def regression_scores(
    outputs: npt.NDArray[np.floating], targets: npt.NDArray[np.floating], loss: str | None = None
) -> Scored:
    """Score outputs and targets, both ``(n, outputs)``; ``loss`` is the mean squared error.

    With a task's special loss, ``loss`` is the mean of the special loss, and ``mean_squared_error`` is added.
    """
    errors = outputs.astype(np.float64) - targets.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        squares, sizes = errors**2, np.abs(errors)
        huber = np.where(sizes <= 1.0, squares / 2, sizes - 0.5)
        terms = {None: squares, "mae": sizes, "huber": huber}[loss]
        scores = {
            "loss": finite(np.mean(terms)),
            "mean_absolute_error": finite(np.mean(sizes)),
            **_also(loss, "mean_squared_error", squares),
        }
        losses = terms.reshape(len(errors), -1).mean(axis=1)
    return Scored(scores, Rows(losses, losses))


def naive_scores(samples: Samples) -> Scores:
    """Score the forecast "same as the last value" on a series ``(n, steps, 1)``; empty for other inputs.

    ``naive_loss`` is its mean squared error, which a model should beat.
    """
    if samples.inputs.ndim != 3 or samples.inputs.shape[-1] != 1:  # noqa: PLR2004  (n, steps, features)
        return {}
    errors = samples.inputs[:, -1].astype(np.float64) - samples.targets
    return {"naive_loss": finite(np.mean(errors**2))}


def adversarial_scores(real: npt.NDArray[np.floating], fake: npt.NDArray[np.floating]) -> Scores:
    """Score a discriminator's logits ``(n, 1)`` of real and of generated samples.

    ``loss`` is the discriminator's, the mean of its two binary cross-entropies; ``generator_loss`` is the
    generator's; ``real`` and ``fake`` are the mean probabilities of being real.
    """
    on_real, on_fake = real.astype(np.float64), fake.astype(np.float64)
    fooled = np.mean(np.logaddexp(0.0, -on_fake))
    losses = (np.mean(np.logaddexp(0.0, -on_real)) + np.mean(np.logaddexp(0.0, on_fake))) / 2
    return {
        "loss": finite(losses),
        "generator_loss": finite(fooled),
        "real": finite(np.mean(_sigmoid(on_real))),
        "fake": finite(np.mean(_sigmoid(on_fake))),
    }


def _sigmoid(logits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -logits))
