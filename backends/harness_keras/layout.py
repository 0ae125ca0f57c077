"""The order of axes: canonical shapes put channels last, an engine may put those of pictures first."""

import contextlib
from collections.abc import Iterator

import keras

from harness.layers import Shape

#: The format that Keras is configured for, which the user's own code expects.
_CONFIGURED_FORMAT = keras.config.image_data_format()
#: Height, width and channels: the axes of a shape that is a picture.
PICTURE_AXES = 3


def put_channels_first() -> None:
    """Put the channels of pictures first in the harness's own networks."""
    keras.config.set_image_data_format("channels_first")


@contextlib.contextmanager
def configured_format() -> Iterator[None]:
    """Use the format of pictures for which Keras is configured, in this context."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(_CONFIGURED_FORMAT)
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def channels_first(shape: Shape) -> bool:
    """Check that this canonical shape is a picture and that the engine puts its channels first."""
    return len(shape) == PICTURE_AXES and keras.config.image_data_format() == "channels_first"


def keras_shape(shape: Shape) -> Shape:
    """Convert a canonical shape to the order of this engine."""
    return (shape[-1], *shape[:-1]) if channels_first(shape) else shape


def channels_axis(shape: Shape) -> int:
    """Return the axis of the channels in a batch of this canonical shape."""
    return 1 if channels_first(shape) else -1
