"""What a task is: networks, objective, optimizer, and how its data is used. No framework, no NumPy."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from harness.layers import AnyLayer, Parameter, exchanged
from harness.layers.base import Described
from harness.network import Network
from harness.spec.schedules import ConstantRate, Schedule


class Sgd(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="sgd"):
    """Gradient descent with momentum in the form ``v = momentum * v + g; w = w - learning_rate * v``.

    With ``nesterov`` the step is ``w = w - learning_rate * (g + momentum * v)`` with the new ``v``
    (Sutskever et al. 2013, in the form that PyTorch and Keras share at a constant learning rate).
    """

    learning_rate: float
    momentum: float = 0.0
    nesterov: bool = False

    @property
    def slots(self) -> tuple[str, ...]:
        """The state of each parameter: names of arrays of its shape, all zeros before the first step."""
        return ("momentum",) if self.momentum else ()


class Adam(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="adam"):
    """Kingma and Ba (2015), algorithm 1: ``epsilon`` is added to the root of the *corrected* moment.

    ``w = w - learning_rate * m_hat / (sqrt(v_hat) + epsilon)``, ``m_hat = m / (1 - beta_1**t)``,
    ``v_hat = v / (1 - beta_2**t)``, ``t`` counted from 1.
    """

    learning_rate: float
    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-7

    @property
    def slots(self) -> tuple[str, ...]:
        """See :attr:`Sgd.slots`."""
        return "first moment", "second moment"


class RmsProp(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="rmsprop"):
    """Hinton's RMSprop with ``epsilon`` outside the root, no momentum, no centring.

    ``v = rho * v + (1 - rho) * g**2; w = w - learning_rate * g / (sqrt(v) + epsilon)``.
    """

    learning_rate: float
    rho: float = 0.9
    epsilon: float = 1e-7

    @property
    def slots(self) -> tuple[str, ...]:
        """See :attr:`Sgd.slots`."""
        return ("mean square",)


#: Besides its settings each describes its state, ``slots``. What the harness knows of each is in
#: :mod:`harness.core.reference.optimizers`.
Optimizer = Sgd | Adam | RmsProp


class Classification(
    msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="classification"
):
    """The network ``model`` outputs logits ``(batch, ..., classes)``; softmax cross-entropy.

    There is a class for each position: targets are ``(batch, ...)``, such as ``(batch,)`` for pictures and
    ``(batch, steps)`` for the next tokens of a text. The loss is the mean over batch and positions.

    Computed as ``logsumexp(logits) - logits[class]``, not as the logarithm of a softmax, so that it is finite
    wherever the logits are. With ``label_smoothing`` s the target is ``1 - s`` at the class plus ``s /
    classes`` everywhere (Szegedy et al. 2016, section 7): ``logsumexp(logits) - (1 - s) * logits[class] - s *
    mean(logits)``.

    With ``class_weights (classes,)`` each target's term is multiplied by the weight of its class
    before the mean; the divisor remains the number of targets.

    Other losses compare with the one-hot vector ``y`` of the class: ``mse_softmax`` is the mean of
    ``(softmax(logits) - y)**2``, ``mse_logits`` that of ``(logits - y)**2``. A target's term is the mean over
    its classes, so the divisor is the number of targets times that of classes (Brier 1950 sums over the
    classes). They have no label smoothing.
    """

    class_weights: tuple[float, ...] = ()
    label_smoothing: float = 0.0
    loss: Literal["cross_entropy", "mse_softmax", "mse_logits"] = "cross_entropy"


class BinaryClassification(
    msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="binary_classification"
):
    """The network ``model`` outputs a logit of class 1 ``(batch, 1)``; targets are 0 or 1 ``(batch,)``.

    Binary cross-entropy, mean over the batch, in the form that is finite for every finite logit:
    ``max(logit, 0) - logit * target + log(1 + exp(-|logit|))``. ``class_weights (2,)`` as in
    :class:`Classification`. The loss ``mse_sigmoid`` is the mean of ``(sigmoid(logit) - target)**2`` over the
    batch instead.
    """

    class_weights: tuple[float, ...] = ()
    loss: Literal["cross_entropy", "mse_sigmoid"] = "cross_entropy"


class Regression(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="regression"):
    """The network ``model`` outputs ``(batch, outputs)``; the loss is a mean over batch and outputs.

    With the errors ``e = output - target``, ``mse`` is the mean of ``e**2``, ``mae`` that of ``|e|``, whose
    gradient is 0 where an error is 0, and ``huber`` that of ``e**2 / 2`` where ``|e| <= 1`` and of ``|e| -
    1/2`` elsewhere (Huber 1964, with delta 1).
    """

    loss: Literal["mse", "mae", "huber"] = "mse"


class Adversarial(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="adversarial"):
    """A ``generator`` from latents to pictures in [0, 1], and a ``discriminator`` with logits ``(batch, 1)``.

    A step (Goodfellow et al. 2014, with the non-saturating loss of the generator), where ``bce`` is binary
    cross-entropy from logits, mean over the batch, and ``z`` are the step's latents::

        discriminator_loss = (bce(D(x), 1) + bce(D(G(z)), 0)) / 2    then D is updated
        generator_loss = bce(D(G(z)), 1)    with the new D and the same z, then G is updated

    Each network has its own optimizer, of the task's kind and hyperparameters. Latents are ``(batch,
    latent_size)``. Neither network may hold state: whether real and generated pictures are normalised in one
    batch is not defined here.
    """

    latent_size: int


Objective = Classification | BinaryClassification | Regression | Adversarial

#: The losses that an objective may name in place of its default, which every backend computes. A backend
#: declares those of these that it computes too: see :class:`harness.spec.Backend`.
LOSSES = ("mse_softmax", "mse_logits", "mse_sigmoid", "mae", "huber")


class Augmentation(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """Changes to training pictures, drawn by the harness so that every backend makes the same ones.

    ``crop`` zeros are added on each side of the picture, and a window of its size is cut out; ``flip``
    mirrors the result left to right for half of the samples.
    """

    flip: bool = False
    crop: int = 0


class Imbalance(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """Keeps only the fraction ``keep`` of the training data of the upper half of the classes.

    The harness does this before ``build``: a backend reads only the objective's class weights. ``rebalance``
    says how it is compensated: ``weights`` by class weights ``n / (classes * n_class)`` in the loss,
    ``oversample`` by repeating the samples of a reduced class until it has as many as the largest one.
    """

    keep: float
    rebalance: Literal["none", "weights", "oversample"] = "none"


class Federated(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """Federated averaging (McMahan et al. 2017), which the harness makes of any program.

    The training samples are divided among ``clients``: at random, or, with ``dirichlet`` above 0, each class
    in shares that are drawn from a Dirichlet distribution of this concentration (Hsu et al. 2019). In a round
    every client starts from the global weights with a new optimizer, and trains ``local_epochs`` on its own
    samples in batches of the task's size. The mean of the clients' weights and states, each counted by its
    samples, becomes the global weights. A round is an epoch of one step, with one learning rate; its loss is
    the mean over all samples that were seen. A backend builds an ordinary program.
    """

    clients: int
    local_epochs: int = 1
    dirichlet: float = 0.0


class Penalty(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """Added to the loss that is minimised: ``l1 * sum |w| + l2 * sum w**2`` over all kernels, no bias.

    Kernels are the parameters whose name ends in ``kernel``, including the ``recurrent_kernel`` of recurrent
    layers and the ``qkv_kernel`` of attention.
    """

    l1: float = 0.0
    l2: float = 0.0


class Privacy(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """Differentially private gradients, as in DP-SGD (Abadi et al. 2016, algorithm 1).

    In place of the gradient of the loss a step takes::

        g_i = gradient of the loss of sample i alone, all parameters of the network together
        g = (sum over samples of g_i * min(1, clip / norm(g_i)) + noise * clip * N(0, 1)) / batch_size

    ``batch_size`` is that of the task, whatever the number of samples in the step: each training sample takes
    part in each step with the probability ``batch_size / samples`` (:class:`Steps`). ``noise`` is the noise
    multiplier, with 0 nothing is private. ``delta`` is the one at which epsilon is stated; it does not change
    the training. So many training samples are ``canaries``: they have wrong classes, and a coin says of each
    whether it takes part. The harness does this before ``build``.
    """

    noise: float
    clip: float
    delta: float = 1e-5
    canaries: int = 0


class OwnCode(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """Parts of a training in the user's own code, each ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``.

    Empty: the task's own rule.

    ``loss(outputs, targets)``, in arrays of the backend's framework, returns the loss of a batch, or its
    terms, in place of that of the objective; scores remain those of the objective. ``optimizer`` makes the
    optimizer: in PyTorch of the ``parameters``, elsewhere without arguments. The task's own optimizer is then
    ``Sgd(1.0)`` and stands for nothing but the schedule: the optimizer's own rates are multiplied by the
    learning rates of the steps.

    ``augment(batch, rng)`` returns the inputs that a training step sees in place of ``batch (samples,
    *input)``, arrays of NumPy. The harness calls it, and hands the results over (:class:`Steps`).
    """

    loss: str = ""
    optimizer: str = ""
    augment: str = ""

    @property
    def given(self) -> tuple[str, ...]:
        """The names of the parts that are the user's own."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name))


class Start(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """A safetensors file whose arrays are initial weights, by its ``path`` and the ``sha256`` of its content.

    An array belongs to a weight of its shape and its full name, or of the name in the user's own model.
    Weights that the file lacks are drawn. The harness does this before :meth:`Program.load`.
    """

    path: str
    sha256: str


class Task(msgspec.Struct, metaclass=Described, frozen=True, kw_only=True, omit_defaults=True):
    """The complete description of a training, the same for every framework.

    Fields that equal their defaults are left out of its JSON, so that a field added later does not change the
    hash of an unchanged task.

    ``name`` is that of its definition. ``version`` is raised whenever a change makes results incomparable
    with earlier ones.

    A step minimises the ``objective`` plus the ``penalty`` by the ``optimizer``. ``epochs`` is the number of
    passes over the training data, which the harness counts; with ``samples_per_epoch`` an epoch takes so
    many training samples, the next ones of a random order. Only ``augmentation`` changes training inputs;
    ``imbalance`` and ``federated`` are the harness's work.

    ``schedule`` says how the learning rate changes from step to step; the optimizer's ``learning_rate`` is
    its largest value. The harness evaluates it and hands the rates over with the steps (:class:`Steps`); no
    backend implements one. Where it is constant, the optimizer's value may be used.

    ``networks`` holds ``model``, or ``generator`` and ``discriminator`` for :class:`Adversarial`.

    ``batch_size`` None: every step takes all training samples, as in full-batch gradient descent. Otherwise
    the last batch of an epoch is shorter where the samples are not divisible.

    The order of a step, with ``learning_rate`` that of the step:

    1. the gradient of the loss, penalty included, at ``w``; with ``privacy`` that of the loss as
       :class:`Privacy` says, and the gradient of the penalty added to it;
    2. with ``clip_norm`` above 0: all gradients of a network are multiplied by ``clip_norm / max(norm,
       clip_norm)``, ``norm`` being the root of the sum of all their squares (Pascanu et al. 2013);
    3. ``w = w * (1 - learning_rate * weight_decay)`` for all kernels, and for the tables of embeddings if
       ``decay_embeddings``, but for no bias and no scale: decoupled (Loshchilov and Hutter 2019);
    4. the optimizer's update, with that gradient, of the decayed weights.

    ``train_fraction`` is the share of the training data that is used, the same samples for every seed.
    ``build`` receives only these.

    ``own_code`` are parts of the training that are the user's code; ``start`` has weights to begin with.
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
    federated: Federated | None = None
    train_fraction: float = 1.0
    schedule: Schedule = ConstantRate()
    clip_norm: float = 0.0
    decay_embeddings: bool = False
    samples_per_epoch: int | None = None
    privacy: Privacy | None = None
    own_code: OwnCode | None = None
    start: Start | None = None

    def parameters(self) -> dict[str, Parameter]:
        """Return every parameter of every network by its full name, such as ``model/conv2d_1/kernel``."""
        return self._by_full_name(Network.parameters)

    def state(self) -> dict[str, Parameter]:
        """Return the state, changed without gradients, by full name: ``model/batch_norm_1/running_mean``."""
        return self._by_full_name(Network.state)

    def weights(self) -> dict[str, Parameter]:
        """Return parameters and state, which :meth:`Program.load` and :meth:`Program.weights` exchange."""
        return self.parameters() | self.state()

    def takes_tokens(self) -> bool:
        """Check that the training inputs are int64 tokens, which are not scaled."""
        return any(network.vocabulary() is not None for network in self.networks.values())

    def predicts_positions(self) -> bool:
        """Check that targets have a class for each position, as in a text, not one for each sample."""
        classifies = isinstance(self.objective, Classification)
        return classifies and len(self.networks["model"].output_shape()) > 1

    def special_loss(self) -> str | None:
        """Return the loss of the objective if it is one of :data:`LOSSES`, else None."""
        loss = getattr(self.objective, "loss", None)
        return loss if loss in LOSSES else None

    def is_decayed(self, parameter: str) -> bool:
        """Check that ``weight_decay`` shrinks the parameter of this name."""
        return parameter.endswith("kernel") or (self.decay_embeddings and parameter.endswith("table"))

    def with_layers(self, exchange: Callable[[AnyLayer], AnyLayer | None]) -> Task:
        """Replace each layer that contains no other by ``exchange(layer)``; None leaves it out."""
        networks = {
            name: msgspec.structs.replace(network, layers=exchanged(network.layers, exchange))
            for name, network in self.networks.items()
        }
        return msgspec.structs.replace(self, networks=networks)

    def _by_full_name(self, arrays: Callable[[Network], dict[str, Parameter]]) -> dict[str, Parameter]:
        return {
            f"{network_name}/{name}": array
            for network_name, network in self.networks.items()
            for name, array in arrays(network).items()
        }


class Preset(msgspec.Struct, metaclass=Described, frozen=True, kw_only=True):
    """A ``dataset`` and ``epochs`` for another purpose than results; None: the task's own value.

    ``max_steps`` ends the training within its epochs; None: it does not.
    """

    dataset: str | None = None
    epochs: int | None = None
    max_steps: int | None = None


class TaskDefinition(msgspec.Struct, metaclass=Described, frozen=True, kw_only=True):
    """What a task plugin provides: a name, the options that it declares, and the task that they define.

    ``name`` is its name on the command line, ``summary`` one line of text.

    ``options`` is a frozen :class:`msgspec.Struct` whose fields all have defaults, each a bool, int, float,
    str or Literal; bounds and descriptions are given by ``Annotated[..., msgspec.Meta(...)]``. Certificates
    cover the options named ``optimizer``, ``learning_rate``, ``momentum``, ``nesterov``, ``l1``, ``l2``,
    ``weight_decay``, ``flip``, ``crop``, ``schedule``, ``warmup_steps``, ``clip_norm``, ``loss`` and
    ``label_smoothing`` (:mod:`harness.core.certify.cases`).

    ``datasets`` are the data sets that fit: first the task's own, then its substitutes. ``define`` returns a
    task of the same name, and raises ValueError, with a message for the user, for options that exclude each
    other.

    ``reference`` is the file that backends are certified against (``harness reference``); None: there is no
    certificate. ``certified`` are options of the networks of a certificate, where it would take minutes with
    those of a run: fewer or narrower blocks of the same layers. ``presets`` are sizes by name; ``smoke`` is
    the smallest that still shows training.
    """

    name: str
    summary: str
    datasets: tuple[str, ...]
    options: type[msgspec.Struct]
    define: Callable[[Any], Task]
    reference: Path | None = None
    certified: Mapping[str, Any] = {}
    presets: dict[str, Preset] = {}


# What a training costs, from the description of the networks alone: FLOPs, and bytes that clients send.


def training_flops_per_sample(task: Task) -> int:
    """Count the FLOPs of one sample in a training step; matrix products and convolutions only.

    A backward pass counts as two forward passes: one for the gradients of the weights, one for the gradients
    of the inputs (Kaplan et al. 2020, section 2.1). An adversarial step trains the discriminator on a real
    and a generated sample (3 forward passes each), then takes the generator's gradient through the
    discriminator's inputs (a forward pass and the input half of a backward pass).
    """
    flops = {name: network.forward_flops() for name, network in task.networks.items()}
    if isinstance(task.objective, Adversarial):
        return 3 * flops["generator"] + (3 + 3 + 2) * flops["discriminator"]
    return 3 * sum(flops.values())


#: Of float32, in which weights are sent.
_BYTES_A_NUMBER = 4


def communicated_bytes(task: Task) -> int:
    """Count the bytes of a round of federated averaging: float32 weights and state to and from clients."""
    if task.federated is None:
        return 0
    numbers = sum(math.prod(array.shape) for array in task.weights().values())
    return 2 * task.federated.clients * _BYTES_A_NUMBER * numbers
