"""A folder in which the commands of records can be repeated: their sources and data, where they have them."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from harness.core.documents.contents import read_source
from harness.core.documents.kinds import Envelope
from harness.errors import UsageError
from harness.sharing.bundle.manifest import DATA, MANIFEST


def lay_out(records: Iterable[Envelope], results: Path, to: Path) -> list[str]:
    """Write the kept sources of ``records``, and the data of an opened bundle, to the folder ``to``.

    ``results`` is the folder of results that has the records. Return the paths of the source files that lie
    outside the folder in which a command ran; they are not written.

    Raises:
        UsageError: the content of a source is not there, its path leads out of ``to``, or two records have
            different files of one name.
        OSError: a file cannot be written.
    """
    # Data come first: no data file may take the place of code that was shown.
    data = results.parent / DATA
    if (results.parent / MANIFEST).is_file() and data.is_dir():
        shutil.copytree(data, to, dirs_exist_ok=True)
    outside, written = dict[str, None](), dict[str, str]()
    for source in [source for record in records for source in record.sources]:
        if Path(source.path).is_absolute():
            outside[source.path] = None
            continue
        if written.setdefault(source.path, source.sha256) != source.sha256:
            raise UsageError(
                f"the records have different files {source.path}; repeat each from a bundle of its own"
            )
        path = to / source.path
        if path.suffix != ".py" or not path.resolve().is_relative_to(to.resolve()):
            raise UsageError(f"{source.path!r} is no path of a Python file in the folder of its command")
        content = read_source(results, source)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return [*outside]
