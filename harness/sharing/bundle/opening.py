"""Opening a bundle that anybody may have made: nothing is written outside a new folder, nothing is run."""

import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from harness.core.documents.contents import SOURCES
from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.shell import features
from harness.core.shell.printing import visible
from harness.errors import HarnessError, UsageError
from harness.sharing.bundle.offer import Offer, offer

MANIFEST = "bundle.json"
RESULTS = "results"
DATA = "data"
#: The most bytes of a bundle with all files unpacked, and the most files.
MOST_BYTES = 2**30
_MOST_FILES = 10_000
#: The suffixes of files, beside code in the folder of sources. Python could import others unseen.
SUFFIXES = (
    *(".json", ".html", ".txt", ".safetensors", ".npy", ".npz", ".csv", ".parquet"),
    *(".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
)


class Manifest(msgspec.Struct, frozen=True):
    """The content of ``bundle.json``: the names of the records that the bundle was made of.

    Others in it are records that these are about, such as the runs of a study.
    """

    records: list[str]


def opened(path: Path, to: Path, confirm: Callable[[Offer], None]) -> list[Path]:
    """Unpack the bundle ``path`` into the new folder ``to``, and return the files of its records there.

    ``confirm`` is shown what the bundle would have a command run, and raises unless the user agrees; then
    ``to`` is not made. Nothing of the bundle is run here.
    """
    if to.is_symlink() or to.exists():
        raise UsageError(f"{to} exists; a bundle is opened into a new folder")
    if not to.parent.is_dir():
        raise UsageError(f"the folder {to.parent} does not exist")
    try:
        with GuardedFolder("bundle", to.parent) as unpacked:
            names = _unpack(path, unpacked.path)
            confirm(_offer(path, unpacked.path))
            unpacked.path.chmod(0o755)
            unpacked.path.rename(to)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{path} is no bundle, or is damaged: {visible(str(error))}") from error
    except OSError as error:
        raise HarnessError(f"{path} cannot be opened into {to}: {error.strerror}") from error
    return [to / name for name in names]


def _unpack(path: Path, folder: Path) -> list[str]:
    """Write the files of a bundle below ``folder``, and return the names of its records."""
    with zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
        if size > MOST_BYTES or len(entries) > _MOST_FILES:
            raise UsageError(
                f"{path} is not opened: it has {len(entries):,} files of {size:,} bytes; at most "
                f"{_MOST_FILES:,} files of {MOST_BYTES:,} bytes are unpacked"
            )
        for entry in entries:
            target = (folder / entry.filename).resolve()
            suffixes = (".py",) if target.parent == folder.resolve() / RESULTS / SOURCES else SUFFIXES
            if not target.is_relative_to(folder.resolve()) or target.suffix.lower() not in suffixes:
                raise UsageError(f"{path} is not opened: no bundle has a file {visible(entry.filename)!r}")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as content, target.open("xb") as file:
                shutil.copyfileobj(content, file)
    try:
        names = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest).records
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no bundle: it has no valid {MANIFEST}") from error
    known = {entry.filename for entry in entries}
    if not names or not known.issuperset(names):
        raise UsageError(f"{path} is no bundle: {MANIFEST} names no record, or one that is not in it")
    return names


def _offer(path: Path, folder: Path) -> Offer:
    """Return what the records of an unpacked bundle would have a command run."""
    records, targets = list[Any](), list[str]()
    try:
        for kind, file in features.records().results_in(folder / RESULTS):
            records.append(kind.read(file))
            targets += kind.needs(records[-1]).targets
    except UsageError as error:
        raise UsageError(f"{path}: {str(error).replace(f'{folder}/', '')}") from error
    return offer(path.name, folder / RESULTS, records, targets)
