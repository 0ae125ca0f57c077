"""Attention, alone and with its projections."""

# ruff: noqa: ARG001  the parameters are those of torch

import inspect
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn import functional

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_torch.port.functions.convolutions import TRANSPOSED
from harness_torch.port.functions.masks import additive, with_causal, without_causal
from harness_torch.port.seen import Role, Seen, Tensor, rewrites, rewrites_module, roles
from harness_torch.port.tracer import NotTranslated, active

_SEQUENCE, _HEADS = 3, 4


@rewrites("scaled_dot_product_attention")
def attention(
    x: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention of (batch, heads, length, depth); without an axis of heads of one head."""
    if x.dim() == _SEQUENCE and key.dim() == _SEQUENCE:
        mask = attn_mask.unsqueeze(1) if attn_mask is not None and attn_mask.dim() == _SEQUENCE else attn_mask
        query, key, value = (each.unsqueeze(1) for each in (x, key, value))
        return attention(query, key, value, mask, dropout_p, is_causal, scale).squeeze(1)
    if x.dim() != _HEADS or key.dim() != _HEADS:
        raise NotTranslated
    if enable_gqa and key.shape[1] != x.shape[1]:
        key, value = (each.repeat_interleave(x.shape[1] // each.shape[1], 1) for each in (key, value))
    added = attn_mask
    if attn_mask is not None:
        added = additive(~attn_mask if attn_mask.dtype == torch.bool else attn_mask)
    offset, mask = without_causal(added)
    offset = 0 if is_causal else offset
    factor = 1 / math.sqrt(x.shape[-1]) if scale is None else float(scale)

    def run(tensors: list[Tensor]) -> Tensor:
        query, keys, values, *masks = tensors
        both = with_causal(offset, masks[0] if masks else None, query.shape[-2], keys.shape[-2])
        return functional.scaled_dot_product_attention(query, keys, values, both, scale=factor)

    does = kinds.Attention(scale=factor, causal_offset=offset, masked=mask is not None)
    inputs = [x, key, value] if mask is None else [x, key, value, mask]
    result: Tensor = active().run(Seen(does, inputs), run, "torch.nn.functional.scaled_dot_product_attention")
    return functional.dropout(result, dropout_p) if dropout_p else result


@rewrites_module("MultiheadAttention")
def of_module(
    module: torch.nn.MultiheadAttention,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """A module whose inputs have the batch first; others call the function."""
    if not module.batch_first:
        raise NotTranslated
    packed = module.in_proj_weight is not None
    settings = {
        "embed_dim_to_check": module.embed_dim,
        "num_heads": module.num_heads,
        "in_proj_weight": module.in_proj_weight,
        "in_proj_bias": module.in_proj_bias,
        "bias_k": module.bias_k,
        "bias_v": module.bias_v,
        "add_zero_attn": module.add_zero_attn,
        "dropout_p": module.dropout,
        "out_proj_weight": module.out_proj.weight,
        "out_proj_bias": module.out_proj.bias,
        "training": module.training,
        "need_weights": need_weights,
        "average_attn_weights": average_attn_weights,
        "use_separate_proj_weight": not packed,
        "q_proj_weight": module.q_proj_weight,
        "k_proj_weight": module.k_proj_weight,
        "v_proj_weight": module.v_proj_weight,
    }
    return _projected([query, key, value], attn_mask, key_padding_mask, settings)


_PARAMETERS = tuple(inspect.signature(functional.multi_head_attention_forward).parameters)[1:]


@rewrites("multi_head_attention_forward")
def of_function(x: Tensor, *args: Any, **kwargs: Any) -> Any:
    """The function, whose inputs are (length, batch, width)."""
    settings = dict(zip(_PARAMETERS, args, strict=False)) | kwargs
    key, value = settings.pop("key"), settings.pop("value")
    masks = settings.pop("attn_mask", None), settings.pop("key_padding_mask", None)
    settings.pop("is_causal", None)
    if settings.pop("static_k", None) is not None or settings.pop("static_v", None) is not None:
        raise NotTranslated
    query = x.transpose(0, 1)
    key, value = (query if each is x else each.transpose(0, 1) for each in (key, value))
    out, weights = _projected([query, key, value], *masks, settings)
    return out.transpose(0, 1), weights


def _projected(
    inputs: list[Tensor], attn_mask: Tensor | None, padding: Tensor | None, settings: Mapping[str, Any]
) -> tuple[Tensor, Tensor | None]:
    """Record attention with projections of (batch, length, width); gives the output and the weights."""
    if inputs[0].dim() != _SEQUENCE or settings["bias_k"] is not None or settings["add_zero_attn"]:
        raise NotTranslated
    query, key, value = inputs
    heads = settings["num_heads"]
    offset, mask = _masks(attn_mask, padding, len(query), heads)
    given = [query] if query is key is value and mask is None else inputs
    fixed = {**settings, "dropout_p": 0.0}

    def run(tensors: list[Tensor]) -> tuple[Tensor, Tensor | None]:
        q, k, v = tensors[:1] * 3 if len(given) == 1 else tensors[: len(inputs)]
        full = with_causal(offset, None if mask is None else tensors[-1], q.shape[1], k.shape[1])
        if full is not None and full.dim() == _HEADS:
            full = full.expand(len(q), heads, q.shape[1], k.shape[1]).flatten(0, 1)
        q, k, v = (each.transpose(0, 1) for each in (q, k, v))
        out, weights = functional.multi_head_attention_forward(q, k, v, **fixed, attn_mask=full)
        return out.transpose(0, 1), weights

    does = kinds.MultiHeadAttention(
        heads=heads,
        scale=1 / math.sqrt(settings["embed_dim_to_check"] // heads),
        causal_offset=offset,
        masked=mask is not None,
    )
    seen = Seen(does, given if mask is None else [*given, mask], _roles(settings))
    out, weights = active().run(seen, run, "torch.nn.functional.multi_head_attention_forward")
    rate = settings["dropout_p"]
    return (functional.dropout(out, rate, settings.get("training", True)) if rate else out), weights


def _masks(
    attn_mask: Tensor | None, padding: Tensor | None, batch: int, heads: int
) -> tuple[int | None, Tensor | None]:
    """The causal offset, and what else is added: (queries, keys) or (batch, heads, queries, keys)."""
    added = None if attn_mask is None else additive(attn_mask)
    if added is not None and added.dim() == _SEQUENCE:
        added = added.reshape(batch, heads, *added.shape[1:])
    offset, mask = without_causal(added)
    if padding is None:
        return offset, mask
    padded = additive(padding)[:, None, None, :]
    _, padded_mask = without_causal(padded)
    if padded_mask is None:
        return offset, mask
    return offset, padded if mask is None else mask + padded


def _roles(settings: Mapping[str, Any]) -> dict[str, Role]:
    width = settings["embed_dim_to_check"]
    found: dict[str, Role | Tensor | None] = {}
    for number, name in enumerate(("query", "key", "value")):
        rows = {"axis": 0, "start": number * width, "stop": (number + 1) * width}
        if settings.get("use_separate_proj_weight"):
            found[f"{name}_kernel"] = Role(settings[f"{name[0]}_proj_weight"], TRANSPOSED)
        else:
            found[f"{name}_kernel"] = Role(settings["in_proj_weight"], Stored("", axes=(1, 0), **rows))
        if settings["in_proj_bias"] is not None:
            found[f"{name}_bias"] = Role(settings["in_proj_bias"], Stored("", **rows))
    found["output_kernel"] = Role(settings["out_proj_weight"], TRANSPOSED)
    found["output_bias"] = settings["out_proj_bias"]
    return roles(**found)
