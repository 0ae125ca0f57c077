"""Opening a bundle that anybody may have made: nothing is written outside a new folder, nothing is run.

Names, kinds, sizes and hashes of all files are checked before the first one is written, and sizes again while
they are unpacked: what an archive states about itself need not be true.
"""

import hashlib
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from harness.core.machine.guarded_folder import GuardedFolder
from harness.core.machine.ownership import create_file
from harness.core.shell import features
from harness.core.shell.printing import visible
from harness.errors import HarnessError, UsageError
from harness.sharing.bundle import manifest
from harness.sharing.bundle.manifest import MANIFEST, Manifest
from harness.sharing.bundle.offer import Offer, offer

_CHUNK_BYTES = 2**16
_LONGEST_NAME = 400
_LONGEST_PART = 200
_MOST_PARTS = 24
_ENCRYPTED = 1
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
)


def opened(path: Path, to: Path, confirm: Callable[[Offer], None]) -> list[Path]:
    """Unpack the bundle ``path`` into the new folder ``to``, and return the files of its records there.

    ``confirm`` is shown what the bundle would have a command run, and raises unless the user agrees; then
    ``to`` is not made. Nothing of the bundle is run here.

    Raises:
        UsageError: the file is no bundle, is damaged or breaks a limit, ``to`` exists, or the user does not
            agree.
        HarnessError: the folder cannot be written.
    """
    if to.is_symlink() or to.exists():
        raise UsageError(f"{to} exists; a bundle is opened into a new folder")
    if not to.parent.is_dir():
        raise UsageError(f"the folder {to.parent} does not exist")
    try:
        with GuardedFolder("bundle", to.parent) as unpacked:
            listed = _unpack(path, unpacked.path)
            read = {name: _read(unpacked.path, name, path) for name in (*listed.records, *listed.others)}
            records = {name: record for name, (record, _) in read.items()}
            targets = [target for _, needed in read.values() for target in needed]
            confirm(offer(path.name, unpacked.path / manifest.RESULTS, records, targets))
            unpacked.path.chmod(0o755)
            unpacked.path.rename(to)
    except OSError as error:
        raise HarnessError(f"{path} cannot be opened into {to}: {error.strerror}") from error
    return [to / name for name in listed.records]


def _unpack(path: Path, folder: Path) -> Manifest:
    """Write the files of a bundle to an empty folder, and return their list."""
    try:
        if path.stat().st_size > manifest.MOST_BYTES:
            raise UsageError(f"{path} has more than {manifest.MOST_BYTES:,} bytes, so it is no bundle")
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            entries = _entries(archive, path)
            with archive.open(entries[MANIFEST]) as content:
                listed = _listed(content.read(manifest.MOST_MANIFEST_BYTES + 1), path)
            _refuse_unlisted(entries, listed, path)
            for name, expected in listed.files.items():
                with archive.open(entries[name]) as content:
                    _write(content, folder, name, expected, path)
            (folder / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(listed), indent=1))
    except OSError as error:
        if error.filename is not None and Path(error.filename) != path:
            raise
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except _BROKEN as error:
        raise UsageError(f"{path} is no bundle, or is damaged: {visible(str(error))}") from error
    return listed


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the entries of a zip by name, all of which may be unpacked.

    Raises:
        UsageError: one may not.
    """
    every = archive.infolist()
    if len(every) > manifest.MOST_FILES:
        raise UsageError(f"{path} has {len(every):,} files; a bundle has at most {manifest.MOST_FILES:,}")
    for entry in every:
        refuse_entry(entry, path)
    if MANIFEST not in {entry.filename for entry in every}:
        raise UsageError(f"{path} is no bundle: it has no {MANIFEST}; make one with harness bundle")
    _refuse_clashes([entry.filename for entry in every], path)
    size, packed = sum(entry.file_size for entry in every), max(1, path.stat().st_size)
    if size > manifest.MOST_BYTES or size > manifest.MOST_RATIO * packed:
        raise UsageError(
            f"{path} has {packed:,} bytes and would unpack to {size:,}; at most {manifest.MOST_BYTES:,} "
            f"bytes are unpacked, and {manifest.MOST_RATIO} for each byte"
        )
    return {entry.filename: entry for entry in every}


def refuse_entry(entry: zipfile.ZipInfo, path: Path) -> None:
    """Raise UsageError for an entry that is no plain file of a bundle, or whose name leads elsewhere."""
    name, kind = entry.filename, stat.S_IFMT(entry.external_attr >> 16)
    parts = name.split("/")
    reason = ""
    if entry.orig_filename != name or "\\" in name or any(unicodedata.category(c)[0] == "C" for c in name):
        reason = "its name has a character that no name of a bundle has"
    elif name.startswith("/") or ".." in parts or ":" in parts[0]:
        reason = "its name leads out of the folder"
    elif len(name) > _LONGEST_NAME or len(parts) > _MOST_PARTS or max(map(len, parts)) > _LONGEST_PART:
        reason = "its name is too long"
    elif "" in parts or "." in parts or not (name == MANIFEST or manifest.PLACES.fullmatch(name)):
        reason = "bundles have no such file"
    elif kind not in {0, stat.S_IFREG}:
        reason = "it is a link or a device"
    elif entry.flag_bits & _ENCRYPTED or entry.compress_type not in _METHODS:
        reason = "it is encrypted, or packed in another way than bundles are"
    if reason:
        raise UsageError(f"{path} is not opened: {visible(entry.orig_filename[:_LONGEST_PART])!r}: {reason}")


def _refuse_clashes(names: Iterable[str], path: Path) -> None:
    """Raise UsageError if two names are the same on some file system, or one is a folder of the other."""
    seen: dict[str, str] = {}
    for name in names:
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            raise UsageError(f"{path} is not opened: it has {visible(name)!r} twice")
        seen[folded] = name
    for folded, name in seen.items():
        parts = folded.split("/")
        if any("/".join(parts[:count]) in seen for count in range(1, len(parts))):
            raise UsageError(f"{path} is not opened: a folder of {visible(name)!r} is also a file")


def _listed(content: bytes, path: Path) -> Manifest:
    if len(content) > manifest.MOST_MANIFEST_BYTES:
        raise UsageError(f"{path} is not opened: its {MANIFEST} is too large")
    try:
        listed = msgspec.json.decode(content, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path} is no bundle: {MANIFEST}: {visible(str(error))}") from error
    if listed.format != manifest.FORMAT:
        raise UsageError(
            f"{path} has format {listed.format}, and this version of harness opens {manifest.FORMAT}"
        )
    return listed


def _refuse_unlisted(entries: dict[str, zipfile.ZipInfo], listed: Manifest, path: Path) -> None:
    """Raise UsageError unless ``bundle.json`` names every file, with its size, and records among them."""
    if differing := sorted(set(entries) ^ {MANIFEST, *listed.files}):
        raise UsageError(
            f"{path} is not opened: {MANIFEST} and the files differ in {visible(differing[0])!r}"
        )
    for name, file in listed.files.items():
        if file.bytes != entries[name].file_size:
            raise UsageError(f"{path} is not opened: {visible(name)!r} has another size than {MANIFEST} says")
    for name in (*listed.records, *listed.others):
        if name not in listed.files or not name.startswith(f"{manifest.RESULTS}/"):
            raise UsageError(f"{path} is not opened: its record {visible(name)!r} is not in it")
    if not listed.records:
        raise UsageError(f"{path} is not opened: it has no record")
    named = {*listed.records, *listed.others}
    for name in listed.files:
        # Repeating reads all records in the folder of results: one that is not named would not be shown.
        if name.startswith(f"{manifest.RESULTS}/") and name.endswith(".json") and name not in named:
            raise UsageError(f"{path} is not opened: {MANIFEST} does not name the record {visible(name)!r}")


def _write(content: IO[bytes], folder: Path, name: str, expected: manifest.File, path: Path) -> None:
    """Write one file of the ``expected`` size and hash; no byte more is unpacked."""
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, left = hashlib.sha256(), expected.bytes
    with open(create_file(target), "wb") as file:  # noqa: PTH123  a descriptor has no path
        while left > 0 and (chunk := content.read(min(left, _CHUNK_BYTES))):
            file.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
    if left or content.read(1) or digest.hexdigest() != expected.sha256:
        raise UsageError(
            f"{path} is not opened: {visible(name)!r} is damaged or was edited after the bundle was made"
        )


def _read(folder: Path, name: str, bundle: Path) -> tuple[Any, Sequence[str]]:
    """Read a record of an unpacked bundle, and return it with the targets of the code that it names.

    Raises:
        UsageError: that fails; without the temporary folder.
    """
    try:
        result = features.records().result_in(folder / name)
        record = result.kind.read(result.path)
        return record, result.kind.needs(record).targets
    except UsageError as error:
        raise UsageError(f"{bundle}: {str(error).replace(f'{folder}/', '')}") from error
