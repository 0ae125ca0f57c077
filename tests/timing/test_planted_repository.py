"""Every command on a repository of known faults: the verdict of each, by the fields of the record."""

import json
import shutil

import msgspec
import pytest
from support.planted_repository import FAULTS, check_out, plant
from support.repository import git
from support.wheels import write_wheel

from harness.timing.bisect.findings import culprits_of
from harness.timing.bisect.record import BisectRecord

USUAL = ("--format", "json", "--quiet")


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted") / "repository"
    plant(folder)
    return folder


@pytest.fixture
def gated(harness, planted, tmp_path):
    """Gates a fault: exit code, the only benchmark, the record."""

    def gate(fault, *options):
        check_out(planted, fault)
        harness.folder = planted
        results = ("--results", str(tmp_path / "results"))
        done = harness("gate", "--base", "base", *results, *USUAL, *options)
        record = json.loads(done.stdout) if done.stdout else {"benchmarks": [None]}
        (benchmark,) = record["benchmarks"]
        return done.returncode, benchmark, record

    return gate


def kinds(judged):
    return [reason["kind"] for reason in judged["reasons"]]


def metric(benchmark, name):
    (found,) = (each for each in benchmark["metrics"] if each["metric"] == name)
    return found


def test_the_repository_is_the_same_wherever_it_is_planted(planted, tmp_path):
    plant(tmp_path / "again")
    for tag in ("base", "slower", *FAULTS):
        assert git(planted, "rev-parse", tag) == git(tmp_path / "again", "rev-parse", tag)
    assert git(planted, "status", "--porcelain") == ""


def test_a_tenfold_weight_decay_fails_by_its_values(gated):
    code, benchmark, _ = gated("weight-decay")
    assert (code, benchmark["verdict"], benchmark["look"]) == (1, "FAIL", [])
    values = benchmark["quality"]["values"]
    assert (values["outcome"], kinds(benchmark["quality"])) == ("differs", ["values differ"])
    assert values["deviations"][0] == 0.0
    assert values["deviations"][1] == pytest.approx(3e-4, rel=0.1)


@pytest.mark.long
def test_a_changed_epsilon_fails_by_its_values(gated):
    code, benchmark, _ = gated("epsilon")
    values = benchmark["quality"]["values"]
    assert (code, benchmark["verdict"], values["outcome"]) == (1, "FAIL", "differs")
    assert 0 < max(values["deviations"]) < 1e-3


def test_a_broken_import_fails_with_its_reason(gated):
    code, benchmark, _ = gated("broken-import")
    assert (code, benchmark["verdict"], kinds(benchmark)) == (1, "FAIL", ["failed"])
    (reason,) = benchmark["reasons"]
    assert (reason["command"], "Adamw" in reason["text"]) == ("run head", True)


@pytest.mark.long
def test_a_deep_copy_in_every_step_fails_by_its_time(gated):
    code, benchmark, _ = gated("deep-copy")
    assert (code, benchmark["verdict"], benchmark["quality"]["values"]["outcome"]) == (1, "FAIL", "same")
    assert metric(benchmark, "step")["verdict"] == "FAIL"
    assert metric(benchmark, "step")["ratio"]["low"] > 1.05


@pytest.mark.long
def test_a_leak_fails_by_its_memory(gated):
    code, benchmark, _ = gated("leak")
    assert (code, benchmark["verdict"], benchmark["quality"]["values"]["outcome"]) == (1, "FAIL", "same")
    assert metric(benchmark, "memory")["verdict"] == "FAIL"


@pytest.mark.long
def test_another_layout_passes_as_rounding_and_is_timed(gated):
    _, benchmark, _ = gated("layout", "--budget", "1m")
    quality = benchmark["quality"]
    assert (quality["verdict"], quality["values"]["outcome"]) == ("PASS", "rounding")
    assert 0 < max(quality["values"]["deviations"]) < 1e-14
    assert metric(benchmark, "step")["verdict"] != "FAIL"  # on a busy machine it may need more time
    assert metric(benchmark, "memory")["verdict"] == "PASS"


@pytest.mark.long
def test_a_duel_of_two_callables_finds_the_copying_one(harness, planted, tmp_path):
    check_out(planted, "base")
    folder = tmp_path / "two"
    shutil.copytree(planted, folder)
    check_out(planted, "deep-copy")
    shutil.copytree(planted / "mynet", folder / "copying")
    (folder / "copying" / "train.py").write_text(
        (planted / "mynet" / "train.py").read_text().replace("from mynet.", "from copying.")
    )
    (folder / "other.py").write_text((folder / "bench.py").read_text().replace("mynet", "copying"))
    harness.folder = folder
    steps = ("bench.py:make_step", "other.py:make_step")
    record = json.loads(harness.ok("duel", *steps, "--threads", "1", *USUAL).stdout)
    (work,) = record["step"]["work"]
    assert (work["outcome"], work["calls"]) == ("same", 20)
    assert [result["verdict"] for result in record["results"]] == ["slower"]


@pytest.mark.long
def test_a_bisection_names_the_commit_that_copies(harness, planted, tmp_path):
    check_out(planted, "slower")
    harness.folder = planted
    asked = ("--good", "base", "--bad", "slower", "--step", "bench.py:make_step", "--threads", "1")
    record = json.loads(harness.ok("bisect", *asked, "--results", str(tmp_path / "results"), *USUAL).stdout)
    assert record["outcome"] == "culprit"
    culprits, _ = culprits_of(msgspec.convert(record, BisectRecord))
    assert record["candidates"][culprits[-1]]["title"] == "slower-by-copies"


@pytest.mark.long
def test_an_upgrade_to_other_mathematics_is_not_safe(harness):
    """Without NumPy, which pip could not install here."""
    step = "import mynet\ndef make_step():\n    value = [1.0]\n    def step():\n"
    step += "        value[0] -= mynet.DECAY * value[0]\n        return value[0]\n    return step\n"
    (harness.folder / "bench.py").write_text(step)
    for version, decay in enumerate((0.01, 0.0100001), 1):
        write_wheel(harness.folder, "mynet", {"mynet.py": f"DECAY = {decay}\n"}, version=str(version))
    asked = ("mynet==1", "mynet==2", "--step", "bench.py:make_step", "--threads", "1")
    pip = {"PIP_FIND_LINKS": str(harness.folder), "PIP_NO_INDEX": "1"}
    done = harness("upgrade", *asked, *USUAL, **pip)
    record = json.loads(done.stdout)
    assert (done.returncode, record["verdict"]) == (1, "FAIL")
    assert record["benchmarks"][0]["quality"]["values"]["outcome"] == "differs"


@pytest.mark.long
def test_limits_of_head_are_named_and_do_not_judge(gated):
    code, benchmark, record = gated("loosened-limits")
    assert (code, record["verdict"]) == (1, "FAIL")
    assert benchmark["limits"]["max_slowdown"] == 0.05
    assert record["suite_difference"] == ['-max_slowdown = "5%"', '+max_slowdown = "90%"']
