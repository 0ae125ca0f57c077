"""A whole model of the user's own, in each framework's own code, as one layer."""

from typing import Any, Literal

import msgspec

from harness.layers.base import Described, Layer, Parameter, Shape
from harness.tracing.calls import Stored


class NativeModel(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """The code of one ``framework``, as its plugin for ports is named: ``torch``, ``keras`` or ``jax``.

    ``target`` is ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, a relative file being looked up in the
    current folder. The callable gets the ``arguments``.
    """

    framework: str
    target: str
    arguments: dict[str, Any] = {}


class NativeArray(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """An array of the model: its ``name``, and the canonical ``shape``.

    ``initial`` is the standard deviation of its initial values, or what they all are. ``stored`` says by
    framework where its code holds the array, and in which form. It is not ``shared`` if each framework keeps
    a convention of its own, as of the running variance, which PyTorch divides by n - 1 and others by n; then
    certificates do not compare it.
    """

    name: str
    shape: Shape
    initial: float | Literal["zeros", "ones"]
    stored: dict[str, Stored]
    shared: bool = True


class Native(Layer, frozen=True, tag="native"):
    """A model as the user wrote it, once for each framework that can run it.

    What the ``models`` compute is not described here; ``harness port`` says whether those of two frameworks
    are the same. ``trained`` are the arrays that gradients change, ``held`` is the state. Arrays named
    ``kernel`` are decayed and penalised, as everywhere. ``outputs`` is the shape of one sample's output,
    channels last; ``vocabulary`` the number of tokens where the inputs are tokens. ``flops`` are those of one
    sample's forward pass, as far as its calls are known.

    ``dropout`` is ``none`` where the code drops no values at random, and ``active`` where it does so in
    training. If it is ``off``, a backend keeps the code from doing so, which may make it slower: certificates
    compare losses, and frameworks cannot share random bits. ``saved_by`` is the command that writes the task
    again when the code has other arrays; empty where every command does. ``options`` are the names of the
    task's options that are arguments of the models. With ``own_initial`` training starts from the values that
    the code makes once the run's seed is set, not from those that ``initial`` describes.
    """

    models: tuple[NativeModel, ...]
    trained: tuple[NativeArray, ...]
    outputs: Shape
    held: tuple[NativeArray, ...] = ()
    vocabulary: int | None = None
    flops: int | None = None
    dropout: Literal["none", "active", "off"] = "none"
    saved_by: str = ""
    options: tuple[str, ...] = ()
    own_initial: bool = False

    def output_shape(self, shape: Shape) -> Shape:
        return self.outputs

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        return {array.name: Parameter(array.shape, array.initial) for array in self.trained}

    def state(self, shape: Shape) -> dict[str, Parameter]:
        return {array.name: Parameter(array.shape, array.initial) for array in self.held}

    def forward_flops(self, shape: Shape) -> int:
        return self.flops or 0

    def model_of(self, framework: str) -> NativeModel | None:
        """Return the code for ``framework``; None if there is none."""
        return next((model for model in self.models if model.framework == framework), None)
