"""The task ``cnn``: a small convolutional network that tells ten classes of 32×32 pictures apart."""

from typing import Annotated

from msgspec import Meta

from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Network
from harness.spec import Classification, Task, TaskDefinition
from harness_tasks.options import TrainingOptions


class CnnOptions(TrainingOptions, frozen=True, kw_only=True):
    """What may be changed of the network."""

    width: Annotated[float, Meta(gt=0, le=64, description="factor on the width of every hidden layer")] = 1.0
    dropout: Annotated[float, Meta(ge=0, lt=1, description="rate of dropout ahead of the last layer")] = 0.0


def define(options: CnnOptions) -> Task:
    """The program that ``model.fit`` of the usual Keras example runs: 315,722 parameters at width 1."""

    def wide(units: int) -> int:
        return max(1, round(units * options.width))

    dropout = (Dropout(options.dropout),) if options.dropout else ()
    network = Network(
        input_shape=(32, 32, 3),
        layers=(
            Conv2D(wide(32), 3, activation="relu"),
            MaxPool2D(2),
            Conv2D(wide(64), 3, activation="relu"),
            MaxPool2D(2),
            Flatten(),
            Dense(wide(128), activation="relu"),
            *dropout,
            Dense(10),
        ),
    )
    return Task(
        name="cnn",
        version=1,
        networks={"model": network},
        objective=Classification(),
        optimizer=options.make_optimizer(),
        penalty=options.make_penalty(),
        batch_size=64,
        epochs=10,
    )


CNN = TaskDefinition(
    name="cnn",
    summary="CIFAR-10 CNN: two convolutions, two dense layers, SGD",
    datasets=("cifar10", "digits"),
    options=CnnOptions,
    define=define,
)
