"""The order of axes: canonical shapes put channels last, an engine may put those of pictures first."""

import keras

from harness.layers import Shape

#: Height, width and channels: the axes of a shape that is a picture.
PICTURE_AXES = 3


def channels_first(shape: Shape) -> bool:
    """Whether this canonical shape is a picture and the engine puts its channels first."""
    return len(shape) == PICTURE_AXES and keras.config.image_data_format() == "channels_first"


def keras_shape(shape: Shape) -> Shape:
    """A canonical shape in the order of this engine."""
    return (shape[-1], *shape[:-1]) if channels_first(shape) else shape


def channels_axis(shape: Shape) -> int:
    """The axis of the channels in a batch of this canonical shape."""
    return 1 if channels_first(shape) else -1
