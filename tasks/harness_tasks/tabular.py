"""The task ``tabular``: a dense network classifies tumours as malignant or benign."""

from typing import Annotated, Literal

from msgspec import Meta

from harness.layers import Dense
from harness.network import Network
from harness.spec import BinaryClassification, Preset, Task, TaskDefinition
from harness_tasks.options import (
    REFERENCES,
    DropoutRate,
    ImbalanceOptions,
    LearningRate,
    OptimizerName,
    Sized,
    Width,
    given,
)


class TabularOptions(ImbalanceOptions, Sized, frozen=True, kw_only=True):
    """Options of the training of a classifier."""

    learning_rate: LearningRate = 1e-3
    optimizer: OptimizerName = "adam"
    width: Width = 1.0
    dropout: DropoutRate = 0.0
    loss: Annotated[
        Literal["cross_entropy", "mse_sigmoid"],
        Meta(description="binary cross-entropy, or the mean squared error of the sigmoid"),
    ] = "cross_entropy"

    def make_objective(self) -> BinaryClassification:
        """See :class:`harness_tasks.options.TrainingOptions`."""
        return BinaryClassification(**given(BinaryClassification, loss=self.loss))


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
