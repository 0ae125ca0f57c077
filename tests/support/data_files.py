"""Small files in all forms of CIFAR-10, for the tests of the data sets."""

import io
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image

from harness_tasks.datasets.batches import BATCHES
from harness_tasks.datasets.cifar10 import CLASSES

ROWS = 3  # of a batch; the official 10,000 would make every fixture 180 MB


def official_rows():
    """The pixels ``(ROWS, 3072)`` uint8 and the labels of each batch."""
    random = np.random.default_rng(0)
    return {
        batch: (random.integers(0, 256, (ROWS, 3072), np.uint8), random.integers(0, 10, ROWS).tolist())
        for batch in BATCHES
    }


def python_files(folder="cifar-10-batches-py/"):
    meta = b"\x80\x02}U\x0blabel_names](" + b"".join(_py2_str(name.encode()) for name in CLASSES) + b"es."
    batches = {batch: python2_pickle(*rows) for batch, rows in official_rows().items()}
    return {folder + name: content for name, content in {**batches, "batches.meta": meta}.items()}


def binary_files(folder="cifar-10-batches-bin/"):
    files = {"batches.meta.txt": "\n".join(CLASSES).encode() + b"\n\n"}
    for batch, (pixels, labels) in official_rows().items():
        files[f"{batch}.bin"] = np.column_stack([np.array(labels, np.uint8), pixels]).tobytes()
    return {folder + name: content for name, content in files.items()}


def picture_files(folder="", kind="png", train=2, test=1):
    random = np.random.default_rng(1)
    return {
        f"{folder}{split}/{name}/{number:04}.{kind}": picture(
            random.integers(0, 256, (32, 32, 3), np.uint8), kind
        )
        for split, count in (("train", train), ("test", test))
        for name in CLASSES
        for number in range(count)
    }


def picture(pixels, kind="png"):
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG" if kind == "png" else "JPEG")
    return content.getvalue()


def python2_pickle(pixels, labels):
    """A batch pickled as the official ones, by Python 2 and NumPy 1: byte strings and ``numpy.core``."""
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    shape = b"J" + struct.pack("<i", pixels.shape[0]) + b"J" + struct.pack("<i", pixels.shape[1]) + b"\x86"
    raw = b"T" + struct.pack("<i", pixels.size) + pixels.tobytes()
    array = empty + b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(" + _py2_str(b"data") + array + _py2_str(b"labels") + numbers + b"u."


def _py2_str(text):
    return b"U" + bytes([len(text)]) + text


def write_folder(path, files):
    for name, content in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def write_tar(path, files, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path
