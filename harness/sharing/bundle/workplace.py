"""A folder in which the command of a record can be repeated: its sources and data, where it has them."""

import shutil
from pathlib import Path

from harness.core.documents.contents import read_source
from harness.core.documents.kinds import Envelope
from harness.errors import UsageError
from harness.sharing.bundle.manifest import DATA, MANIFEST


def lay_out(record: Envelope, results: Path, to: Path) -> list[str]:
    """Write the kept sources of a record, and the data of an opened bundle, to the folder ``to``.

    ``results`` is the folder of results that has the record. Return the paths of the source files that lie
    outside the folder in which the command ran; they are not written.

    Raises:
        UsageError: the content of a source is not there, or its path leads out of ``to``.
        OSError: a file cannot be written.
    """
    # Data come first: no data file may take the place of code that was shown.
    data = results.parent / DATA
    if (results.parent / MANIFEST).is_file() and data.is_dir():
        shutil.copytree(data, to, dirs_exist_ok=True)
    outside = []
    for source in record.sources:
        if Path(source.path).is_absolute():
            outside.append(source.path)
            continue
        path = to / source.path
        if path.suffix != ".py" or not path.resolve().is_relative_to(to.resolve()):
            raise UsageError(f"{source.path!r} is no path of a Python file in the folder of its command")
        content = read_source(results, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return outside
