"""Every code block of the documentation can be run: its commands and options exist, its files can be read."""

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from support.pages import PAGES, ROOT, Block, blocks, commands

from harness.core.plugins.files import PLUGIN_FILES_VARIABLE
from harness.core.shell.main import cli

EVERY = [block for page in PAGES for block in blocks(page)]
#: ``text`` is output. A language in braces is a directive, which the build of the pages runs.
LANGUAGES = {"sh", "python", "toml", "yaml", "text", "json"}
SHELL = [(block, words) for block in EVERY if block.language in {"sh", "yaml"} for words in commands(block)]
#: Programs that a block may call, and what stands for a path to one of them.
PROGRAMS = {"harness", "pip", "pytest", "python", "python3", "git", "export", ".", "BASE", ".ci/run"}
PROGRAMS |= {"ruff", "mypy", "lint-imports", "PYTHONPATH", "tensorboard", "eval", "_HARNESS_COMPLETE"}
PROGRAMS |= {"ray", "srun", "source", "head", "sleep", "cp", "HARNESS"}
#: Files that a reader of the page has, or the placeholder for one.
FILES = [
    "my_numpy.py",
    "my_jax.py",
    "my_trees.py",
    "input.txt",
    "my_pair.py",
    "pair.py",
    "my_task.py",
    "my_data.py",
    "my_study.py",
    "gate.toml",
    "pairs.json",
    "claim.zip",
    "PATH",
]
FILES += [f"{name}/bin/python" for name in ("base", "head", "before", "after")]
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def program(words: list[str]) -> str:
    """The program that a command calls, without its folder or what is assigned."""
    first = words[0].partition("=")[0]
    return first if first in PROGRAMS else Path(first).name


def calls_of(name: str) -> list[object]:
    return [
        pytest.param(words[1:], id=f"{block.page}: {' '.join(words)}"[:120])
        for block, words in SHELL
        if program(words) == name
    ]


#: At least so many of each are tested. A pattern that matches nothing would leave tests without cases.
FEWEST_CALLS = {"harness": 60, "pip": 10, "pytest": 6, "python": 8}
FEWEST_BLOCKS = {"sh": 45, "text": 8, "python": 6, "toml": 4, "yaml": 2}


def test_the_pages_have_blocks_and_commands_to_test():
    calls = {name: len(calls_of(name)) for name in FEWEST_CALLS}
    assert {name: count for name, count in calls.items() if count < FEWEST_CALLS[name]} == {}
    counts = Counter(block.language for block in EVERY)
    assert {name: counts[name] for name, fewest in FEWEST_BLOCKS.items() if counts[name] < fewest} == {}


def test_languages_and_programs_are_known():
    directives = {block.language for block in EVERY if block.language.startswith("{")}
    assert {block.language for block in EVERY} <= LANGUAGES | directives
    assert {program(words) for _, words in SHELL} <= PROGRAMS


@pytest.mark.parametrize("arguments", calls_of("harness"))
def test_a_harness_command_has_these_options(arguments, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PLUGIN_FILES_VARIABLE, "")  # --plugin sets it for the rest of the process
    for file in FILES:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        Path(file).touch(mode=0o755)
    if arguments == ["COMMAND", "--help"] or arguments[0] == "startup":  # the command that a guide adds
        return
    command, name = cli, arguments
    while hasattr(command, "get_command") and name:
        first, *name = name
        command = command.get_command(None, first)
        assert command is not None, arguments
    command.make_context(arguments[0], list(name), resilient_parsing=False)


@pytest.mark.parametrize("arguments", calls_of("pip"))
def test_pip_installs_an_extra_that_exists(arguments):
    named = re.findall(r"\[([\w,-]+)\]", " ".join(arguments))
    assert arguments[0] == "install"
    assert named
    # The packages that `harness new` writes have an extra of their own.
    assert {extra for group in named for extra in group.split(",")} <= EXTRAS | {"test"}


@pytest.mark.parametrize("arguments", calls_of("pytest"))
def test_pytest_knows_the_options(arguments, pytestconfig):
    known = pytestconfig._parser.optparser
    options = [word.partition("=")[0] for word in arguments if word.startswith("-")]
    assert {option for option in options if option not in known._option_string_actions} == set()


@pytest.mark.parametrize("arguments", calls_of("python"))
def test_python_runs_a_script_that_exists_or_is_on_a_page(arguments):
    script = arguments[0]
    on_a_page = any(block.text.startswith(f'"""{script}:') for block in EVERY)
    assert script == "-m" or on_a_page or (ROOT / script).is_file()


def read_yaml(text):
    document = pytest.importorskip("yaml").safe_load(text)
    steps = [step for job in document.get("jobs", {}).values() for step in job["steps"]]
    assert all(len({"uses", "run"} & set(step)) == 1 for step in steps)
    return document


READERS = {"toml": tomllib.loads, "python": ast.parse, "yaml": read_yaml}


@pytest.mark.parametrize("block", [block for block in EVERY if block.language in READERS])
def test_a_file_can_be_read(block: Block):
    assert READERS[block.language](block.text)


def test_every_python_block_is_run_by_a_test():
    """A page that gains a Python block also gains a test that runs it; these pages have theirs."""
    tested = {
        "docs/how-to/add-a-backend.md",  # test_plugin_pages.py
        "docs/how-to/add-a-command.md",
        "docs/how-to/add-a-kind-of-study.md",  # tests/learning/study/test_study_command.py
        "docs/how-to/add-a-task.md",
        "docs/how-to/add-a-data-set.md",
        "docs/how-to/benchmark-in-pytest.md",  # tests/timing/test_pytest_plugin.py
        "docs/how-to/check-a-port.md",  # tests/port/test_port_page.py
        "docs/how-to/gate-your-own-step.md",  # test_own_step_page.py
        "docs/how-to/keep-and-score-weights.md",  # tests/core/runs/test_saved_weights.py
        "docs/how-to/reproduce-a-record.md",  # tests/sharing/reproduce/test_reproduce_command.py
        "docs/how-to/use-your-own-model.md",  # test_own_model_page.py
        "docs/how-to/use-your-own-model-and-data.md",  # test_own_data_page.py
        "docs/how-to/read-results-in-a-notebook.md",  # tests/learning/runs/test_report.py
    }
    assert {block.page for block in EVERY if block.language == "python"} == tested


def test_the_install_page_lists_every_extra():
    page = PAGES["docs/how-to/install.md"].read_text()
    assert {extra for extra in EXTRAS if f"`{extra}`" not in page} == set()
