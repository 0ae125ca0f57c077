"""The pages about gates: the suites can be read, and the workflows are complete."""

import re

import pytest
import yaml
from msgspec.structs import fields
from support.pages import PAGES, ROOT, blocks

from harness.core.shell.main import cli
from harness.timing.environments.suite import Benchmark, Limits, limit_units
from harness.timing.environments.suite_file import read_suite
from harness.timing.gate import ci_formats
from harness.timing.gate.command import command

HOW_TO = "docs/how-to/gate-a-pull-request.md"
REFERENCE = "docs/reference/gate-suite.md"
OWN_STEP = "docs/how-to/gate-your-own-step.md"
WORKFLOWS = blocks(HOW_TO, "yaml")
WORKFLOW_FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def github(page):
    """The workflows for GitHub on a page."""
    return [block for block in blocks(page, "yaml") if "jobs" in yaml.safe_load(block.text)]


def suite(page, folder):
    (block,) = blocks(page, "toml")
    (folder / "gate.toml").write_text(block.text)
    return block.text, read_suite(folder / "gate.toml")


def test_the_suite_of_the_guide_is_read(tmp_path):
    _, read = suite(HOW_TO, tmp_path)
    assert [one.name for one in read.benchmarks] == ["cnn", "rnn"]


def test_the_reference_names_every_key_and_shows_the_defaults(tmp_path):
    text, read = suite(REFERENCE, tmp_path)
    keys = {field.encode_name for field in fields(Benchmark)} - {"name", "limits"}
    assert all(f"`{key}`" in PAGES[REFERENCE].read_text() for key in keys)
    assert all(name in text for name in (*limit_units(), "false_alarms"))
    plain, other = read.benchmarks
    assert plain.limits == Limits()
    assert read.false_alarms == 0.01
    assert (other.limits.max_slowdown, other.limits.max_first_step_slowdown) == (0.03, None)
    assert other.limits.max_accuracy_loss == 0.01
    assert other.options == {"learning_rate": 0.005}


def test_every_kind_of_file_is_named():
    text = PAGES[HOW_TO].read_text()
    assert all(f"`{ending}`" in text for ending in ci_formats.FORMATS)


def used(document, action):
    """The steps of a workflow that use an action of this project."""
    steps = [step for job in document["jobs"].values() for step in job["steps"]]
    return [step for step in steps if step.get("uses", "").endswith((f"/{action}@v1", f"/{action}"))]


def given_inputs(action):
    return yaml.safe_load((ROOT / ".github" / "actions" / action / "action.yml").read_text())["inputs"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            pytest.param(block.text, id=page)
            for page in ("README.md", HOW_TO, OWN_STEP)
            for block in github(page)
        ),
        *(pytest.param(path.read_text(), id=path.name) for path in WORKFLOW_FILES if path.name == "gate.yml"),
    ],
)
def test_workflows_use_the_action_with_inputs_that_it_has(text):
    document = yaml.safe_load(text)
    steps = used(document, "gate")
    assert steps
    for step in steps:
        inputs = step.get("with", {})
        assert inputs.keys() <= given_inputs("gate").keys()
        command.make_context("gate", ["--base", "HEAD", *inputs.get("options", "").split()])
    for step in used(document, "comment"):
        assert step.get("with", {}).keys() <= given_inputs("comment").keys()


def test_the_guide_lists_every_input_and_output_of_the_action():
    text = PAGES[HOW_TO].read_text()
    action = yaml.safe_load((ROOT / ".github" / "actions" / "gate" / "action.yml").read_text())
    assert all(f"| `{name}` |" in text for name in action["inputs"])
    assert all(f"`{name}`" in text for name in action["outputs"])


@pytest.mark.parametrize(
    "text", [*(block.text for block in github(HOW_TO)), (ROOT / ".github/workflows/gate.yml").read_text()]
)
def test_only_the_job_of_the_main_branch_can_write_and_keeps(text):
    document = yaml.safe_load(text)
    assert set(document[True]) == {"pull_request", "push"}  # YAML 1.1 reads `on` as true
    assert document["permissions"] == {"contents": "read"}
    change, main = document["jobs"].values()
    assert (change["if"], change["permissions"]["contents"]) == (
        "github.event_name == 'pull_request'",
        "read",
    )
    assert (main["if"], main["permissions"]) == ("github.event_name == 'push'", {"contents": "write"})
    keeps = [["keep" in step.get("with", {}) for step in job["steps"]] for job in (change, main)]
    assert (any(keeps[0]), any(keeps[1])) == (False, True)
    checkouts = [step for step in change["steps"] if "checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_the_tests_of_this_project_are_those_of_the_readme():
    document = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text())
    lines = [step["run"] for step in document["jobs"]["tests"]["steps"] if "run" in step]
    assert lines == [block.text.strip() for block in blocks("README.md", "sh") if ".[all,test]" in block.text]


def test_pages_are_published_from_the_branch_that_is_kept():
    pages = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text())
    gate = yaml.safe_load((ROOT / ".github/workflows/gate.yml").read_text())
    assert pages[True]["workflow_run"]["workflows"] == [gate["name"]]
    (job,) = pages["jobs"].values()
    assert "workflow_run.event == 'push'" in job["if"]  # a fork may have a branch main, too
    (kept,) = [step["with"]["keep"] for step in used(gate, "gate") if "keep" in step["with"]]
    refs = {step["with"].get("ref") for step in job["steps"] if "checkout" in step.get("uses", "")}
    assert refs == {None, kept}


def test_the_guide_includes_the_templates_for_gitlab_with_inputs_that_they_have():
    (block,) = [block for block in WORKFLOWS if "include" in yaml.safe_load(block.text)]
    for each in yaml.safe_load(block.text)["include"]:
        header, jobs = yaml.safe_load_all((ROOT / each["remote"].partition("/raw/v1/")[2]).read_text())
        inputs = header["spec"]["inputs"]
        required = {name for name, value in inputs.items() if "default" not in value}
        assert required <= each["inputs"].keys() <= inputs.keys()
        text = (ROOT / each["remote"].partition("/raw/v1/")[2]).read_text()
        assert set(re.findall(r"\$\[\[ inputs\.(\w+) \]\]", text)) == inputs.keys()
        (job,) = jobs.values()
        assert "allow_failure" not in job  # with which INVALID would pass
        default = inputs.get("options", {}).get("default", "")
        command.make_context("gate", ["--base", "HEAD", *default.split()])


@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in WORKFLOW_FILES])
def test_no_script_of_a_workflow_has_an_expression(path):
    document = yaml.safe_load(path.read_text())
    runs = [step["run"] for job in document["jobs"].values() for step in job["steps"] if "run" in step]
    assert not [text for text in runs if "${{" in text]
    assert "pull_request_target" not in document[True]
    assert document["permissions"] == {"contents": "read"}


PUBLISH = [
    *re.findall(r"harness (publish .*)", (ROOT / ".github/workflows/pages.yml").read_text()),
    *re.findall(r"harness (publish .*)", (ROOT / ".gitlab/pages.yml").read_text()),
]


@pytest.mark.parametrize("line", PUBLISH)
def test_pages_call_a_command_that_exists(line, tmp_path, monkeypatch):
    name, *arguments = line.replace('"$records"', "records").split()
    publish = cli.get_command(None, name)
    if publish is None:
        pytest.skip("the family sharing has no publish here")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "records").mkdir()
    publish.make_context(name, arguments)


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_workflow_needs_a_token(workflow):
    assert "secret" not in workflow.text
