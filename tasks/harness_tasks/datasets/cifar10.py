"""CIFAR-10 (Krizhevsky 2009), from the internet or from the user's files."""

from pathlib import Path

from harness.errors import DataError
from harness.spec import Dataset, DatasetSummary, DownloadProgress
from harness_tasks.datasets.store import Incoming, PublishedSource, Split, Store, data_root, no_progress

URL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
MD5 = "c58f30108f718f92721af3b95e74349a"
#: In the order of the official labels.
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COUNTS: dict[Split, int] = {"train": 50_000, "test": 10_000}


class Cifar10(PublishedSource):
    """Rows in the order of the official batches; those of an image folder by class and file name."""

    name = "cifar10"
    summary = "60,000 colour images of 32x32 in ten classes (Krizhevsky 2009)"
    importable = (
        "the official python or binary archive or its folder, Keras's cache, torchvision's root, "
        "an image folder (train/<class>/*.png or *.jpg, and test/), or a zip or tar of any of these"
    )

    @property
    def _store(self) -> Store:
        return Store(data_root() / self.name, self.name, CLASSES, self.remedy)

    def is_ready(self) -> bool:
        """Check that the data set was fetched or imported; reads no arrays."""
        return self._store.is_present()

    def summarize(self) -> DatasetSummary:
        """Return the stored description; only :meth:`load` checks that the arrays still match it."""
        return self._store.summarize()

    def load(self) -> Dataset:
        """Load the data set, memory-mapped, after verifying its fingerprint."""
        return self._store.load(input_divisor=255.0)

    def fetch(self, progress: DownloadProgress) -> None:
        """Download and store the official archive; does nothing if a complete copy is present."""
        store = self._store
        if self.is_whole():
            return
        with store.exclusive(progress):
            if self.is_whole():  # another process fetched it while this one waited
                return
            archive = self.download(URL, f"md5:{MD5}", store.fresh_folder(), progress)
            self._take(archive, progress)

    def import_from(self, path: Path, progress: DownloadProgress = no_progress) -> Dataset:
        """Import a form in ``importable``; a present copy is kept until the import has succeeded."""
        if not path.exists():
            raise DataError(f"{path} does not exist")
        with self._store.exclusive(progress):
            self._take(path, progress)
            return self.load()

    def _take(self, path: Path, progress: DownloadProgress) -> None:
        from harness_tasks.datasets.batches import read_binary, read_python
        from harness_tasks.datasets.bundle import open_bundle
        from harness_tasks.datasets.image_folder import read_images

        store = self._store
        with open_bundle(path, store.folder, progress) as bundle:
            incoming = (
                read_python(bundle, CLASSES)
                or read_binary(bundle, CLASSES)
                or read_images(bundle, CLASSES, progress)
            )
            if incoming is None:
                names = ", ".join(sorted(bundle)[:3]) or "no file"
                raise DataError(f"{path} is not CIFAR-10: expected {self.importable}; found {names}")
            store.save(_counted(incoming, path))


def _counted(incoming: Incoming, path: Path) -> Incoming:
    """Add the counts to the origin, because an image folder may hold only some of the images."""
    train, test = incoming.counts["train"], incoming.counts["test"]
    if train > COUNTS["train"] or test > COUNTS["test"]:
        raise DataError(f"{path} holds {train:,} + {test:,} images, CIFAR-10 has 50,000 + 10,000")
    subset = "" if incoming.counts == COUNTS else " (a part of 50,000 + 10,000)"
    origin = f"{incoming.origin}, {train:,} + {test:,}{subset}"
    return Incoming(origin, incoming.counts, incoming.shape, incoming.blocks)
