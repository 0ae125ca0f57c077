"""The task ``tabular``: a dense network classifies tumours as malignant or benign."""

from harness.layers import Dense
from harness.network import Network
from harness.spec import Preset, Task, TaskDefinition
from harness_tasks.options import (
    REFERENCES,
    BinaryClassificationOptions,
    DropoutRate,
    LearningRate,
    OptimizerName,
    Sized,
    Width,
)


class TabularOptions(BinaryClassificationOptions, Sized, frozen=True, kw_only=True):
    """Options of the training of a classifier."""

    learning_rate: LearningRate = 1e-3
    optimizer: OptimizerName = "adam"
    width: Width = 1.0
    dropout: DropoutRate = 0.0


def define(options: TabularOptions) -> Task:
    """Define 30-32-16-1 with ReLU: 1,537 parameters at width 1."""
    network = Network(
        input_shape=(30,),
        layers=(
            Dense(options.wide(32), activation="relu"),
            Dense(options.wide(16), activation="relu"),
            *options.dropout_layers(),
            Dense(1),
        ),
    )
    return options.make_task(
        name="tabular",
        networks={"model": network},
        batch_size=32,
        epochs=50,
    )


TABULAR = TaskDefinition(
    name="tabular",
    summary="breast cancer data: dense network, binary cross-entropy, Adam",
    datasets=("breast_cancer",),
    options=TabularOptions,
    define=define,
    reference=REFERENCES / "tabular.json",
    presets={"smoke": Preset(epochs=10)},
)
