"""A model of the user's own as a module, and the slots of its weights."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn.modules.dropout import _DropoutNd

from harness.backend_support.feeding import made_model, refuse_changed, seeded, stored_in
from harness.layers import Native, NativeArray
from harness.network import PlacedLayer
from harness.tracing.calls import Stored
from harness.tracing.user_code import make_model
from harness_torch.port.exact import Exact

FRAMEWORK = "torch"


class NativeModule(nn.Module):
    """The user's module, in float64 without exception where its parameters are float64.

    If ``dropping`` is false, dropout is switched off, however the user's code asks for it.
    """

    def __init__(self, model: nn.Module, *, dropping: bool) -> None:
        super().__init__()
        self.model = model
        self._dropping = dropping
        if not dropping:
            _without_rates(model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        exact = next(self.model.parameters()).dtype == torch.float64
        # What torch.compile compiles has no such modes; the user's code is then compiled as it is.
        if torch.compiler.is_compiling() or (self._dropping and not exact):
            return self.model(x)
        dtype = torch.float64 if exact else torch.get_default_dtype()
        with default_dtype(dtype), Exact(raised=exact, dropping=self._dropping):
            return self.model(x)


def _without_rates(model: nn.Module) -> None:
    """Set the rate to zero in torch's own modules that drop values."""
    for module in model.modules():
        match module:
            case _DropoutNd():
                module.p = 0.0
            case nn.RNNBase() | nn.MultiheadAttention():
                module.dropout = 0.0


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Make tensors of this type where code names no type, such as constants that a module computes."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def native_module(layer: Native) -> NativeModule:
    """Make the user's module anew."""
    with seeded(torch.initial_seed()):  # torch itself was seeded for the program
        module = made_model(
            layer, FRAMEWORK, make_model, lambda made: isinstance(made, nn.Module), " and no torch.nn.Module"
        )
    return NativeModule(module, dropping=layer.dropout != "off")


@dataclass(frozen=True)
class NativeSlot:
    """The part of one of the module's tensors that holds a canonical array."""

    name: str
    module: nn.Module
    stored: Stored
    canonical_shape: tuple[int, ...]

    @property
    def tensor(self) -> torch.Tensor:
        """The part as it is now, a view; the whole tensor where it is all of it."""
        owner, _, attribute = self.stored.name.rpartition(".")
        whole: torch.Tensor = getattr(self.module.get_submodule(owner), attribute)
        if self.stored.axis is None:
            return whole
        return whole.narrow(self.stored.axis, self.stored.start, self.stored.stop - self.stored.start)

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        return self.stored.in_stored_form(array, tuple(self.tensor.shape))

    def to_canonical(self, array: np.ndarray) -> np.ndarray:
        return self.stored.of_part(array).reshape(self.canonical_shape)


def native_slots(place: PlacedLayer, layer: Native, module: NativeModule) -> Iterator[NativeSlot]:
    """Yield the slots of all arrays."""
    own = dict(module.model.named_parameters(remove_duplicate=False))
    everything = {**own, **dict(module.model.named_buffers(remove_duplicate=False))}
    refuse_changed(layer, FRAMEWORK, everything, [name for name, each in own.items() if each.requires_grad])
    arrays: tuple[NativeArray, ...] = (*layer.trained, *layer.held)
    for array in arrays:
        stored: Stored = stored_in(array, FRAMEWORK)
        yield NativeSlot(f"{place.name}/{array.name}", module.model, stored, array.shape)
