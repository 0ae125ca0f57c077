"""Commands that are killed together with their guards: what they leave, and what then removes it."""

import pytest
from support.repository import add_commit, git

#: A step that kills the command which asked for it, after all that could clean up.
STEP = """
import os, time
import psutil
import model
def make_step():
    command = psutil.Process(os.getppid())
    for each in command.children(recursive=True):
        if each.pid != os.getpid():
            each.kill()
    command.kill()
    time.sleep(60)
"""
SUITE = '[benchmarks.train]\nstep = "bench.py:make_step"\n'
COMMANDS = {
    "gate": ("gate", "--base", "first"),
    "bisect": ("bisect", "--good", "first", "--bad", "HEAD", "--step", "bench.py:make_step"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_killed_command_leaves_no_worktree_and_its_folders_are_cleaned(harness, tmp_path, command):
    top = harness.folder
    files = {"bench.py": STEP, "model.py": "RATE = 1\n", "gate.toml": SUITE, ".gitignore": "results/\n"}
    add_commit(top, files)
    git(top, "tag", "first")
    add_commit(top, {"model.py": "RATE = 2\n"})
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    own = {"TMPDIR": str(temporary), "HARNESS_CACHE_DIR": str(tmp_path / "cache")}
    killed = harness(*COMMANDS[command], **own)
    assert killed.returncode == -9, killed.stderr
    assert len(git(top, "worktree", "list").splitlines()) == 1
    left = sorted(str(path) for path in temporary.iterdir())
    assert any("checkout" in path for path in left)
    shown = harness.ok("clean", "--dry-run", **own).stdout
    assert [path for path in left if path in shown] == left
    harness.ok("clean", "--yes", **own)
    assert not list(temporary.iterdir())
