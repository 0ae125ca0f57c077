"""What a task is: networks, objective, optimizer, and how its data is used. No framework, no NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.layers import Parameter
from harness.network import Network


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
    """The network ``model`` outputs logits ``(batch, classes)``; softmax cross-entropy, mean over the batch.

    Computed as ``logsumexp(logits) - logits[class]``, not as the logarithm of a softmax, so that it is finite
    wherever the logits are.

    With ``class_weights (classes,)`` each sample's term is multiplied by the weight of its class
    before the mean; the divisor remains the number of samples.
    """

    class_weights: tuple[float, ...] = ()


class Regression(msgspec.Struct, frozen=True, omit_defaults=True, tag="regression"):
    """The network ``model`` outputs ``(batch, outputs)``; mean squared error over batch and outputs."""


class Adversarial(msgspec.Struct, frozen=True, omit_defaults=True, tag="adversarial"):
    """A ``generator`` from latents to pictures in [0, 1], and a ``discriminator`` with logits ``(batch, 1)``.

    A step (Goodfellow et al. 2014, with the non-saturating loss of the generator), where ``bce`` is binary
    cross-entropy from logits, mean over the batch, and ``z`` are the step's latents::

        discriminator_loss = (bce(D(x), 1) + bce(D(G(z)), 0)) / 2    then D is updated
        generator_loss = bce(D(G(z)), 1)    with the new D and the same z, then G is updated

    Each network has its own optimizer, of the task's kind and hyperparameters. Latents are ``(batch,
    latent_size)``.
    """

    latent_size: int


Objective = Classification | Regression | Adversarial


class Augmentation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Changes to training pictures, drawn by the harness so that every backend makes the same ones.

    ``crop`` zeros are added on each side of the picture, and a window of its size is cut out; ``flip``
    mirrors the result left to right for half of the samples.
    """

    flip: bool = False
    crop: int = 0


class Imbalance(msgspec.Struct, frozen=True, omit_defaults=True):
    """Keeps only the fraction ``keep`` of the training data of the upper half of the classes.

    The harness does this before ``build``: a backend reads only the objective's class weights. ``rebalance``
    says how it is compensated: ``weights`` by class weights ``n / (classes * n_class)`` in the loss,
    ``oversample`` by repeating the samples of a reduced class until it has as many as the largest one.
    """

    keep: float
    rebalance: Literal["none", "weights", "oversample"] = "none"


class Penalty(msgspec.Struct, frozen=True, omit_defaults=True):
    """Added to the loss that is minimised: ``l1 * sum |w| + l2 * sum w**2`` over all kernels, no bias.

    Kernels are the parameters whose name ends in ``kernel``, including the ``recurrent_kernel`` of recurrent
    layers.
    """

    l1: float = 0.0
    l2: float = 0.0


class Task(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The complete description of a training, the same for every framework.

    Fields that equal their defaults are left out of its JSON, so that a field added later does not change the
    hash of an unchanged task.

    ``name`` is that of its definition. ``version`` is raised whenever a change makes results incomparable
    with earlier ones.

    A step minimises the ``objective`` plus the ``penalty`` by the ``optimizer``. ``epochs`` is the number of
    passes over the training data, which the harness counts. Only ``augmentation`` changes training inputs;
    ``imbalance`` is the harness's work.

    ``networks`` holds ``model``, or ``generator`` and ``discriminator`` for :class:`Adversarial`.

    ``batch_size`` None: every step takes all training samples, as in full-batch gradient descent. Otherwise
    the last batch of an epoch is shorter where the samples are not divisible.

    ``weight_decay`` is decoupled (Loshchilov and Hutter 2019). The order of a step: the gradient of the loss,
    penalty included, at ``w``; then ``w = w * (1 - learning_rate * weight_decay)`` for all kernels, no bias;
    then the optimizer's update, with that gradient, of the decayed weights. No gradient is clipped.

    ``train_fraction`` is the share of the training data that is used, the same samples for every seed.
    ``build`` receives only these.
    """

    name: str
    version: int
    networks: dict[str, Network]
    objective: Objective
    optimizer: Optimizer
    batch_size: int | None
    epochs: int
    penalty: Penalty = Penalty()
    weight_decay: float = 0.0
    augmentation: Augmentation = Augmentation()
    imbalance: Imbalance | None = None
    train_fraction: float = 1.0

    def parameters(self) -> dict[str, Parameter]:
        """Every parameter of every network by its full name, ``model/conv2d_1/kernel``."""
        return {
            f"{network_name}/{name}": parameter
            for network_name, network in self.networks.items()
            for name, parameter in network.parameters().items()
        }


class Preset(msgspec.Struct, frozen=True, kw_only=True):
    """A ``dataset`` and ``epochs`` for another purpose than results; None: the task's own value."""

    dataset: str | None = None
    epochs: int | None = None


class TaskDefinition(msgspec.Struct, frozen=True, kw_only=True):
    """What a task plugin provides: a name, the options that it declares, and the task that they define.

    ``name`` is its name on the command line, ``summary`` one line of text.

    ``options`` is a frozen :class:`msgspec.Struct` whose fields all have defaults, each a bool, int, float,
    str or Literal; bounds and descriptions are given by ``Annotated[..., msgspec.Meta(...)]``. Certificates
    cover the options named ``optimizer``, ``learning_rate``, ``momentum``, ``nesterov``, ``l1``, ``l2``,
    ``weight_decay``, ``flip`` and ``crop`` (:mod:`harness.testing.cases`).

    ``datasets`` are the data sets that fit: first the task's own, then its substitutes. ``define`` returns a
    task of the same name, and raises ValueError, with a message for the user, for options that exclude each
    other.

    ``reference`` is the file that backends are certified against (``harness reference``); None: there is no
    certificate. ``presets`` are sizes by name; ``smoke`` is the smallest that still shows training.
    """

    name: str
    summary: str
    datasets: tuple[str, ...]
    options: type[msgspec.Struct]
    define: Callable[[Any], Task]
    reference: Path | None = None
    presets: dict[str, Preset] = {}
