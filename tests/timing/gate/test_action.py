"""The action for GitHub and the template for GitLab: their steps as they stand, in a clone.

They have the runner's variables and files. Two things are stand-ins: ``pip``, whose call is recorded, and
GitHub's API, a server on this machine.
"""

import json
from pathlib import Path

import pytest
import yaml
from support.actions import github_api, run_action, run_job
from support.command import python, script, stored
from support.pages import ROOT
from support.repository import add_commit, git

ACTIONS = ROOT / ".github" / "actions"
STEP = """
import model
def make_step():
    state = {"value": 1.0}
    def step():
        state["value"] *= 1 - model.RATE
        for _ in range(3000):
            pass
        return state["value"]
    return step
"""
#: Nothing but values is judged, so that a gate takes seconds and no noise decides.
SUITE = """
max_slowdown = "off"
max_first_step_slowdown = "off"
max_memory_growth = "off"
[benchmarks.train]
step = "bench.py:make_step"
threads = 1
"""
PULL_REQUEST = {"pull_request": {"number": 7}}


class Project:
    """A project on GitHub, whose runner checks a pull request out as one commit, the merge."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.remote, self._folder, self._environment = folder / "remote", folder, environment
        files = {
            "bench.py": STEP,
            "model.py": "RATE = 0.01\n",
            "gate.toml": SUITE,
            "json.py": "raise OSError\n",
        }
        self._source = folder / "source"
        add_commit(self._source, files)
        git(folder, "clone", "-q", "--bare", "source", "remote")
        self._count = 0

    def clone(self, change: dict[str, str], *options: str) -> Path:
        """Clone the merge of this change, as a runner does."""
        self._count += 1
        git(self._source, "checkout", "-q", "-B", "change", "main")
        add_commit(self._source, change)
        git(self._source, "checkout", "-q", "-B", "merge", "main")
        git(self._source, "merge", "-q", "--no-ff", "-m", "merge", "change")
        git(self._source, "push", "-q", "-f", str(self.remote), "HEAD:refs/heads/merge")
        work = self._folder / f"clone-{self._count}"
        git(self._folder, "clone", "-q", "-b", "merge", *options, f"file://{self.remote}", work.name)
        return work

    def gate(self, api: str, change: dict[str, str], event=PULL_REQUEST, **inputs: str):
        """Run the action for a pull request with this change."""
        work = self.clone(change, "--depth", "1")
        runner = {
            "GITHUB_API_URL": api,
            "GITHUB_REPOSITORY": "me/project",
            "GITHUB_SERVER_URL": "https://github.example.com",
            "GITHUB_RUN_ID": str(self._count),
            "GITHUB_WORKFLOW": "gate --> x",
            "GITHUB_JOB": "gate",
            "no_proxy": "127.0.0.1",
        }
        return run_action(ACTIONS / "gate", work, self._environment | runner, event, **inputs)

    def job(self, template: str, name: str, work: Path, variables: dict[str, str], shell="bash", **inputs):
        """Run a job of a template for GitLab."""
        return run_job(
            ROOT / ".gitlab" / template, name, work, self._environment | variables, shell, **inputs
        )


@pytest.fixture
def project(harness, tmp_path):
    return Project(tmp_path, harness.environment)


SAME, OTHER = {"README": "x"}, {"model.py": "RATE = 0.02\n"}


@pytest.mark.slow
def test_pull_requests_are_gated_kept_summarized_and_commented_once(project):
    with github_api() as api:
        passed = project.gate(api.address, SAME, keep="records")
        assert passed.code == 0, passed.log
        failed = project.gate(api.address, OTHER, keep="records", requirements="-r needs.txt numpy")
    assert (passed.outputs["verdict"], passed.outputs["exit-code"]) == ("PASS", "0")
    assert (failed.code, failed.outputs["verdict"], failed.outputs["exit-code"]) == (1, "FAIL", "1")
    assert passed.used == ["actions/setup-python@v5"]
    assert passed.installed == [[f"{ROOT}[report]"]]
    assert failed.installed == [[f"{ROOT}[report]", "-r", "needs.txt", "numpy"]]

    kept = git(project.remote, "ls-tree", "--name-only", "records", "gates/").splitlines()
    for ran, sign in ((passed, "PASS"), (failed, "FAIL")):
        record = stored(Path(ran.outputs["record"]))
        assert f"gates/{record['id']}.json" in kept
        assert record["verdict"] == sign
        assert sign in ran.summary.splitlines()[0]
        assert "Kept: branch records" in ran.log
        assert {"gate.html", "gate.md", "junit.xml", "results"} == {
            path.name for path in Path(ran.outputs["folder"]).iterdir()
        }
    assert len(kept) == 2
    assert "::error title=FAIL" in failed.log

    (comment,) = api.comments
    assert [method for method, _ in api.calls] == ["GET", "POST", "GET", "PATCH"]
    mark, text, *_ = comment["body"].splitlines()
    assert (mark[:4], mark[-3:], mark.count("--")) == ("<!--", "-->", 2)  # whatever the workflow is called
    assert text == failed.summary.splitlines()[0]
    assert "https://github.example.com/me/project/actions/runs/2" in comment["body"]


@pytest.mark.slow
def test_what_fails_beside_the_gate_does_not_change_its_verdict(project):
    """As for a pull request from a fork, whose token can only read."""
    refuse = '[ "$1" != refs/heads/records ] || { echo read-only token; exit 1; }'
    script(project.remote / "hooks" / "update", refuse)
    with github_api(refused=403) as api:
        ran = project.gate(api.address, OTHER, keep="records", options="--turns 2")
    assert (ran.code, ran.outputs["verdict"]) == (1, "FAIL")
    assert api.comments == []
    assert "::notice title=harness gate::no comment was written (HTTP Error 403" in ran.log
    assert "permission pull-requests: write" in ran.log
    assert "was not kept on origin" in ran.log


def test_a_gate_that_is_refused_fails_with_a_summary_and_a_record(project):
    """The branch to keep on is the target itself, and a text that a shell would run is a name."""
    with github_api() as api:
        ran = project.gate(api.address, OTHER, keep="merge", suite="$(touch /tmp/planted); `touch planted`")
        assert (ran.code, ran.outputs["exit-code"], ran.outputs["verdict"]) == (2, "2", "INVALID")
        assert "the branch is checked out" in ran.summary
        (comment,) = api.comments
        assert "the branch is checked out" in comment["body"]
        ran = project.gate(api.address, OTHER, suite="$(touch planted).toml", comment="false")
    assert ran.code == 2
    assert "$(touch planted).toml" in ran.log
    assert len(api.calls) == 2
    assert not [*project.remote.parent.rglob("planted")]


@pytest.mark.parametrize(
    "shell", [pytest.param("bash", marks=pytest.mark.slow), pytest.param("sh", marks=pytest.mark.long)]
)
def test_gitlab_gates_merge_requests_and_keeps_the_records_of_the_default_branch(project, shell):
    work = project.clone(OTHER)
    target = git(work, "rev-parse", "HEAD^1")
    merge_request = {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": target,
        "HARNESS_PUSH_TOKEN": "",
    }
    inputs = {"harness": "dl-harness[report] @ git+https://x", "requirements": ".[test] -r needs.txt"}
    ran = project.job("gate.yml", "harness-gate", work, merge_request, shell, **inputs)
    assert ran.code == 1, ran.log
    assert ran.installed == [["dl-harness[report]", "@", "git+https://x", ".[test]", "-r", "needs.txt"]]
    assert git(project.remote, "branch", "--list", "records") == ""
    assert "untracked" not in ran.log

    work = project.clone(SAME)
    push = {
        "CI_PIPELINE_SOURCE": "push",
        "CI_SERVER_PROTOCOL": "file",
        "CI_REPOSITORY_URL": f"file://gitlab-ci-token:hidden@{project.remote}",
        "HARNESS_PUSH_TOKEN": "",
    }
    ran = project.job("gate.yml", "harness-gate", work, push, shell, **inputs)
    assert ran.code == 0, ran.log
    assert "Kept: branch records" in ran.log
    assert len(git(project.remote, "ls-tree", "--name-only", "records", "gates/").splitlines()) == 1
    reports = yaml.safe_load_all((ROOT / ".gitlab" / "gate.yml").read_text())
    artifacts = [*reports][1]["harness-gate"]["artifacts"]
    for path in [*artifacts["paths"], *artifacts["reports"].values()]:
        assert (work / path).exists()

    push |= {"HARNESS_PUSH_TOKEN": "a-token"}
    assert project.job("gate.yml", "harness-gate", work, push, shell, **inputs).code == 0
    assert git(work, "remote", "get-url", "--push", "origin") == f"file://harness:a-token@{project.remote}"


def comment_of(api, tmp_path, result, monkeypatch, event=PULL_REQUEST, **variables):
    """Run the script of the comment alone."""
    (tmp_path / "gate.md").write_text(result)
    (tmp_path / "event.json").write_text(json.dumps(event))
    environment = {
        "GITHUB_API_URL": api.address,
        "GITHUB_REPOSITORY": "me/project",
        "GITHUB_EVENT_PATH": str(tmp_path / "event.json"),
        "GITHUB_TOKEN": "the-token",
        "RESULT": str(tmp_path / "gate.md"),
        **variables,
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return python((ACTIONS / "comment" / "comment.py").read_text())


def test_the_comment_of_this_job_is_found_among_many(tmp_path, monkeypatch):
    with github_api() as api:
        comment_of(api, tmp_path, "first\n", monkeypatch, SUITE="a.toml")
        mine = api.comments.pop()
        # A person may have copied the mark; and there are more comments than a page has.
        api.comments += [{**mine, "id": 0, "user": {"type": "User"}}]
        api.comments += [{"id": at, "user": {"type": "Bot"}, "body": ""} for at in range(1, 120)]
        api.comments += [{**mine, "id": 120}]
        comment_of(api, tmp_path, "second\n", monkeypatch, SUITE="a.toml")
        assert len(api.comments) == 121
        assert "second" in api.comments[120]["body"]
        comment_of(api, tmp_path, "third\n", monkeypatch, SUITE="b.toml")
        assert len(api.comments) == 122


def test_a_long_result_is_cut_to_what_github_takes(tmp_path, monkeypatch):
    with github_api() as api:
        comment_of(api, tmp_path, "0123456789\n" * 10_000, monkeypatch)
    body = api.comments[0]["body"]
    assert 60_000 < len(body) <= 65_536
    assert "\n0123456789\n\n…\n" in body
    assert "The whole result" in body


def test_a_push_has_no_pull_request_to_comment_on(tmp_path, monkeypatch):
    with github_api() as api:
        assert comment_of(api, tmp_path, "x\n", monkeypatch, event={"ref": "refs/heads/main"}) == ""
    assert api.calls == []


def test_the_comment_has_an_action_for_a_job_of_its_own(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "gate.md").write_text("## PASS\n")
    with github_api() as api:
        runner = {"GITHUB_API_URL": api.address, "GITHUB_REPOSITORY": "me/project", "no_proxy": "127.0.0.1"}
        ran = run_action(ACTIONS / "comment", work, runner, PULL_REQUEST)
    assert (ran.code, ran.log) == (0, "")
    assert "\n## PASS\n" in api.comments[0]["body"]
