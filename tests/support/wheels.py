"""Wheels written by hand, and a project that builds its own without any tool."""

import zipfile
from pathlib import Path

#: The module of a build backend: the wheel of ``own.py``, with the requirements that ``needs.txt`` lists.
BUILDING = f"""
import pathlib, sys
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from support.wheels import write_wheel
def build_wheel(folder, config_settings=None, metadata_directory=None):
    here = pathlib.Path(__file__).parent
    files = {{str(path.relative_to(here)): path.read_text() for path in here.glob("own/*.py")}}
    needs = here / "needs.txt"
    requires = needs.read_text().split() if needs.exists() else ()
    if (here / "value").exists():
        files["own/built.py"] = "VALUE = " + (here / "value").read_text()
    return write_wheel(pathlib.Path(folder), "own", files, requires).name
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "building"\nbackend-path = ["."]\n'
#: The files of such a project beside those of its package, the folder ``own``.
PROJECT = {"building.py": BUILDING, "pyproject.toml": PYPROJECT}


def write_wheel(folder: Path, name: str, files=(), requires=(), version="1") -> Path:
    """A wheel of files and their contents."""
    metadata = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"]
    metadata += [f"Requires-Dist: {each}\n" for each in requires]
    tags = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    info = f"{name}-{version}.dist-info"
    files = {**dict(files), f"{info}/METADATA": "".join(metadata), f"{info}/WHEEL": tags}
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr(file, content)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))
    return path
