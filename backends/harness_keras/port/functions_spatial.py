"""Functions of ``keras.ops`` on pictures and sequences: pooling and resizing."""

from typing import Any

import keras

from harness.tracing import semantics as kinds
from harness_keras.port.called import Called, reads
from harness_keras.port.geometry import spatial, tuple_of, window_padding

Tensor = Any


@reads("nn.max_pool", "nn.average_pool")
def _pooling(called: Called) -> Tensor:
    x = called.x
    data_format = called["data_format"] or _data_format()
    lengths = spatial(x.shape, data_format)
    rank = len(lengths)
    size = tuple_of(called["pool_size"], rank)
    strides = size if called["strides"] is None else tuple_of(called["strides"], rank)
    does = kinds.Pooling(
        function="max" if called.function.endswith("max_pool") else "mean",
        size=size,
        strides=strides,
        padding=window_padding(called["padding"], lengths, size, strides, (1,) * rank),
        dilation=(1,) * rank,
        channels_first=data_format == "channels_first",
    )
    return called.record(does)


@reads("nn.adaptive_max_pool", "nn.adaptive_average_pool")
def _adaptive_pooling(called: Called) -> Tensor:
    data_format = called["data_format"] or _data_format()
    rank = len(called.x.shape) - 2
    does = kinds.AdaptivePooling(
        function="max" if "max" in called.function else "mean",
        size=tuple_of(called["output_size"], rank),
        channels_first=data_format == "channels_first",
    )
    return called.record(does)


def _data_format() -> str:
    return keras.config.image_data_format()


@reads("image.resize")
def _resize(called: Called) -> Tensor:
    x, size = called["images"], tuple_of(called["size"], 2)
    data_format = called["data_format"] or _data_format()
    lengths = spatial(x.shape, data_format)
    method = called["interpolation"]
    shrinks = any(new < old for new, old in zip(size, lengths, strict=True))
    framed = called["crop_to_aspect_ratio"] or called["pad_to_aspect_ratio"]
    if framed or method not in {"nearest", "bilinear", "bicubic"}:
        return NotImplemented
    wider = bool(called["antialias"]) and shrinks
    of_torch = keras.config.backend() == "torch" and not wider
    does = kinds.Resize(
        size=size,
        method=method,
        channels_first=data_format == "channels_first",
        coefficient=(-0.75 if of_torch else -0.5) if method == "bicubic" else None,
        antialias=wider and method != "nearest",
        inside=method == "bicubic" and not of_torch,
    )
    return called.record(does)
