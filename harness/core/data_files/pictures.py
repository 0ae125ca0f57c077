"""A folder of pictures by class: ``CLASS/*.png``, or ``train/CLASS/*.png`` and ``test/CLASS/*.png``."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from harness.core.data_files.content import Content, Part, Rows
from harness.core.data_files.settings import FileSettings
from harness.errors import UsageError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
_PARTS: dict[str, Part] = {"train": "train", "validation": "validation", "val": "validation", "test": "test"}


class _Picture(NamedTuple):
    path: Path
    label: str


def read_pictures(folder: Path, settings: FileSettings) -> Content:
    """Read the pictures as uint8 ``(n, height, width, 3)``, sorted by class and name."""
    pictures = _found(folder)
    wanted = _size(settings.image_size)
    if wanted is None:
        _check_sizes(folder, [each for part in pictures.values() for each in part])
    rows = {
        part: Rows(
            np.stack([_pixels(folder, each.path, wanted) for each in members]),
            np.array([each.label for each in members]),
        )
        for part, members in pictures.items()
    }
    return Content(rows, ("pictures", "the folders' names"))


def _found(folder: Path) -> dict[Part, list[_Picture]]:
    """Find the pictures of each part; folders named ``train`` and ``test`` are parts if both are there."""
    top = {path.name for path in folder.iterdir() if path.is_dir()}
    parts = (
        {_PARTS[name]: folder / name for name in sorted(top & _PARTS.keys())}
        if {"train", "test"} <= top
        else {}
    )
    found = {part: _by_class(place) for part, place in (parts or {"all": folder}).items()}
    if empty := [part for part, members in found.items() if not members]:
        where = "" if empty[0] == "all" else f" in its folder {empty[0]}"
        raise UsageError(
            f"it has no pictures{where}; expected a folder for each class, with files that end in "
            f"{', '.join(_SUFFIXES)}"
        )
    return found


def _by_class(folder: Path) -> list[_Picture]:
    return [
        _Picture(path, place.name)
        for place in sorted(folder.iterdir())
        if place.is_dir()
        for path in sorted(place.rglob("*"))
        if path.suffix.lower() in _SUFFIXES
    ]


def _size(text: str) -> tuple[int, int] | None:
    """Return height and width of ``N`` or ``HEIGHTxWIDTH``; None for no text."""
    if not text:
        return None
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def _check_sizes(folder: Path, pictures: list[_Picture]) -> None:
    """Refuse pictures of several sizes; only their headers are read."""
    sizes: Counter[tuple[int, int]] = Counter()
    first: dict[tuple[int, int], Path] = {}
    for each in pictures:
        size = _opened(folder, each.path)[0]
        sizes[size] += 1
        first.setdefault(size, each.path)
    if len(sizes) > 1:
        named = [
            f"{height}x{width} ({first[height, width].relative_to(folder)})"
            for (height, width), _ in sizes.most_common(2)
        ]
        (height, width), _ = sizes.most_common(1)[0]
        raise UsageError(
            f"its pictures have {len(sizes)} sizes, such as {' and '.join(named)}; give one to which all are "
            f"resized: --image-size {height}x{width}"
        )


def _pixels(folder: Path, path: Path, size: tuple[int, int] | None) -> np.ndarray:
    return _opened(folder, path, size, decode=True)[1]


def _opened(
    folder: Path, path: Path, resize: tuple[int, int] | None = None, *, decode: bool = False
) -> tuple[tuple[int, int], np.ndarray]:
    """Return height and width of a picture and, if it is to be decoded, its pixels in RGB."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            width, height = image.size
            if not decode:
                return (height, width), np.empty(0, np.uint8)
            converted = image.convert("RGB")
            if resize is not None and resize != (height, width):
                converted = converted.resize((resize[1], resize[0]), Image.Resampling.BILINEAR)
            return (height, width), np.asarray(converted)
    except Exception as error:  # Pillow raises many kinds for a broken picture
        raise UsageError(f"{path.relative_to(folder)} is no readable picture ({error})") from error
