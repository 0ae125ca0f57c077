"""The task ``tabular``: a dense network classifies tumours as malignant or benign."""

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from harness.layers import Dense
from harness.network import Network
from harness.spec import BinaryClassification, Preset, Task, TaskDefinition
from harness_tasks.options import ClassificationOptions, OptimizerName


class TabularOptions(ClassificationOptions, frozen=True, kw_only=True):
    """Options of the training of a classifier."""

    learning_rate: Annotated[float, Meta(gt=0, description="step size of the optimizer")] = 1e-3
    optimizer: OptimizerName = "adam"


def define(options: TabularOptions) -> Task:
    """30-32-16-1 with ReLU: 1,537 parameters at width 1."""
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
        version=1,
        networks={"model": network},
        objective=BinaryClassification(),
        batch_size=32,
        epochs=50,
        imbalance=options.make_imbalance(),
    )


TABULAR = TaskDefinition(
    name="tabular",
    summary="breast cancer data: dense network, binary cross-entropy, Adam",
    datasets=("breast_cancer",),
    options=TabularOptions,
    define=define,
    reference=Path(__file__).parent / "references" / "tabular.json",
    presets={"smoke": Preset(epochs=10)},
)
