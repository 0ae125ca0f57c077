"""The task ``rnn``: a bidirectional GRU on MNIST-1D (Greydanus and Kobak 2024)."""

from harness.layers import GRU, Dense, Flatten
from harness.network import Network
from harness.spec import Preset, Task, TaskDefinition
from harness_tasks.options import REFERENCES, ClassificationOptions, DropoutRate, OptimizerName, Sized, Width


class RnnOptions(ClassificationOptions, Sized, frozen=True, kw_only=True):
    """Options; the defaults, Adam at 0.01, are the paper's."""

    optimizer: OptimizerName = "adam"
    width: Width = 1.0
    dropout: DropoutRate = 0.0


def define(options: RnnOptions) -> Task:
    """Define a GRU of 6 units per direction, outputs flattened: 5,134 parameters at width 1, 6,000 steps."""
    network = Network(
        input_shape=(40, 1),
        layers=(
            GRU(options.wide(6), bidirectional=True, return_sequences=True),
            Flatten(),
            *options.dropout_layers(),
            Dense(10),
        ),
    )
    return options.make_task(
        name="rnn",
        networks={"model": network},
        batch_size=100,
        epochs=167,
    )


RNN = TaskDefinition(
    name="rnn",
    summary="MNIST-1D recurrent network: a bidirectional GRU of 6, Adam",
    datasets=("mnist1d",),
    options=RnnOptions,
    define=define,
    reference=REFERENCES / "rnn.json",
    presets={"smoke": Preset(epochs=5)},
)
