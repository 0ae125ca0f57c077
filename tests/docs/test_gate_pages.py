"""The pages about gates: the suites can be read, and the workflows are complete."""

import pytest
from msgspec.structs import fields
from support.pages import PAGES, blocks, commands

from harness.timing.environments.suite import Benchmark, Limits, limit_units
from harness.timing.environments.suite_file import read_suite
from harness.timing.gate import ci_formats

HOW_TO = "docs/how-to/gate-a-pull-request.md"
REFERENCE = "docs/reference/gate-suite.md"
WORKFLOWS = blocks(HOW_TO, "yaml")


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


def test_the_workflow_for_github_keeps_what_it_writes():
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(WORKFLOWS[0].text)
    assert set(document[True]) == {"pull_request", "push"}  # YAML 1.1 reads `on` as true
    assert document["permissions"] == {"contents": "read"}
    (job,) = document["jobs"].values()
    assert all(len({"uses", "run"} & set(step)) == 1 for step in job["steps"])
    (kept,) = [step for step in job["steps"] if "upload-artifact" in step.get("uses", "")]
    paths = kept["with"]["path"].split()
    written = [word for words in commands(WORKFLOWS[0]) for word in words if word.endswith((".html", ".xml"))]
    assert {path for path in paths if "." in path} <= set(written)


def test_the_workflow_for_gitlab_reports_what_it_writes():
    yaml = pytest.importorskip("yaml")
    document = yaml.safe_load(WORKFLOWS[1].text)
    (job,) = document.values()
    (gate,) = [line for line in job["script"] if line.startswith("harness gate")]
    reports = job["artifacts"]["reports"]
    assert all(f"--to {path}" in gate for path in reports.values())
    assert set(reports) == {"junit", "metrics"}
    assert "--inconclusive pass" in gate  # and not allow_failure, with which INVALID would pass
    assert "allow_failure" not in job


@pytest.mark.parametrize("workflow", WORKFLOWS)
def test_no_workflow_needs_a_token(workflow):
    assert "secret" not in workflow.text
