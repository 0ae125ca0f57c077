"""The task ``cnn``: a small convolutional network that classifies 32×32 images into ten classes."""

from harness.layers import Conv2D, Dense, Flatten, MaxPool2D
from harness.network import Network
from harness.spec import Preset, Task, TaskDefinition
from harness_tasks.options import REFERENCES, ClassificationOptions, Crop, DropoutRate, Flip, Sized, Width


class CnnOptions(ClassificationOptions, Sized, frozen=True, kw_only=True):
    """Options of the training of a classifier, and of its images."""

    width: Width = 1.0
    dropout: DropoutRate = 0.0
    flip: Flip = False
    crop: Crop = 0


def define(options: CnnOptions) -> Task:
    """Define the network and training of the usual Keras example: 315,722 parameters at width 1."""
    network = Network(
        input_shape=(32, 32, 3),
        layers=(
            Conv2D(options.wide(32), 3, activation="relu"),
            MaxPool2D(2),
            Conv2D(options.wide(64), 3, activation="relu"),
            MaxPool2D(2),
            Flatten(),
            Dense(options.wide(128), activation="relu"),
            *options.dropout_layers(),
            Dense(10),
        ),
    )
    return options.make_task(
        name="cnn",
        networks={"model": network},
        batch_size=64,
        epochs=10,
    )


CNN = TaskDefinition(
    name="cnn",
    summary="CIFAR-10 CNN: two convolutions, two dense layers, SGD",
    datasets=("cifar10", "digits"),
    options=CnnOptions,
    define=define,
    reference=REFERENCES / "cnn.json",
    presets={"smoke": Preset(dataset="digits", epochs=4)},
)
