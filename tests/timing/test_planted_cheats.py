"""A repository of commits that deceive: none passes, and each is refused for the reason that it gives."""

import json

import pytest
from support.planted_repository import check_out, plant

#: Others than the first have quicker tests beside the code that finds them.
FAULTS = ("patched-clock", "skipped-work", "written-base", "renamed-factory", "stored-values")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted") / "repository"
    plant(folder)
    return folder


@pytest.fixture
def gated(harness, planted, tmp_path):
    """Gates a fault: exit code and record."""

    def gate(fault, *options):
        check_out(planted, fault)
        harness.folder = planted
        results = ("--results", str(tmp_path / "results"))
        done = harness("gate", "--base", "base", *results, "--format", "json", "--quiet", *options)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    return gate


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(each, marks=pytest.mark.long if number else pytest.mark.slow)
        for number, each in enumerate(FAULTS)
    ],
)
def test_no_deceit_passes(gated, fault):
    code, record = gated(fault)
    assert record["verdict"] in {"FAIL", "INVALID"}
    assert code == {"FAIL": 1, "INVALID": 4}[record["verdict"]]
    (benchmark,) = record["benchmarks"]
    judged = [benchmark, benchmark["quality"] or {}, *benchmark["metrics"]]
    kinds = [reason["kind"] for each in judged for reason in each.get("reasons", [])]
    assert kinds
    if fault == "skipped-work":
        difference = benchmark["quality"]["values"]["difference"]
        assert difference["call"] > 20 if difference else benchmark["verdict"] == "INVALID"
    if fault == "written-base":
        assert benchmark["verdict"] == "FAIL" or "file written" in kinds


@pytest.mark.long
def test_loosened_limits_are_named_and_do_not_judge(gated):
    code, record = gated("loosened-limits")
    assert (code, record["verdict"]) == (1, "FAIL")
    assert record["benchmarks"][0]["limits"]["max_slowdown"] == 0.05
    assert record["suites"]["in_force"] == "base"
    assert record["suites"]["changes"]


@pytest.mark.long
def test_a_file_that_the_commit_lacks_is_named(gated):
    _, record = gated("untracked-file", "--budget", "1m")
    (benchmark,) = record["benchmarks"]
    judged = [benchmark, benchmark["quality"], *benchmark["metrics"]]
    files = [file for each in judged for reason in each["reasons"] for file in reason.get("files", [])]
    assert files == ["mynet/local.py"]
