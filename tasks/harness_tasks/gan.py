"""The task ``gan``: a small DCGAN (Radford et al. 2016) without batch normalisation."""

from typing import Annotated

from msgspec import Meta

from harness.layers import Conv2D, ConvTranspose2D, Dense, Flatten, Reshape
from harness.network import Network
from harness.spec import Adversarial, Preset, Task, TaskDefinition
from harness_tasks.options import REFERENCES, Crop, Flip, OptimizerName, Sized, TrainingOptions, Width

LATENT_SIZE = 64


class GanOptions(TrainingOptions, Sized, frozen=True, kw_only=True):
    """Options. Adam's beta_1 is that of the DCGAN paper; its rate of 2e-4 would take five times as long."""

    learning_rate: Annotated[float, Meta(gt=0, description="step size of both optimizers")] = 1e-3
    optimizer: OptimizerName = "adam"
    beta_1: Annotated[float, Meta(ge=0, lt=1, description="decay of adam's mean of the gradients")] = 0.5
    width: Width = 1.0
    dropout: Annotated[
        float, Meta(ge=0, lt=1, description="rate of dropout before the discriminator's last layer")
    ] = 0.0
    flip: Flip = False
    crop: Crop = 0

    def make_objective(self) -> Adversarial:
        """Return the objective of two networks that play against each other."""
        return Adversarial(LATENT_SIZE)


def define(options: GanOptions) -> Task:
    """Define three transposed against three strided convolutions, as in Keras's example of a DCGAN.

    They lead from 4 by 4 to 32 by 32 and back; the generator's images are in [0, 1]. The generator's last
    convolution smooths the checkerboard patterns of transposed convolutions (Odena et al. 2016).
    """
    generator = Network(
        input_shape=(LATENT_SIZE,),
        layers=(
            Dense(4 * 4 * options.wide(128)),
            Reshape((4, 4, options.wide(128))),
            ConvTranspose2D(options.wide(64), 4, 2, activation="leaky_relu"),
            ConvTranspose2D(options.wide(32), 4, 2, activation="leaky_relu"),
            ConvTranspose2D(options.wide(16), 4, 2, activation="relu"),
            Conv2D(3, 5, activation="sigmoid", padding="same"),
        ),
    )
    discriminator = Network(
        input_shape=(32, 32, 3),
        layers=(
            Conv2D(options.wide(32), 4, activation="leaky_relu", strides=2, padding="same"),
            Conv2D(options.wide(64), 4, activation="leaky_relu", strides=2, padding="same"),
            Conv2D(options.wide(128), 4, activation="leaky_relu", strides=2, padding="same"),
            Flatten(),
            *options.dropout_layers(),
            Dense(1),
        ),
    )
    return options.make_task(
        name="gan",
        version=3,
        networks={"generator": generator, "discriminator": discriminator},
        batch_size=64,
        epochs=100,
    )


GAN = TaskDefinition(
    name="gan",
    summary="DCGAN of 32x32 images: transposed convolutions against strided ones, Adam",
    datasets=("cifar10", "digits"),
    options=GanOptions,
    define=define,
    reference=REFERENCES / "gan.json",
    certified={"width": 0.5},
    presets={"smoke": Preset(dataset="digits", epochs=1)},
)
