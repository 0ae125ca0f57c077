"""Virtual environments in the user's cache: shared dependencies are installed once, each package on top.

:func:`environment_of` makes them. The dependencies of a package are installed into one environment for all
packages that declare the same dependencies. The environment of a package is a copy of it by hard links, into
which pip installs the package. All are made once for each Python and day, so that environments that are
compared have the releases that pip finds on one day: a release of a framework in between would look like a
change of the code.
"""

import contextlib
import email.parser
import functools
import os
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from harness.core.machine.guarded_folder import GuardedFolder
from harness.timing.environments import programs
from harness.timing.environments.cache import COMPLETE, Progress, exclusive, place_of, remove_unused


class Checkout(NamedTuple):
    """The files of a package. ``lacking`` says why some are missing; then the environment is not kept."""

    folder: Path
    lacking: str = ""


class Package(NamedTuple):
    """A project that pip installs as ``requirement``, such as ``.[torch]``, relative to its checkout.

    ``identity`` says whose files these are: a repository, a folder in it, a commit. A package that is not
    ``lasting`` is installed again each time. ``checkout`` gives the files, and is called only where they are
    needed.
    """

    requirement: str
    identity: tuple[str, ...]
    checkout: Callable[[], AbstractContextManager[Checkout]]
    lasting: bool = True


class Installed(NamedTuple):
    """An interpreter, and why files of its package are missing; empty where none is."""

    python: Path
    lacking: str = ""


@contextlib.contextmanager
def environment_of(
    requirements: Sequence[str], package: Package | None = None, *, label: str, progress: Progress
) -> Iterator[Installed]:
    """Yield the environment of these requirements for pip, and of a package with its dependencies.

    ``label`` names it in messages. Other processes wait while it is made, and while a package that is not
    lasting is in use. The remains of a killed process are replaced.
    """
    programs.refuse_options(*requirements, *([package.requirement] if package is not None else []))
    asked = " ".join([*requirements, *([package.requirement] if package is not None else [])])
    making = _Making(label, f"{label}: pip install {asked} failed", progress)
    if package is None:
        yield Installed(_python(_shared(requirements, None, making)))
        return
    venv = place_of("package", *package.identity, package.requirement, *sorted(requirements))
    with contextlib.ExitStack() as held:
        held.enter_context(exclusive(venv, progress))
        lacking = ""
        if not (package.lasting and (venv / COMPLETE).exists()):
            with package.checkout() as checkout:
                lacking = checkout.lacking
                if lacking:  # another process may get more, and must not change it while it is in use
                    venv = Path(tempfile.mkdtemp(prefix=f"{venv.name}-", dir=venv.parent))
                _install(venv, requirements, package.requirement, checkout.folder, making)
            (venv / COMPLETE).touch()
        if package.lasting:
            held.close()
        yield Installed(_python(venv), lacking)


class _Making(NamedTuple):
    """An environment that is being made: its name, the message for a failure, and its observer."""

    label: str
    failure: str
    progress: Progress

    def pip(self, venv: Path, *command: str, of: Sequence[str], folder: Path | None = None) -> None:
        """Call a command of pip in an environment for the requirements ``of``."""
        command = (str(_python(venv)), "-P", "-m", "pip", "--no-input", *command, "--", *of)
        run = functools.partial(programs.run_in_group, follow=self._follow)
        programs.output_of([*command], folder or venv.parent, self.failure, run)

    def _follow(self, line: str) -> None:
        """Show what pip does: ``Downloading torch-2.8.0-cp311-…whl (880 MB)``."""
        verb, _, what = line.strip().partition(" ")
        if verb in _SHOWN:
            self.progress.show(f"{self.label}: {verb} {what.partition(':')[0]}")


#: Lines of pip that say what it does.
_SHOWN = {"Collecting", "Downloading", "Building", "Installing"}


class Wheel(NamedTuple):
    """A package that is built: its requirement for pip, its name, and its declared dependencies."""

    requirement: str
    name: str
    requires: tuple[str, ...]

    @classmethod
    def read(cls, file: Path, extras: str) -> "Wheel":
        """Read a wheel with these ``extras``, such as ``[torch]``."""
        with zipfile.ZipFile(file) as archive:
            (metadata,) = (name for name in archive.namelist() if _METADATA.fullmatch(name))
            text = archive.read(metadata).decode("utf-8", "replace")
        fields = email.parser.HeaderParser().parsestr(text)
        return cls(f"{file}{extras}", fields["Name"], tuple(sorted(fields.get_all("Requires-Dist", []))))


_METADATA = re.compile(r"[^/]+\.dist-info/METADATA")


def _shared(requirements: Sequence[str], wheel: Wheel | None, making: _Making) -> Path:
    """Make the environment of requirements and of a package's dependencies, without the package.

    pip decides on extras and markers: it installs the package, and removes it again.
    """
    own = [] if wheel is None or not wheel.requires else [wheel]
    declared = [text for each in own for text in (Path(each.requirement).name, each.name, *each.requires)]
    venv = place_of("dependencies", *sorted(requirements), *declared)
    with exclusive(venv, making.progress):
        if not (venv / COMPLETE).exists():
            remove_unused()
            shutil.rmtree(venv, ignore_errors=True)  # what a killed process left
            if requirements or own:
                _copy_by_links(_shared([], None, making), venv)
                making.progress.doing(f"installing the dependencies of {making.label}")
                making.pip(venv, "install", of=[*requirements, *(each.requirement for each in own)])
            else:
                # -P: modules of the project must not shadow Python's own.
                make = [sys.executable, "-P", "-m", "venv", str(venv)]
                programs.output_of(make, venv.parent, f"{making.label}: no virtual environment could be made")
            for each in own:
                making.pip(venv, "uninstall", "--yes", of=[each.name])
            (venv / COMPLETE).touch()
    return venv


_PATH_WITH_EXTRAS = re.compile(r"(?P<path>[^\[\]]+?)\s*(?P<extras>\[[^\[\]]*\])?\s*")


def _install(
    venv: Path, requirements: Sequence[str], requirement: str, folder: Path, making: _Making
) -> None:
    """Make the environment of a package whose files are in ``folder``."""
    match = _PATH_WITH_EXTRAS.fullmatch(requirement)
    with GuardedFolder("wheel") as built:
        if match is None or not (folder / match["path"]).exists():
            # No path in the checkout: what it depends on is not known before pip installs it.
            wanted, shared = requirement, _shared(requirements, None, making)
        else:
            making.progress.doing(f"building {making.label}")
            builder = _shared([], None, making)
            command = "wheel", "--no-deps", "--wheel-dir", str(built.path)
            making.pip(builder, *command, of=[match["path"]], folder=folder)
            (file,) = built.path.glob("*.whl")
            wheel = Wheel.read(file, match["extras"] or "")
            wanted, shared = wheel.requirement, _shared(requirements, wheel, making)
        making.progress.doing(f"installing {making.label}")
        shutil.rmtree(venv, ignore_errors=True)
        _copy_by_links(shared, venv)
        making.pip(venv, "install", of=[*requirements, wanted], folder=folder)


def _copy_by_links(source: Path, target: Path) -> None:
    """Copy an environment without its contents, where the file system has hard links.

    pip and Python replace files and never change them, so that neither environment changes the other.
    """
    shutil.copytree(
        source, target, symlinks=True, copy_function=_link, ignore=shutil.ignore_patterns(COMPLETE)
    )
    before, after = str(source).encode(), str(target).encode()
    for file in [target / "pyvenv.cfg", *(target / "bin").iterdir()]:  # scripts name their interpreter
        if file.is_file() and not file.is_symlink() and before in (content := file.read_bytes()):
            mode = file.stat().st_mode
            file.unlink()
            file.write_bytes(content.replace(before, after))
            file.chmod(mode)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # no hard links here, or too many of this file
        shutil.copy2(source, target)


def _python(venv: Path) -> Path:
    return venv / "bin" / "python"
