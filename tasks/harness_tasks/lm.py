"""The task ``lm``: a transformer predicts the next character of a text."""

import math
from typing import Annotated

from msgspec import Meta

from harness.layers import (
    AnyLayer,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    PositionEmbedding,
    Residual,
    SelfAttention,
    Unembedding,
)
from harness.network import Network
from harness.spec import Adam, Optimizer, Preset, Task, TaskDefinition
from harness_tasks.options import (
    REFERENCES,
    FederatedOptions,
    LearningRate,
    OptimizerName,
    ScheduleName,
    Sized,
    Width,
)
from harness_tasks.windows import CONTEXT, VOCABULARY

_DEVIATION = 0.02
_STEPS_PER_EPOCH = 250
_BATCH = 12


class LmOptions(FederatedOptions, Sized, frozen=True, kw_only=True):
    """Options; the defaults are those that nanoGPT gives for tinyshakespeare on a CPU."""

    learning_rate: LearningRate = 1e-3
    optimizer: OptimizerName = "adam"
    weight_decay: Annotated[
        float,
        Meta(ge=0, description="decoupled: each step shrinks kernels and tables by learning_rate times this"),
    ] = 0.1
    schedule: ScheduleName = "cosine"
    warmup_steps: Annotated[
        int, Meta(ge=0, description="steps in which the learning rate rises to its value")
    ] = 100
    clip_norm: Annotated[
        float, Meta(ge=0, description="largest norm of all gradients together; 0: not clipped")
    ] = 1.0
    width: Width = 1.0
    dropout: Annotated[
        float,
        Meta(ge=0, lt=1, description="rate of dropout of embeddings, attention and each block's outputs"),
    ] = 0.0
    blocks: Annotated[int, Meta(ge=1, le=48, description="number of transformer blocks")] = 4
    heads: Annotated[int, Meta(ge=1, le=64, description="heads of each attention")] = 4

    def make_optimizer(self) -> Optimizer:
        """Return the optimizer as for other tasks, but Adam with nanoGPT's ``beta_2`` and ``epsilon``."""
        optimizer = super().make_optimizer()
        if isinstance(optimizer, Adam):
            return Adam(self.learning_rate, self.beta_1, beta_2=0.99, epsilon=1e-8)
        return optimizer


def define(options: LmOptions) -> Task:
    """Define 4 blocks of 4 heads, 128 wide: 809,856 parameters at width 1, 2,000 steps of 12 windows."""
    width = options.wide(128)
    if width % options.heads:
        raise ValueError(
            f"heads={options.heads} does not divide the width of {width} (128 times width={options.width:g})"
        )
    network = Network(
        input_shape=(CONTEXT,),
        layers=(
            Embedding(VOCABULARY, width, _DEVIATION),
            PositionEmbedding(CONTEXT, _DEVIATION),
            *options.dropout_layers(),
            *(layer for _ in range(options.blocks) for layer in _block(options, width)),
            LayerNorm(),
            Unembedding(VOCABULARY),
        ),
    )
    return options.make_task(
        name="lm",
        networks={"model": network},
        batch_size=_BATCH,
        epochs=8,
        decay_embeddings=True,
        samples_per_epoch=_STEPS_PER_EPOCH * _BATCH,
    )


def _block(options: LmOptions, width: int) -> tuple[AnyLayer, AnyLayer]:
    """Build a block of GPT-2: attention, then a dense network, each normalised before and added to its input.

    The last kernels of both are drawn smaller, by the root of the number of additions (Radford et al. 2019).
    """
    last = _DEVIATION / math.sqrt(2 * options.blocks)
    dropout: tuple[Dropout, ...] = options.dropout_layers()
    attention = SelfAttention(
        options.heads,
        causal=True,
        dropout=options.dropout,
        initializer=_DEVIATION,
        output_initializer=last,
    )
    dense = (
        Dense(4 * width, activation="gelu", initializer=_DEVIATION),
        Dense(width, initializer=last),
    )
    return (
        Residual((LayerNorm(), attention, *dropout)),
        Residual((LayerNorm(), *dense, *dropout)),
    )


LM = TaskDefinition(
    name="lm",
    summary="characters of a text: a causal transformer of four blocks, AdamW with warm-up and cosine",
    datasets=("tinyshakespeare", "pydoc"),
    options=LmOptions,
    define=define,
    reference=REFERENCES / "lm.json",
    certified={"blocks": 2, "width": 0.5},
    presets={"smoke": Preset(dataset="pydoc", epochs=1, max_steps=40)},
)
