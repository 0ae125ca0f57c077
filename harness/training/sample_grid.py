"""A grid of generated pictures, as a PNG."""

import io

import numpy as np

_GRID = 8
_SHOWN_CHANNELS = (1, 3)


def sample_grid(fakes: np.ndarray) -> bytes | None:
    """The first 64 pictures ``(n, height, width, channels)`` in [0, 1] as one PNG, eight per row, doubled.

    Grey lines separate them. One channel is shown as grey, three as red, green and blue; None for other
    numbers.
    """
    if fakes.ndim != 4 or fakes.shape[-1] not in _SHOWN_CHANNELS:  # noqa: PLR2004  axes of pictures
        return None
    from PIL import Image

    shown = np.pad(fakes[: _GRID**2], ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=0.5)
    count, height, width, channels = shown.shape
    rows = -(-count // _GRID)
    canvas = np.zeros((rows * _GRID, height, width, channels))
    canvas[:count] = np.clip(shown, 0.0, 1.0)
    table = canvas.reshape(rows, _GRID, height, width, channels).swapaxes(1, 2)
    pixels = np.round(255 * table.reshape(rows * height, _GRID * width, channels)).astype(np.uint8)
    if channels == 1:
        pixels = pixels.repeat(3, axis=2)
    file = io.BytesIO()
    Image.fromarray(np.kron(pixels, np.ones((2, 2, 1), np.uint8))).save(file, "PNG")
    return file.getvalue()
