"""Paths that users name: refused in a line before anything begins, and folders that only output fills."""

import os
from pathlib import Path

import click
import pytest

from harness.core.documents.files import fill_folder, refuse_foreign_folder, write_text
from harness.core.shell.main import cli, commands
from harness.core.shell.paths import Output, OutputFile, OutputFolder, UserPath
from harness.errors import UsageError

TOO_LONG = "x" * 300
#: Each names a path that cannot be used.
COMMANDS = (
    *(("list", "results", "--results", path) for path in ("", TOO_LONG, "file/below", "loop/below")),
    ("clean", "--results", TOO_LONG),
    ("clean", "--results", ""),
    *(("report", "--to", path) for path in ("", "/", ".", TOO_LONG, f"{TOO_LONG}.html", "file/below.html")),
    *(("report", "--to", path) for path in ("nowhere/page.html", "pipe.html", "folder.html", "loop")),
    ("new", "task", "x" * 300),
    *(("new", "task", "mine", "--to", path) for path in ("", "/", ".", TOO_LONG, "file/below")),
    *(
        ("port", "a.py:f", "b.py:f", "--page", path)
        for path in ("", TOO_LONG, "/dev/null", "nowhere/page.html")
    ),
    ("port", "a.py:f", "b.py:f", "--save-map", ""),
    ("port", "a.py:f", "--save-task", TOO_LONG),
    ("history", "--to", ""),
    ("explain", "last", "--to", "/dev/null"),
    ("gate", "--base", "main", "--to", "nowhere/gate.html"),
    ("reference", "mlp", "--backend", "torch,jax", "--to", TOO_LONG),
    ("data", "import", "cifar10", TOO_LONG),
    ("run", "--backend", "torch", "--task", "mlp", "--plugin", ""),
)


@pytest.fixture
def paths(tmp_path, monkeypatch):
    """A current folder with a file, a pipe, a folder that is named like a page, and a link to itself."""
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    os.mkfifo("pipe.html")
    Path("folder.html").mkdir()
    Path("loop").symlink_to("loop")
    return tmp_path


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda words: " ".join(word[:12] for word in words))
def test_a_path_that_cannot_be_used_is_refused_in_a_line(quick, paths, arguments):
    before = sorted(paths.rglob("*"))
    done = quick(*arguments)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert len(done.stderr) < 250
    assert sorted(paths.rglob("*")) == before


@pytest.mark.parametrize("kind", [UserPath, OutputFile, OutputFolder, Output])
def test_no_character_of_a_path_is_nul(kind):
    with pytest.raises(click.BadParameter, match="NUL"):
        kind().convert("a\0b", None, None)


def test_every_path_of_a_command_is_checked():
    """By its type: no command takes click's own."""

    def parameters(command):
        yield from command.params
        for name in getattr(command, "commands", ()):
            yield from parameters(command.commands[name])

    for name in commands():
        for parameter in parameters(cli.get_command(click.Context(cli), name)):
            assert not isinstance(parameter.type, click.Path) or isinstance(parameter.type, UserPath), name


def test_a_folder_is_filled_again_and_one_of_the_user_never(tmp_path):
    new, empty, mine = tmp_path / "new", tmp_path / "empty", tmp_path / "mine"
    for folder in (empty, mine):
        (folder / ".git").mkdir(parents=True)
    (mine / "thesis.tex").touch()
    for folder in (new, empty):
        for _ in range(2):
            fill_folder(folder)
            (folder / "chart.svg").touch()
    with pytest.raises(UsageError, match=r"mine has other files \(thesis.tex\); give a new or an empty"):
        fill_folder(mine)
    refuse_foreign_folder(tmp_path / "nowhere")


def test_a_link_is_followed_only_if_the_user_names_it(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    write_text(link, "named")
    assert target.read_text() == "named"
    write_text(link, "beside", named=False)
    assert (target.read_text(), link.is_symlink(), link.read_text()) == ("named", False, "beside")
