"""Tasks with all layers, objectives and rules of the contract, small enough to compare.

Between them they have every layer, every activation, and every rule: trees,
state, tokens, targets for each position, learning rates by step, clipping that takes effect, and decay.
"""

from harness.layers import (
    LSTM,
    Activation,
    AveragePool2D,
    BatchNorm,
    Conv1D,
    Conv2D,
    Dense,
    Embedding,
    GlobalAveragePool,
    LayerNorm,
    PositionEmbedding,
    Residual,
    SelfAttention,
    Skip,
    Unembedding,
    UpSample2D,
)
from harness.network import Network
from harness.spec.schedules import CosineDecay, LinearDecay, StepDecay
from harness.spec.task import (
    Adam,
    Augmentation,
    BinaryClassification,
    Classification,
    Penalty,
    RmsProp,
    Sgd,
    Task,
)

CLASSES = 5
VOCABULARY = 11

# The first convolution pads as "same" would not, the others as it would.
RESIDUAL = Network(
    (12, 8, 3),
    (
        Conv2D(4, 3, strides=2, padding=1, bias=False, initializer="he_normal"),
        BatchNorm(),
        Activation("relu"),
        Residual(
            (
                Conv2D(6, 3, padding=1, bias=False),
                BatchNorm(epsilon=0.01, update_rate=0.3),
                Activation("silu"),
                Conv2D(6, 3, "gelu_tanh", padding=1),
                BatchNorm(),
            ),
            (Conv2D(6, 1, padding=0, bias=False), BatchNorm()),
        ),
        Skip((AveragePool2D(2), Conv2D(3, 3, "gelu", padding="same"), UpSample2D(2))),
        LayerNorm(),
        Dense(7, "gelu"),
        GlobalAveragePool(),
        Dense(CLASSES),
    ),
)
TRANSFORMER = Network(
    (6,),
    (
        Embedding(VOCABULARY, 8, 0.5),
        PositionEmbedding(9, 0.5),
        Residual((LayerNorm(), SelfAttention(2, causal=True))),
        Residual((LayerNorm(), Dense(16, "gelu"), Dense(8, bias=False))),
        LayerNorm(epsilon=0.01),
        Unembedding(VOCABULARY),
    ),
)
SEQUENCES = Network(
    (9, 3),
    (
        Conv1D(4, 3, "gelu_tanh", strides=2, padding="same"),
        BatchNorm(),
        Conv1D(6, 4, "silu", strides=2, padding=2, bias=False),
        Residual((SelfAttention(3), LayerNorm())),
        GlobalAveragePool(),
        Dense(4, "tanh"),
        BatchNorm(),
        Dense(1),
    ),
)
# The same token often occurs twice in a batch, and nothing adds a dense gradient of its table.
TOKENS = Network((6,), (Embedding(VOCABULARY, 4, 0.5), LSTM(3, return_sequences=True), Dense(CLASSES)))


def _task(network: Network, objective, optimizer, **changes) -> Task:
    return Task(
        name="small",
        version=1,
        networks={"model": network},
        objective=objective,
        optimizer=optimizer,
        batch_size=8,
        epochs=1,
        **changes,
    )


TASKS = {
    "residual": _task(
        RESIDUAL,
        Classification(label_smoothing=0.1),
        Sgd(0.1, momentum=0.9),
        schedule=StepDecay((0.5,)),
        penalty=Penalty(l2=0.02),
        weight_decay=0.3,
        augmentation=Augmentation(flip=True, crop=2),
    ),
    "transformer": _task(
        TRANSFORMER,
        Classification(),
        Adam(0.01, beta_1=0.8, beta_2=0.95, epsilon=1e-3),
        schedule=CosineDecay(),
        clip_norm=0.2,
        weight_decay=0.7,
        decay_embeddings=True,
    ),
    "sequences": _task(
        SEQUENCES,
        BinaryClassification((0.5, 2.0)),
        RmsProp(0.01, rho=0.8, epsilon=1e-3),
        schedule=LinearDecay(0.5),
        clip_norm=0.1,
        weight_decay=0.7,
    ),
    "tokens": _task(
        TOKENS,
        Classification((0.5, 2.0, 1.0, 1.5, 0.25), label_smoothing=0.2),
        Adam(0.01, epsilon=1e-3),
        clip_norm=0.1,
        weight_decay=0.7,
    ),
    "nesterov": _task(
        TOKENS, Classification(), Sgd(0.1, momentum=0.9, nesterov=True), schedule=CosineDecay(), clip_norm=0.2
    ),
}


#: A transformer and a residual CNN, small enough to be certified in a second.
TEXT = Network(
    (6,),
    (
        Embedding(11, 8, 0.5),
        PositionEmbedding(7, 0.5),
        Residual((LayerNorm(), SelfAttention(2, causal=True))),
        Residual((LayerNorm(), Dense(16, activation="gelu"), Dense(8))),
        LayerNorm(),
        Unembedding(11),
    ),
)
PICTURES = Network(
    (6, 6, 2),
    (
        Conv2D(4, 3, padding=1, bias=False),
        BatchNorm(),
        Activation("relu"),
        Residual((Conv2D(4, 3, padding=1, bias=False), BatchNorm())),
        GlobalAveragePool(),
        Dense(3),
    ),
)
