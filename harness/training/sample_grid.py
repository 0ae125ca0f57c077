"""Grids of pictures, as PNG: generated samples, the same samples epoch by epoch, classified samples."""

import io
from collections.abc import Sequence

import numpy as np

_GRID = 8
_SHOWN_CHANNELS = (1, 3)
#: Rows of a grid of samples over the epochs.
_MOST_ROWS = 10


def sample_grid(fakes: np.ndarray) -> bytes | None:
    """The first 64 pictures ``(n, height, width, channels)`` in [0, 1] as one PNG, eight per row, doubled.

    Grey lines separate them. One channel is shown as grey, three as red, green and blue; None for other
    numbers.
    """
    return _png(np.pad(fakes[: _GRID**2], _LINES, constant_values=0.5), 2) if _is_shown(fakes) else None


def first_samples(fakes: np.ndarray) -> np.ndarray:
    """The eight pictures that show the course of a training, with eight bits."""
    pictures: np.ndarray = np.round(255 * np.clip(fakes[:_GRID], 0.0, 1.0)).astype(np.uint8)
    return pictures


def shown_epochs(count: int) -> list[int]:
    """The places of at most ten of ``count`` scored epochs, evenly, the first and the last included."""
    return sorted(set(np.linspace(0, count - 1, min(count, _MOST_ROWS)).round().astype(int).tolist()))


def epochs_grid(rows: Sequence[np.ndarray]) -> bytes | None:
    """A row of eight pictures for each of these epochs, of :func:`first_samples`."""
    if not rows or not _is_shown(rows[0]):
        return None
    return _png(np.pad(np.concatenate(rows) / 255.0, _LINES, constant_values=0.5), 2)


def picture_row(pictures: np.ndarray) -> bytes | None:
    """Pictures ``(n, height, width, channels)`` of a data set side by side; None where they are no pictures.

    Values of another type than uint8 are from 0 to 1.
    """
    if not _is_shown(pictures):
        return None
    values = pictures / 255.0 if pictures.dtype == np.uint8 else pictures
    return _png(values, 1, len(pictures))


_LINES = ((0, 0), (1, 1), (1, 1), (0, 0))


def _is_shown(pictures: np.ndarray) -> bool:
    return pictures.ndim == 4 and pictures.shape[-1] in _SHOWN_CHANNELS and len(pictures) > 0  # noqa: PLR2004


def _png(shown: np.ndarray, zoom: int, columns: int = _GRID) -> bytes:
    from PIL import Image

    count, height, width, channels = shown.shape
    rows = -(-count // columns)
    canvas = np.zeros((rows * columns, height, width, channels))
    canvas[:count] = np.clip(shown, 0.0, 1.0)
    table = canvas.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    pixels = np.round(255 * table.reshape(rows * height, columns * width, channels)).astype(np.uint8)
    if channels == 1:
        pixels = pixels.repeat(3, axis=2)
    file = io.BytesIO()
    Image.fromarray(np.kron(pixels, np.ones((zoom, zoom, 1), np.uint8))).save(file, "PNG")
    return file.getvalue()
