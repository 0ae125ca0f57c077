"""The task ``resnet``: the residual networks of He et al. (2016) for CIFAR-10."""

import math
from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from harness.layers import (
    Activation,
    AnyLayer,
    BatchNorm,
    Conv2D,
    Dense,
    GlobalAveragePool,
    GroupNorm,
    Residual,
)
from harness.network import Network
from harness.spec import Preset, Task, TaskDefinition
from harness_tasks.options import (
    REFERENCES,
    ClassificationOptions,
    Crop,
    DropoutRate,
    Flip,
    LearningRate,
    ScheduleName,
    Sized,
    Width,
)

_STAGES = 3


class ResnetOptions(ClassificationOptions, Sized, frozen=True, kw_only=True):
    """Options; the defaults are those of section 4.2 of the paper.

    Its weight decay of 1e-4 adds ``1e-4 * w`` to the gradient, which is a penalty of half of it here.
    """

    learning_rate: LearningRate = 0.1
    momentum: Annotated[float, Meta(ge=0, lt=1, description="momentum of sgd")] = 0.9
    l2: Annotated[float, Meta(ge=0, description="factor of the sum of kernel² in the loss")] = 5e-5
    schedule: ScheduleName = "step"
    width: Width = 1.0
    dropout: DropoutRate = 0.0
    flip: Flip = True
    crop: Crop = 4
    depth: Annotated[
        Literal[8, 20, 32, 56], Meta(description="number of layers with a kernel, shortcuts not counted")
    ] = 20
    normalization: Annotated[
        Literal["batch", "group"], Meta(description="group: of at most 8 groups of channels, for DP-SGD")
    ] = "batch"

    def normalized(self, channels: int) -> AnyLayer:
        """Return the normalisation of ``channels``."""
        return BatchNorm() if self.normalization == "batch" else GroupNorm(math.gcd(channels, 8))


def define(options: ResnetOptions) -> Task:
    """Define three stages of 16, 32 and 64 channels: 272,474 parameters at depth 20 and width 1.

    Where a stage changes the size, the shortcut is a convolution of 1x1: the paper's option B. The paper's
    results for CIFAR-10 are those of option A, which pads with zeros.
    """
    channels = [options.wide(16 * 2**stage) for stage in range(_STAGES)]
    network = Network(
        input_shape=(32, 32, 3),
        layers=(
            _convolution(channels[0], 3),
            options.normalized(channels[0]),
            Activation("relu"),
            *(layer for stage in range(_STAGES) for layer in _stage(options, stage, channels[stage])),
            GlobalAveragePool(),
            *options.dropout_layers(),
            Dense(10),
        ),
    )
    return options.make_task(
        name="resnet",
        networks={"model": network},
        batch_size=128,
        epochs=182,  # 64,000 steps of 45,000 images
    )


def _stage(options: ResnetOptions, stage: int, channels: int) -> Iterator[AnyLayer]:
    normalized = options.normalized(channels)
    for block in range((options.depth - 2) // (2 * _STAGES)):
        strides = 2 if stage and not block else 1
        shortcut = (_convolution(channels, 1, strides), normalized) if strides > 1 else ()
        body = (
            _convolution(channels, 3, strides),
            normalized,
            Activation("relu"),
            _convolution(channels, 3),
            normalized,
        )
        yield Residual(body, shortcut)
        yield Activation("relu")


def _convolution(channels: int, kernel_size: int, strides: int = 1) -> Conv2D:
    """Build a convolution with even padding, without bias: the next normalisation would remove it."""
    return Conv2D(
        channels,
        kernel_size,
        strides=strides,
        padding=kernel_size // 2,
        bias=False,
        initializer="he_normal",
    )


RESNET = TaskDefinition(
    name="resnet",
    summary="CIFAR-10 residual network of 20 layers: batch normalisation, SGD with momentum",
    datasets=("cifar10", "digits"),
    options=ResnetOptions,
    define=define,
    reference=REFERENCES / "resnet.json",
    certified={"depth": 8},
    presets={"smoke": Preset(dataset="digits", epochs=1, max_steps=6)},
)
