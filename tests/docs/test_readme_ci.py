"""What the README says of CI: the suite is one, the workflows parse, their commands have such options."""

import re
import shlex
from pathlib import Path

import pytest

from harness.cli import cli
from harness.gate.suite import Limits, read_suite
from harness.report.ci.targets import KINDS

README = (Path(__file__).parents[2] / "README.md").read_text()
SECTION = README.partition("## In CI\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", SECTION, re.DOTALL)


def blocks(language):
    return [text for one, text in BLOCKS if one == language]


@pytest.fixture
def suite(tmp_path):
    (text,) = blocks("toml")
    (tmp_path / "gate.toml").write_text(text)
    return text, read_suite(tmp_path / "gate.toml")


def test_the_suite_names_every_limit_and_tells_the_defaults(suite):
    text, read = suite
    assert all(name in text for name in (*Limits.__struct_fields__, "false_alarms"))
    plain, other = read.benchmarks
    assert plain.limits == Limits()
    assert read.false_alarms == 0.01
    assert (other.limits.max_slowdown, other.limits.max_first_step_slowdown) == (0.03, None)
    assert other.limits.max_accuracy_loss == 0.01
    assert other.options == {"learning_rate": 0.005}


def commands():
    """Every call of harness in the section, as a shell would split it."""
    lines = [line for language in ("sh", "yaml") for block in blocks(language) for line in block.splitlines()]
    found = (re.search(r"(?:^|- |run: )(harness (?:gate|history).*)", line) for line in lines)
    return [shlex.split(match[1], comments=True)[1:] for match in found if match]


def test_there_are_commands_to_try():
    assert len(commands()) >= 7


@pytest.mark.parametrize("arguments", commands(), ids=" ".join)
def test_the_commands_have_such_options(arguments):
    name, *rest = arguments
    context = cli.get_command(None, name).make_context(name, rest)
    for target in context.params.get("targets") or ():
        assert target.suffix in KINDS


def test_every_kind_of_file_is_named():
    assert all(f"`{ending}`" in SECTION for ending in KINDS)


def test_the_workflow_for_github_is_one():
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(blocks("yaml")[0])
    assert set(document[True]) == {"pull_request", "push"}  # YAML 1.1 reads `on` as true
    assert document["permissions"] == {"contents": "read"}
    (job,) = document["jobs"].values()
    assert all(len({"uses", "run"} & set(step)) == 1 for step in job["steps"])
    (kept,) = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    paths = kept["with"]["path"].split()
    written = [word for command in commands() for word in command if word.endswith((".html", ".xml"))]
    assert {path for path in paths if "." in path} <= set(written)


def test_the_workflow_for_gitlab_is_one():
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(blocks("yaml")[1])
    (job,) = document.values()
    (gate,) = [line for line in job["script"] if line.startswith("harness gate")]
    reports = job["artifacts"]["reports"]
    assert all(f"--to {path}" in gate for path in reports.values())
    assert set(reports) == {"junit", "metrics"}
    assert "--inconclusive pass" in gate  # and not allow_failure, which would let what is not believed pass
    assert "allow_failure" not in job
    assert "secret" not in SECTION
