"""The modules of a step's process: where they are looked for, and the files that were imported.

``program.py`` executes this file in the process of the user's step, so it imports the standard library alone
and runs on Python 3.8. The harness itself uses the functions about checkouts.
"""

import os
import re
import sys
from importlib.machinery import PathFinder

_INSTALLED = re.compile(r"[/\\](site|dist)-packages[/\\]")
#: A submodule's ``.git`` is a file that names a folder of the repository around it.
_SUBMODULE = re.compile(rb"\.git/(.*/)?modules/")
_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_LIBRARY = os.path.realpath(os.path.dirname(os.__file__)) + os.sep


class ForeignCodeError(BaseException):
    """A module is the code of another side. No ``except Exception`` around an import hides it."""


def is_installed(file: str) -> bool:
    """Check that a file lies in a folder of installed packages."""
    return _INSTALLED.search(file) is not None


def top_of(folder: str) -> str:
    """Return the top of the checkout that a folder is in; the folder itself outside of any."""
    start = folder = os.path.realpath(folder)
    while not _is_top(folder):
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return start
    return folder


def is_part_of(file: str, checkout: str) -> bool:
    """Check that a file is the code of a checkout, given by its top.

    Packages that are installed in a folder of it are not, nor is another checkout in it; a submodule is.
    ``file`` and ``checkout`` have no symbolic links.
    """
    folder = os.path.dirname(file)
    if not (folder + os.sep).startswith(checkout.rstrip(os.sep) + os.sep) or is_installed(
        file[len(checkout) :]
    ):
        return False
    while len(folder) > len(checkout):
        if _is_top(folder):
            return False
        folder = os.path.dirname(folder)
    return True


def _is_top(folder):
    git = os.path.join(folder, ".git")
    if os.path.isdir(git):
        return True
    try:
        with open(git, "rb") as link:
            return _SUBMODULE.search(link.read(4096)) is None
    except OSError:
        return False


class SearchPath:
    """The first finder of modules in the process: it finds what the others find.

    It refuses the code of a ``foreign`` checkout, an object with its top and the remedy, before a line of it
    runs.
    """

    def __init__(self, folders, installed_first, foreign):
        self._foreign = foreign
        self._folders, self._found = {}, set()
        if not installed_first:
            sys.path[:0] = folders
        else:
            # PYTHONPATH may name them too, and what is installed comes before them all the same.
            own = {os.path.realpath(folder) for folder in folders}
            sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder or ".") not in own]
            if sys.meta_path[-1] is PathFinder:
                sys.path += folders
            else:  # the finders of editable installations come last, and before these folders
                sys.meta_path.append(_Last(folders))
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        for finder in list(sys.meta_path):
            find_spec = None if finder is self else getattr(finder, "find_spec", None)
            spec = find_spec and find_spec(name, path, target)
            if spec is not None:
                if spec.has_location and isinstance(spec.origin, str):
                    self._check(spec)
                return spec
        return None

    def _check(self, spec):
        file = self._real(spec.origin)
        self._found.add((spec.origin, file))
        is_of_python = file.startswith(_LIBRARY)  # may lie in a checkout, as with conda
        if self._foreign is not None and not is_of_python and is_part_of(file, self._foreign["top"]):
            place = os.path.relpath(file, self._foreign["top"])
            raise ForeignCodeError(f"it imports {place}{self._foreign['remedy']}")

    def _real(self, file):
        """Return the file without symbolic links, which are looked up once for each folder."""
        if os.path.islink(file):
            return os.path.realpath(file)
        folder, name = os.path.split(os.path.abspath(file))
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return os.path.join(self._folders[folder], name)

    def imported(self):
        """Return the files of all modules but this program."""
        files = set(self._found)
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and os.path.isabs(file):  # torch.classes names no file of its own
                files.add((file, self._real(file)))
        own, installed = set(), set()
        for file, real in files:
            if is_installed(file) or is_installed(real) or real.startswith(_LIBRARY):
                installed.add(real)
            elif not real.startswith(_HERE):
                own.add(real)
        return {"own": sorted(map(_text, own)), "installed": sorted(map(_text, installed))}


class _Last:
    """A finder of modules in folders that come after everything that is installed."""

    def __init__(self, folders):
        self._folders = folders

    def find_spec(self, name, path=None, target=None):
        return PathFinder.find_spec(name, self._folders, target) if path is None else None


def _text(file):
    """Return a name that JSON can hold."""
    return os.fsencode(file).decode("utf-8", "replace")
