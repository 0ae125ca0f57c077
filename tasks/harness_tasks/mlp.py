"""The task ``mlp``: a dense network on MNIST-1D (Greydanus and Kobak 2024), which shows overfitting."""

from harness.layers import Dense, Flatten
from harness.network import Network
from harness.spec import Preset, Task, TaskDefinition
from harness_tasks.options import REFERENCES, ClassificationOptions, DropoutRate, OptimizerName, Sized, Width


class MlpOptions(ClassificationOptions, Sized, frozen=True, kw_only=True):
    """Options; the defaults, Adam at 0.01, are the paper's."""

    optimizer: OptimizerName = "adam"
    width: Width = 1.0
    dropout: DropoutRate = 0.0


def define(options: MlpOptions) -> Task:
    """Define 40-100-100-10 with ReLU, and the paper's 6,000 steps: 15,210 parameters at width 1."""
    network = Network(
        input_shape=(40, 1),
        layers=(
            Flatten(),
            Dense(options.wide(100), activation="relu"),
            Dense(options.wide(100), activation="relu"),
            *options.dropout_layers(),
            Dense(10),
        ),
    )
    return options.make_task(
        name="mlp",
        networks={"model": network},
        batch_size=100,
        epochs=167,
    )


MLP = TaskDefinition(
    name="mlp",
    summary="MNIST-1D dense network: two hidden layers of 100, Adam",
    datasets=("mnist1d",),
    options=MlpOptions,
    define=define,
    reference=REFERENCES / "mlp.json",
    presets={"smoke": Preset(epochs=10)},
)
