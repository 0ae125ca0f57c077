"""What belongs to a checkout, and which modules the process of a step finds."""

import os

import pytest

from harness.core.plugins.configuration import Configuration
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import Block, Imported, ListImports, StepTarget, Timed, own_files
from harness.timing.engine.steps.search_path import is_part_of, top_of

BENCH = "import ownmodule\ndef make_step():\n    assert ownmodule.SIDE == {side!r}\n    return int\n"


def made(folder, **fields):
    """The files that the process of a step imports, which is made and called."""
    target = StepTarget(target="bench.py:make_step", folder=str(folder), **fields)
    step = OwnStep(label="step", configuration=Configuration("", "", "cpu", 1), target=target)
    with step.made() as (session, _):
        session.call(Block(1), Timed)
        return session.call(ListImports(), Imported), target


def test_submodules_belong_to_a_checkout_and_other_checkouts_and_packages_in_it_do_not(tmp_path):
    top = tmp_path.resolve() / "top"
    for name, link in {
        "": None,
        "submodule": "gitdir: ../.git/modules/submodule",
        "worktree": "gitdir: ../.git/worktrees/worktree",
        "venv/lib/site-packages": "",
    }.items():
        (top / name).mkdir(parents=True)
        if link is None:
            (top / name / ".git").mkdir()
        elif link:
            (top / name / ".git").write_text(link)
    inside = ("a.py", "src/a.py", "submodule/a.py")
    outside = ("worktree/a.py", "venv/lib/site-packages/a.py", "../a.py", "../topology/a.py")
    for expected, names in ((True, inside), (False, outside)):
        for name in names:
            assert is_part_of(os.path.normpath(top / name), str(top)) is expected, name
    assert top_of(str(top / "submodule")) == str(top)
    assert top_of(str(top / "worktree")) == str(top / "worktree")


@pytest.mark.parametrize("finder", [False, True], ids=["path", "editable"])
def test_installed_modules_come_first_where_asked(tmp_path, monkeypatch, finder):
    """Those of an editable installation too, whose finder is the last one."""
    checkout, packages = tmp_path / "checkout", tmp_path / "lib" / "site-packages"
    for folder, side in ((checkout, "checkout"), (packages, "installed")):
        folder.mkdir(parents=True)
        (folder / "ownmodule.py").write_text(f"SIDE = {side!r}\n")
    if finder:
        (packages / "ownmodule.py").rename(packages / "elsewhere.py")
        (packages / "sitecustomize.py").write_text(
            "import importlib.util, os, sys\n"
            "class Finder:\n"
            "    @staticmethod\n"
            "    def find_spec(name, path=None, target=None):\n"
            "        if name == 'ownmodule':\n"
            "            file = os.path.join(os.path.dirname(__file__), 'elsewhere.py')\n"
            "            return importlib.util.spec_from_file_location(name, file)\n"
            "sys.meta_path.append(Finder)\n"
        )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(checkout), str(packages)]))
    (checkout / "bench.py").write_text(BENCH.format(side="installed"))
    imported, target = made(checkout, installed_first=True)
    assert own_files(imported, target) == []
    (checkout / "bench.py").write_text(BENCH.format(side="checkout"))
    imported, target = made(checkout)
    assert own_files(imported, target) == [str((checkout / "ownmodule.py").resolve())]
