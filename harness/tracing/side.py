"""The contract of a side: a model of the user's own in one framework, in float64."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import msgspec
import numpy as np

from harness.tracing.calls import InputShape, Loss, Trace

Inputs = Sequence[np.ndarray]
Batch = tuple[list[np.ndarray], np.ndarray]


class Override(NamedTuple):
    """An array in the place of a call's output, or of one of its inputs; what follows is then comparable."""

    call: int
    place: int
    array: Any
    of: Literal["output", "input"] = "output"


class Update(msgspec.Struct, frozen=True):
    """The rule by which an optimizer updates a parameter; fields that do not apply are None.

    ``rule`` is ``sgd``, ``adam`` or ``rmsprop``, ``none`` for a parameter that the optimizer does not have,
    and ``unknown`` for a rule that cannot be read.

    ``decay`` is coupled if it is added to the gradient (L2), decoupled if it shrinks the weight by
    ``learning_rate * decay`` beside the update. With ``epsilon_uncorrected`` Adam adds epsilon to the root of
    the mean square before that is corrected (Kingma and Ba 2015, end of section 2), as Keras does; with
    ``epsilon_inside`` RMSprop adds it to the mean square. ``rates`` are the learning rates of
    :data:`RATED_STEPS` where they change, as far as the schedule goes; ``momentum_holds_rate`` says that the
    momentum sums steps, which contain the rate, and not gradients. Gradients are clipped by the norm of all
    of them, by that of each variable, or by value.
    """

    rule: str
    learning_rate: float | None = None
    momentum: float | None = None
    nesterov: bool | None = None
    beta_1: float | None = None
    beta_2: float | None = None
    amsgrad: bool | None = None
    centered: bool | None = None
    epsilon: float | None = None
    epsilon_uncorrected: bool | None = None
    epsilon_inside: bool | None = None
    decay: float | None = None
    decay_coupled: bool | None = None
    rates: tuple[float, ...] = ()
    momentum_holds_rate: bool | None = None
    clip_norm: float | None = None
    clip_each_norm: float | None = None
    clip_value: float | None = None


#: The rule of each parameter, by name.
Updates = dict[str, Update]
#: Fields in which frameworks place an option otherwise than PyTorch, without a choice; see
#: :meth:`Side.train`.
CONVENTIONS = ("epsilon_uncorrected", "epsilon_inside", "momentum_holds_rate")
#: The learning rate of plain descent, for sides without an optimizer of their own.
LEARNING_RATE = 0.01
#: The steps of which :class:`Update` gives the learning rates: the first ones, then every twentieth.
FIRST_STEPS = 20
RATED_STEPS = (*range(FIRST_STEPS), *range(FIRST_STEPS, 1001, 20))


class Trained(msgspec.Struct, tag=True):
    """Losses of each step, and the parameters and state after the last."""

    losses: list[float]
    parameters: dict[str, Any]


class Gradients(msgspec.Struct, tag=True):
    """Of the loss: with respect to each trained parameter in its stored shape, and to each float input.

    ``output`` is the first output in training mode, channels last, and ``of_output`` the gradient with
    respect to it: what the loss alone does.
    """

    loss: float
    parameters: dict[str, Any]
    inputs: list[Any]
    output: Any
    of_output: Any


class Side(Protocol):
    """A model that a plugin has made of what the user's callable returned.

    All arrays that come in and go out as model inputs and outputs are channels last; the side converts them
    to what its framework has (torch: channels first, where an input has at least three axes with the batch).
    Names of parameters are the framework's own. ``backend`` is the name of the backend that trains such
    models. ``draws`` says whether the code takes random numbers in training that a trace gives it none of.
    ``seeded`` says whether its initial values follow from the framework's own generator, which the backend
    seeds, rather than from keys that the code states.
    """

    framework: str
    backend: str
    draws: bool
    seeded: bool
    versions: dict[str, str]

    def parameters(self) -> dict[str, np.ndarray]:
        """Return all parameters and state by name, in the order of the framework, as stored, float64."""
        ...

    def trained(self) -> set[str]:
        """Return the names of the parameters that training changes by gradients."""
        ...

    def load(self, parameters: Mapping[str, np.ndarray]) -> None:
        """Replace the named parameters."""
        ...

    def trace(self, inputs: Inputs, *, training: bool, overrides: Sequence[Override] = ()) -> Trace:
        """Evaluate once and record every call; state is restored, and its change is in the trace."""
        ...

    def gradients(
        self, inputs: Inputs, targets: np.ndarray, loss: Loss, *, output: str = "", own: bool = False
    ) -> Gradients:
        """Compute gradients of the loss of an output in training mode, dropout switched off.

        The output is the one named ``output``, or else the first. The loss is the named loss, or with ``own``
        the side's own loss if it has one.
        """
        ...

    def train(
        self,
        batches: Sequence[Batch],
        loss: Loss,
        *,
        output: str = "",
        aligned: bool = False,
        held: Mapping[str, np.ndarray] = MappingProxyType({}),
    ) -> Trained:
        """Train a step on each batch with the side's own optimizer and loss if it has them, else SGD.

        With ``aligned`` the options of :data:`CONVENTIONS` are placed as in PyTorch. ``held`` are masks of
        parameters: where a mask is True, the gradient is zero. If the optimizer gives parameters other values
        at the end of training, such as averages, these values are the result.
        """
        ...

    def updates(self) -> Updates | None:
        """Return the rules of the side's own optimizer by trained parameter; None if there is none."""
        ...


class OwnTraining(NamedTuple):
    """The user's own optimizer and loss, from ``make_optimizer`` and ``make_loss`` of the side's file.

    ``make_optimizer`` is called as the framework needs it: with the parameters in PyTorch
    (``make_optimizer(model.parameters())``), where it may return a pair with a scheduler that makes a step
    after each of the optimizer's; without arguments elsewhere; flax takes what optax makes.
    ``make_loss`` returns a function of (outputs, targets) in the framework's own order, PyTorch and optax
    (outputs, targets), Keras (targets, outputs). None where the file has none.
    """

    make_optimizer: Any = None
    make_loss: Any = None


class SidePlugin(Protocol):
    """A framework's module of the entry-point group ``harness.sides``; importing it imports no framework.

    See :func:`later`.
    """

    def claims(self, built: Any) -> bool:
        """Check that ``built``, the result of the user's callable, is of this framework."""
        ...

    def prepare(self) -> None:
        """Make the framework compute in float64; called before the user's callable, not before its import."""
        ...

    def make_side(self, built: Any, shapes: Sequence[InputShape], own: OwnTraining) -> Side:
        """Return the side of a model; ``shapes`` are needed where parameters are made at the first call."""
        ...


def later(module: str, name: str) -> Callable[..., Any]:
    """Return a stand-in for a function or class of ``module``, which is imported at the first call."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **kwargs)

    return call
