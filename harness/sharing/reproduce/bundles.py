"""A bundle that is repeated: the question whether its code may run, and the folder in which it runs."""

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from harness.core.documents.contents import SourceFile, read_source
from harness.core.documents.kinds import Envelope
from harness.core.documents.numbers import first_of
from harness.core.documents.render.terminal import terminal_text
from harness.core.machine.files import is_file
from harness.core.plugins.files import name_plugin_files, plugin_files
from harness.core.shell import features
from harness.core.shell.printing import echo, print_error_line
from harness.errors import UsageError
from harness.sharing.bundle.offer import Offer
from harness.sharing.bundle.opening import DATA, MANIFEST, RESULTS
from harness.sharing.reproduce.recorded_command import RecordedCommand

#: In the folder of an opened bundle: where its commands are given again.
_WORK = "work"


def is_bundle(path: Path) -> bool:
    """Check whether a path names a bundle, by its suffix."""
    return path.suffix.lower() == ".zip" and is_file(path)


def confirmation(*, yes: bool) -> Callable[[Offer], None]:
    """Return a function that shows an offer and returns if the user agrees to it; ``yes`` agrees to any.

    The function raises UsageError if the user does not agree, or cannot be asked.
    """

    def confirm(offered: Offer) -> None:
        print_error_line(terminal_text(offered.document()))
        for source in offered.sources:
            print_error_line(f"\n# {source.path}, sha256 {source.sha256}")
            echo(_content(offered.results, source), err=True)
        if yes:
            return
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                f"{offered.bundle} was not opened: nobody can be asked here whether its code may run. "
                "Read what is shown above, and add --yes to agree"
            )
        print_error_line("Run this? [y: yes, n: no]")
        if sys.stdin.readline().strip().lower() != "y":
            raise UsageError(f"{offered.bundle} was not opened; nothing of it was run or installed")

    return confirm


def _content(results: Path, source: SourceFile) -> str:
    try:
        return read_source(results, source).decode(errors="replace")
    except UsageError as error:
        return str(error)


def enter(bundle: Path) -> None:
    """Lay out the code and the data of an opened ``bundle`` in a folder, and make it the current one.

    Plugin files that its commands name are loaded from there.
    """
    results, work = bundle / RESULTS, bundle / _WORK
    work.mkdir()
    every = [kind.read(path) for kind, path in features.records().results_in(results)]
    records = [each for each in every if isinstance(each, Envelope)]
    if outside := lay_out(records, results, work):
        raise UsageError(f"the bundle names code that is not in it: {first_of(outside, 3)}")
    os.chdir(work)
    if plugins := dict.fromkeys(itertools.chain.from_iterable(map(_plugins, records))):
        name_plugin_files([*plugin_files(), *map(Path, plugins)])


def _plugins(record: Envelope) -> list[str]:
    """Return the plugin files that the command of a record names, as far as they are code that was shown."""
    try:
        named = RecordedCommand(record.command, record.command[:1]).values("plugin")
    except UsageError:  # its repetition says so
        return []
    shown = {source.path for source in record.sources}
    return [file for file in map(os.path.normpath, named) if file in shown]


def lay_out(records: Iterable[Envelope], results: Path, to: Path) -> list[str]:
    """Write the kept sources of ``records``, and the data of an opened bundle, to the folder ``to``.

    ``results`` is the folder of results that has the records. Return the paths of the source files that lie
    outside the folder in which a command ran; they are not written.
    """
    # Data come first: no data file may take the place of code that was shown.
    data = results.parent / DATA
    if (results.parent / MANIFEST).is_file() and data.is_dir():
        shutil.copytree(data, to, dirs_exist_ok=True)
    outside, written = dict[str, None](), dict[str, str]()
    for source in [source for record in records for source in record.sources]:
        if source.path.startswith(("/", "~")):
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
