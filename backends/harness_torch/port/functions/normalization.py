"""Normalisations."""

# ruff: noqa: ARG001  the parameters are those of torch

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from harness.tracing import semantics as kinds
from harness_torch.port.seen import Seen, Tensor, rewrites_module, roles, translates


@translates("batch_norm")
def batch_normalization(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: Any = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Seen | None:
    """The signature is that of ``torch.nn.functional``; ``torch.batch_norm`` has another order."""
    if isinstance(training, torch.Tensor) or isinstance(momentum, bool):
        return None
    does = kinds.BatchNormalization(
        epsilon=eps,
        momentum=momentum,
        unbiased_running_variance=True,
        training=training,
        channels_first=True,
    )
    return Seen(
        does,
        [x],
        roles(scale=weight, shift=bias, running_mean=running_mean, running_variance=running_var),
    )


@rewrites_module("FrozenBatchNorm2d")
def frozen_batch_normalization(module: Any, x: Tensor) -> Tensor:
    """That of torchvision, whose parameters are buffers."""
    statistics = module.running_mean, module.running_var
    return functional.batch_norm(x, *statistics, module.weight, module.bias, eps=module.eps)


@translates("layer_norm")
def layer_normalization(
    x: Tensor,
    normalized_shape: Sequence[int],
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enable: bool = True,
) -> Seen:
    """The biased variance over the last axes."""
    does = kinds.LayerNormalization(epsilon=eps, axes=tuple(range(-len(normalized_shape), 0)))
    return Seen(does, [x], roles(scale=weight, shift=bias))


@translates("rms_norm")
def rms_normalization(
    x: Tensor, normalized_shape: Sequence[int], weight: Tensor | None = None, eps: float | None = None
) -> Seen:
    """Without an epsilon it is that of the type."""
    epsilon = torch.finfo(x.dtype).eps if eps is None else eps
    axes = tuple(range(-len(normalized_shape), 0))
    return Seen(
        kinds.LayerNormalization(epsilon=epsilon, axes=axes, centered=False), [x], roles(scale=weight)
    )


@translates("group_norm")
def group_normalization(
    x: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Seen:
    """Channels are on axis 1."""
    does = kinds.GroupNormalization(groups=num_groups, epsilon=eps, channels_first=True)
    return Seen(does, [x], roles(scale=weight, shift=bias))


@translates("instance_norm")
def instance_normalization(
    x: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: Any = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Seen | None:
    """Groups of one channel; with running statistics in evaluation as batch normalisation."""
    if isinstance(use_input_stats, torch.Tensor) or isinstance(momentum, bool):
        return None
    if use_input_stats:
        groups = kinds.GroupNormalization(groups=x.shape[1], epsilon=eps, channels_first=True)
        return Seen(groups, [x], roles(scale=weight, shift=bias))
    return batch_normalization(x, running_mean, running_var, weight, bias, False, momentum, eps)
