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
    """Let the harness's own networks put the channels of pictures first."""
    keras.config.set_image_data_format("channels_first")


@contextlib.contextmanager
def configured_format() -> Iterator[None]:
    """Inside, the format of pictures is the one that Keras is configured for."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format(_CONFIGURED_FORMAT)
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)


def channels_first(shape: Shape) -> bool:
    """Whether this canonical shape is a picture and the engine puts its channels first."""
    return len(shape) == PICTURE_AXES and keras.config.image_data_format() == "channels_first"


def keras_shape(shape: Shape) -> Shape:
    """A canonical shape in the order of this engine."""
    return (shape[-1], *shape[:-1]) if channels_first(shape) else shape


def channels_axis(shape: Shape) -> int:
    """The axis of the channels in a batch of this canonical shape."""
    return 1 if channels_first(shape) else -1
