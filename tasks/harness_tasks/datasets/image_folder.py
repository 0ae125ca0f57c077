"""Images in folders as most tools expect them: ``train/<class>/*.png`` or ``*.jpg``, and ``test``."""

import io
import re
from collections.abc import Iterator

import numpy as np
from PIL import Image, UnidentifiedImageError

from harness.errors import DataError
from harness.spec import DownloadProgress, Samples
from harness_tasks.datasets.bundle import Bundle, Member
from harness_tasks.datasets.store import Incoming, Split

SHAPE = (32, 32, 3)
BLOCK = 1_000  # images in memory at a time
SPLITS: tuple[Split, Split] = ("train", "test")

_IMAGE = re.compile(
    r"(?P<root>(?:.*/)?)(?P<split>train|test)/(?P<label>[^/]+)/[^/]+\.(?P<kind>(?i:jpe?g|png))"
)


def read_images(bundle: Bundle, classes: tuple[str, ...], progress: DownloadProgress) -> Incoming | None:
    """Read the images in the order of ``classes``, within a class by file name; None if there are none.

    Every image must be 32x32 and is converted to RGB. ``origin`` states the file format, because JPEG does
    not preserve the original bytes.
    """
    matches = [match for match in map(_IMAGE.fullmatch, sorted(bundle)) if match]
    if not matches:
        return None
    root = min((match["root"] for match in matches), key=lambda root: (root.count("/"), root))
    matches = [match for match in matches if match["root"] == root]
    for split in SPLITS:
        labels_found = {match["label"] for match in matches if match["split"] == split}
        if labels_found != set(classes):
            raise DataError(
                f"expected the folders {', '.join(classes)} with images in {root}{split}, "
                f"found {', '.join(sorted(labels_found)[:12]) or 'none'}"
            )
    labels = {name: label for label, name in enumerate(classes)}
    rows: dict[Split, list[tuple[int, Member]]] = {
        split: [(labels[m["label"]], bundle[m.string]) for m in matches if m["split"] == split]
        for split in SPLITS
    }
    for split in SPLITS:
        rows[split].sort(key=lambda row: row[0])  # stable: file names stay in order
    counts = {split: len(rows[split]) for split in SPLITS}
    kinds = {match["kind"].lower() for match in matches}
    return Incoming(_origin(kinds), counts, SHAPE, _blocks(rows, progress))


def _origin(kinds: set[str]) -> str:
    lossy = kinds - {"png"}
    if not lossy:
        return "PNG images from an image folder"
    names = "JPEG and PNG" if "png" in kinds else "JPEG"
    return f"{names} images from an image folder (lossy; not the official bytes)"


def _blocks(
    rows: dict[Split, list[tuple[int, Member]]], progress: DownloadProgress
) -> Iterator[tuple[Split, Samples]]:
    total = sum(member.size for split in SPLITS for _, member in rows[split])
    done = 0
    for split in SPLITS:
        for start in range(0, len(rows[split]), BLOCK):
            block = rows[split][start : start + BLOCK]
            inputs = np.stack([_decode(member) for _, member in block])
            yield split, Samples(inputs, np.array([label for label, _ in block], np.int64))
            done += sum(member.size for _, member in block)
            progress("reading images", done, total)


def _decode(member: Member) -> np.ndarray:
    """Decode an image to uint8 ``(32, 32, 3)``. Only the format that its name states is tried."""
    kind = "PNG" if member.where.lower().endswith("png") else "JPEG"
    content = member.read()
    try:
        with Image.open(io.BytesIO(content), formats=[kind]) as image:
            if image.size == SHAPE[:2]:  # checked before any pixel is decoded
                return np.asarray(image.convert("RGB"))
            width, height = image.size
    except UnidentifiedImageError as error:
        cause = f"it begins with the bytes {content[:8].hex(' ')}" if content else "it is empty"
        raise DataError(f"{member.where} is not a readable {kind} image: {cause}") from error
    except Exception as error:  # Pillow raises many kinds for a broken image
        raise DataError(f"{member.where} is not a readable {kind} image: {error}") from error
    raise DataError(f"{member.where} is {width}x{height}, expected 32x32")
