"""The whole contract between the harness, its tasks, its data sets and its backends.

A task is data without a framework. A backend turns a :class:`Plan` into a :class:`Program`. The
harness owns what must not differ between backends: weights, the choice of training samples, the order of
batches, and the metrics.
NumPy and the frameworks are not imported here, so that listing plugins stays cheap.
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from harness.layers import Parameter
from harness.network import Network

if TYPE_CHECKING:
    import numpy as np

Split = Literal["train", "validation", "test"]
Precision = Literal["float32", "float64", "bfloat16"]


# --- Tasks -----------------------------------------------------------------------------------


class Sgd(msgspec.Struct, frozen=True, omit_defaults=True, tag="sgd"):
    """Gradient descent with momentum in the form ``v = momentum * v + g; w = w - learning_rate * v``.

    With ``nesterov`` the step is ``w = w - learning_rate * (g + momentum * v)`` with the new ``v``
    (Sutskever et al. 2013, in the form that PyTorch and Keras share at a constant learning rate).
    """

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False


class Adam(msgspec.Struct, frozen=True, omit_defaults=True, tag="adam"):
    """Kingma and Ba (2015), algorithm 1: ``epsilon`` is added to the root of the *corrected* moment.

    ``w = w - learning_rate * m_hat / (sqrt(v_hat) + epsilon)``, ``m_hat = m / (1 - beta_1**t)``,
    ``v_hat = v / (1 - beta_2**t)``, ``t`` counted from 1.
    """

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7


class RmsProp(msgspec.Struct, frozen=True, omit_defaults=True, tag="rmsprop"):
    """Hinton's RMSprop with ``epsilon`` outside the root, no momentum, no centring.

    ``v = rho * v + (1 - rho) * g**2; w = w - learning_rate * g / (sqrt(v) + epsilon)``.
    """

    learning_rate: float
    rho: float = 0.9
    epsilon: float = 1e-7


Optimizer = Sgd | Adam | RmsProp


class Classification(msgspec.Struct, frozen=True, omit_defaults=True, tag="classification"):
    """The network ``model`` gives logits ``(batch, classes)``; softmax cross-entropy, mean over the batch.

    It is finite wherever the logits are: ``logsumexp(logits) - logits[class]``, not the log of a softmax.

    With ``class_weights (classes,)`` each sample's term is multiplied by the weight of its class
    before the mean; the divisor stays the number of samples.
    """

    class_weights: tuple[float, ...] = ()


class Regression(msgspec.Struct, frozen=True, omit_defaults=True, tag="regression"):
    """The network ``model`` gives ``(batch, outputs)``; mean squared error over batch and outputs."""


class Adversarial(msgspec.Struct, frozen=True, omit_defaults=True, tag="adversarial"):
    """A ``generator`` of pictures in [0, 1] from latents, a ``discriminator`` giving logits ``(batch, 1)``.

    A step (Goodfellow et al. 2014, with the generator's loss that does not saturate), where ``bce``
    is binary cross-entropy from logits, mean over the batch, and ``z`` the step's latents::

        discriminator_loss = (bce(D(x), 1) + bce(D(G(z)), 0)) / 2    then D is updated
        generator_loss = bce(D(G(z)), 1)    with the new D and the same z, then G is updated

    Each network has an optimizer of its own with the task's settings.
    """

    latent_size: int


Objective = Classification | Regression | Adversarial


class Augmentation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Changes to training pictures, drawn by the harness so that every backend sees the same ones.

    ``crop`` zeros are put around the picture and a window of its size is cut out; ``flip`` mirrors
    the result left to right for half of the samples.
    """

    flip: bool = False
    crop: int = 0


class Imbalance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Thins the training data of the upper half of the classes to the fraction ``keep``.

    Done by the harness before ``build``: a backend reads only the objective's class weights.
    ``weights`` answers it by class weights in the loss, ``n / (classes * n_class)``; ``oversample`` by
    repeating the samples of a thinned class until it has as many as the largest.
    """

    keep: float
    rebalance: Literal["none", "weights", "oversample"] = "none"


class Penalty(msgspec.Struct, frozen=True, omit_defaults=True):
    """Added to the loss that is minimised: ``l1 * sum |w| + l2 * sum w**2`` over all kernels, no bias.

    Kernels are the parameters whose name ends in ``kernel``, a recurrent layer's ``recurrent_kernel``
    too.
    """

    l1: float = 0.0
    l2: float = 0.0


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Everything that training is, for every framework alike.

    Defaults are left out of its JSON, so that a later field does not change the hash of what has not
    changed.

    ``version`` goes up whenever a change makes results incomparable with earlier ones.
    """

    name: str
    version: int
    networks: dict[str, Network]
    objective: Objective
    optimizer: Optimizer
    batch_size: int | None
    """None: all training samples at once, as in full-batch gradient descent."""
    epochs: int
    penalty: Penalty = Penalty()
    weight_decay: float = 0.0
    """Decoupled (Loshchilov and Hutter 2019): ``w = w * (1 - learning_rate * weight_decay)`` for all
    kernels, no bias, ahead of the optimizer's own update."""
    augmentation: Augmentation = Augmentation()
    imbalance: Imbalance | None = None
    train_fraction: float = 1.0
    """The share of the training data that is trained on, the same samples for every seed: the harness gives
    no others to ``build``."""

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter of every network by its full name, ``model/conv2d_1/kernel``."""
        return {
            f"{network_name}/{name}": parameter
            for network_name, network in self.networks.items()
            for name, parameter in network.parameters().items()
        }


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A size of a task for another purpose than its results; None: as without it."""

    dataset: str | None = None
    epochs: int | None = None


class TaskDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """What a task plugin hands over: a name, the options it declares, and the task they make.

    ``options`` is a frozen :class:`msgspec.Struct` whose fields all have defaults, each a bool, int,
    float, str or Literal; bounds and descriptions stand in ``Annotated[..., msgspec.Meta(...)]``.
    Those named ``optimizer``, ``learning_rate``, ``momentum``, ``nesterov``, ``l1``, ``l2``,
    ``weight_decay``, ``flip`` and ``crop`` are tried by certificates (:mod:`harness.parity_cases`).
    ``datasets`` are the data sets that fit, the one that is meant first and what may stand in for it
    after. ``define`` gives a task of the same name, and raises ValueError, in words for the user, for
    options that do not go together.
    """

    name: str
    summary: str
    datasets: tuple[str, ...]
    options: type[msgspec.Struct]
    define: Callable[[Any], Task]
    reference: Path | None = None
    """The file that backends are certified against; see ``harness reference``."""
    presets: dict[str, Preset] = {}
    """By name; ``smoke`` is the smallest size at which training still shows."""


# --- Data ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs ``(n, *shape)`` and targets, one row a sample: classes ``(n,)`` or values ``(n, outputs)``."""

    inputs: np.ndarray
    targets: np.ndarray

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set in canonical form.

    Pictures are uint8 ``(n, height, width, channels)``, sequences float ``(n, steps, features)``;
    targets are int64 classes ``(n,)`` or float values ``(n, outputs)``. Where ``validation`` is None
    the harness splits it off the training data; a time series brings its own, later than the
    training data, so that no window is in both.

    ``fingerprint`` is the sha256 of the canonical arrays as they are in memory now; ``origin`` says in
    a few words where the bytes came from. A network sees ``inputs / input_divisor``.
    """

    name: str
    fingerprint: str
    origin: str
    classes: tuple[str, ...]
    train: Samples
    test: Samples
    input_divisor: float = 1.0
    validation: Samples | None = None


@dataclass(frozen=True, slots=True)
class DatasetSummary:
    """What can be said of a data set without reading its arrays.

    ``samples`` counts the rows of each split that it brings; ``fingerprint`` is None where only the arrays
    tell it.
    """

    origin: str
    samples: Mapping[Split, int]
    fingerprint: str | None = None


class DownloadProgress(Protocol):
    """What a source tells while it works: ``total`` and ``done`` in bytes, ``total`` 0 when unknown."""

    def __call__(self, what: str, done: int, total: int) -> None: ...


class DataSource(abc.ABC):
    """What a data plugin hands over: where one data set comes from and how it is read."""

    name: str
    summary: str
    #: What ``import_from`` accepts, in words; empty where there is nothing to import.
    importable: str = ""
    #: Whether ``fetch`` needs the network.
    downloads: bool = False

    @abc.abstractmethod
    def is_ready(self) -> bool:
        """Whether :meth:`load` needs nothing more. Cheap: reads no arrays."""

    @abc.abstractmethod
    def load(self) -> Dataset:
        """The data set, from this machine alone.

        Raises:
            DataError: it is not here, or what is here is broken; says which, and what would help.
        """

    def summarize(self) -> DatasetSummary | None:
        """What is here, at once: reads no arrays. None where only :meth:`load` can tell.

        Raises:
            DataError: it is not here, or its description is broken.
        """
        return None

    def fetch(self, progress: DownloadProgress) -> None:
        """Bring the data onto this machine. Does nothing where a whole copy is here.

        Raises:
            DataError: it cannot be had, with the reason.
        """

    def import_from(self, path: Path, progress: DownloadProgress) -> Dataset:
        """Take the data set from files that the user has; whole or not at all.

        Raises:
            DataError: the files are not this data set, with what was expected and what was found.
        """
        raise NotImplementedError


# --- Backends --------------------------------------------------------------------------------


class Unsupported(Exception):
    """A backend raises this where it cannot do what the plan asks; the message is the reason."""


#: What may be asked for as a plan's device.
DEVICE_PATTERN = r"\A(auto|cpu|cuda(:\d{1,3})?)\Z"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One program to build.

    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. With ``cuda:N`` the worker's environment hides
    every GPU but that one, so a backend needs no index: it takes the first one it sees. With ``auto`` and
    ``cuda`` that is the first of those that the user sees.

    ``precision``: ``float32`` and ``float64`` hold for data, parameters, arithmetic and optimizer
    state. ``bfloat16`` means mixed precision: parameters and optimizer state in float32, layers
    computed in bfloat16, logits brought back to float32 before the loss.

    ``seed`` is for the framework's own random numbers (dropout masks).
    """

    task: Task
    mode: str
    device: str = "auto"
    precision: Precision = "float32"
    threads: int
    seed: int


@dataclass(frozen=True, slots=True)
class Steps:
    """Consecutive training steps of one batch size, as many as the harness likes.

    Their number changes from call to call: one step, then eight, then what fills the time that a block is to
    take, never past an epoch's end, where one of a shorter batch may follow. A program that is compiled for
    one number would be compiled anew within a block that is timed: compile for any (a loop of dynamic length,
    or one step that is called often).

    ``indices (steps, batch)`` int64 point into the training data, a row a step. ``latents (steps,
    batch, latent_size)`` are the inputs of a generator, of the dtype of the training data.

    With ``flip``, ``flips (steps, batch)`` bool says which pictures are mirrored; with ``crop``, ``offsets
    (steps, batch, 2)`` int64 are the row and column in the zero-padded picture, each from 0 to ``2 * crop``,
    where the window begins. A task may have one without the other, and the other is None then. Flipping
    comes after cutting.
    """

    indices: np.ndarray
    latents: np.ndarray | None = None
    flips: np.ndarray | None = None
    offsets: np.ndarray | None = None


class Program(abc.ABC):
    """A task, built by a backend for one plan and ready to train."""

    #: The device in use, ``cpu`` or such as ``cuda:0 (NVIDIA H100)``, written so by every backend: runs on
    #: devices that are not the same text are not compared. A plan's ``cpu`` or ``cuda`` must be obeyed.
    device: str

    @abc.abstractmethod
    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take a copy of these canonical float64 arrays as the weights (names as in :meth:`Task.parameters`).

        Optimizer state is left as it is: the harness loads before the first step, and to score.
        """

    @abc.abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """The weights now, as canonical arrays that later steps do not change, of float32 or float64.

        The clock is proven by it: it must take as long when called again, so it compiles nothing and keeps
        no copy.
        """

    @abc.abstractmethod
    def train(self, steps: Steps) -> np.ndarray:
        """Make these steps, in order; the loss that each minimised ``(steps,)``, penalty included.

        An adversarial program gives ``(steps, 2)``: the discriminator's and the generator's, and puts
        the penalty of each network into the loss of that network.

        Each loss is the one before its update, as the gradient saw it. May return before an
        accelerator has finished: the harness calls :meth:`synchronize` before it reads the clock.
        """

    @abc.abstractmethod
    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """Outputs ``(n, *output)`` of a network in evaluation mode, as an array of float32 or float64.

        So under a plan in ``bfloat16`` too, and a generator's pictures: NumPy knows no bfloat16.

        ``inputs (n, *input)``, any ``n`` from 1, are of the dtype that the training data had. The backend
        chooses its batches. Nothing of the training changes by it, nor what that draws.
        """

    @abc.abstractmethod
    def synchronize(self) -> None:
        """Return when the device has finished all work asked of it."""

    def device_peak_memory_bytes(self) -> int | None:
        """The most memory held on an accelerator so far; None where the program runs on the CPU."""
        return None


class Backend(abc.ABC):
    """What a backend plugin hands over. Making one and reading its attributes imports no framework."""

    name: str
    summary: str
    #: Ways to run that an expert of the framework would choose between; the first is the default.
    modes: tuple[str, ...]
    #: The distributions it needs, as requirement strings: ``("torch>=2.6",)``.
    requires: tuple[str, ...]
    #: The extra of its distribution that brings them: ``torch``; empty where there is none.
    extra: str = ""

    @abc.abstractmethod
    def environment(self, threads: int) -> dict[str, str]:
        """Import the framework, set its thread counts, and say what it is.

        Keys: ``engine`` (``torch``, ``tensorflow``, ``jax``, ...), its version under that name, and whatever
        of its build bears on speed. The versions under the engine's name, the backend's, and what that has
        before a hyphen make runs another side; the harness adds that of the plugin, where it is installed.
        Called before :meth:`build`; the harness times it
        as the import. A worker calls it once, the conformance kit for each of its tests in one process:
        with the same threads, another call must change nothing.
        """

    @abc.abstractmethod
    def build(self, plan: Plan, data: Samples) -> Program:
        """The program for a plan, with the training data placed where it trains.

        Called many times in a process that certifies, and programs live beside each other there: what one
        does must not show in another.

        ``data.inputs`` are float32 (float64 where the plan says so), scaled; targets int64 classes, or of a
        :class:`Regression` values of the inputs' dtype. The arrays are read-only: what is to be changed must
        be copied.

        Raises:
            Unsupported: the plan asks for what this framework or this machine cannot do.
        """
