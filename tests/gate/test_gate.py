"""Gates as CI runs them: real processes of a backend whose step time, losses and memory are known."""

import json
import signal
import stat
import sys
import time

import pytest
from support.command import stored
from support.processes import wait_until, workers_of

from harness.worker import protocol

PACED = '[benchmarks.{0}]\nbackend = "paced"\ntask = "mlp"\n'


ONE = PACED.format("paced")


def gate(harness, *arguments, suite=ONE, **options):
    (harness.folder / "gate.toml").write_text(suite)
    return harness(
        "gate", "--base-python", sys.executable, "--turns", "2", "--format", "json", *arguments, **options
    )


def gates(harness):
    return [stored(path) for path in harness.folder.glob("results/gates/*.json")]


def verdicts(record):
    return {result["metric"]: result["verdict"] for result in record["benchmarks"][0]["metrics"]}


def kinds(benchmark):
    """The reasons of a benchmark and of its quality."""
    quality = benchmark["quality"]
    every = benchmark["reasons"] + (quality["reasons"] if quality else [])
    return [reason["kind"] for reason in every]


@pytest.mark.slow
def test_unchanged_code_passes_at_the_look(harness):
    """The limits are so wide that a busy machine does not matter."""
    wide = 'max_slowdown = "40%"\nmax_first_step_slowdown = "200%"\n'
    done = gate(harness, suite=wide + ONE)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert [record] == gates(harness)
    assert (record["verdict"], record["status"]) == ("PASS", "ok")
    (benchmark,) = record["benchmarks"]
    assert verdicts(record) == {"step": "PASS", "first step": "PASS", "memory": "PASS"}
    assert (len(benchmark["look"]), len(benchmark["confirmation"])) == (4, 0)
    assert benchmark["quality"] == {**benchmark["quality"], "verdict": "PASS", "worst": 0.0}
    assert benchmark["mode"] == "plain"
    assert record["head"]["harness"] == record["base"]["harness"] == record["machine"]["harness"]


@pytest.fixture(scope="module")
def failed(tmp_path_factory, harness_in):
    """A head that is slower by 15 % and holds more memory."""
    harness = harness_in(tmp_path_factory.mktemp("gate"))
    worse = ("--head-env", "PACED_FACTOR=1.15", "--head-env", "PACED_MEMORY_MIB=120")
    alarms = 'false_alarms = "4%"\n'  # for which two metrics can fail at the first look
    names = ("junit.xml", "summary.md", "metrics.txt", "bencher.json", "gate.html")
    files = [word for name in names for word in ("--to", name)]
    done = gate(harness, *worse, *files, "--budget", "280", suite=alarms + ONE, timeout=290)
    return harness, done


@pytest.mark.slow
def test_a_head_that_is_slower_and_needs_more_memory_fails(failed):
    _, done = failed
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert verdicts(record) == {"step": "FAIL", "first step": "PASS", "memory": "FAIL"}
    (benchmark,) = record["benchmarks"]
    assert benchmark["metrics"][0]["ratio"]["value"] == pytest.approx(1.15, abs=0.02)
    assert benchmark["metrics"][0]["p_value"] <= 0.02
    assert 4 <= len(benchmark["look"]) + len(benchmark["confirmation"]) <= 8
    assert record["head"]["variables"] == {"PACED_FACTOR": "1.15", "PACED_MEMORY_MIB": "120"}


@pytest.mark.slow
def test_its_files_are_written_and_it_can_be_shown_again(failed):
    harness, _ = failed
    for name in ("junit.xml", "summary.md", "metrics.txt", "bencher.json", "gate.html"):
        assert "paced" in (harness.folder / name).read_text()
    (record,) = gates(harness)
    shown = harness("show", record["id"])
    assert shown.returncode == 0, shown.stderr
    ratio = record["benchmarks"][0]["metrics"][0]["ratio"]["value"]
    assert f"{100 * (ratio - 1):+.1f} %" in shown.stdout
    assert "FAIL" in shown.stdout


def test_nothing_is_started_after_the_budget(harness):
    suite = PACED.format("one") + PACED.format("two")
    done = gate(harness, "--budget", "0.01s", "--inconclusive", "pass", suite=suite, timeout=30)
    assert done.returncode == 4, done.stderr
    for benchmark in json.loads(done.stdout)["benchmarks"]:
        assert (benchmark["verdict"], benchmark["look"]) == ("INVALID", [])
        assert kinds(benchmark) == ["budget spent"]


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("PACED_LOSS=1.0001", "loss differs"),
        pytest.param("PACED_LOGIT=3", "score differs", marks=pytest.mark.slow),
    ],
)
def test_a_difference_in_the_first_steps_fails_before_anything_is_timed(harness, variable, kind):
    done = gate(harness, "--head-env", variable)
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert benchmark["verdict"] == "FAIL"
    assert kinds(benchmark) == [kind]
    assert benchmark["look"] == []


DIES = '[benchmarks.dies]\nbackend = "paced:dies"\ntask = "mlp"\n'
#: Limits without which nothing is timed.
UNTIMED = "".join(
    f'{limit} = "off"\n' for limit in ("max_slowdown", "max_first_step_slowdown", "max_memory_growth")
)


@pytest.mark.parametrize(
    ("label", "suite", "code", "verdict"),
    [
        pytest.param("head", DIES + PACED.format("lives") + UNTIMED, 1, "FAIL", marks=pytest.mark.slow),
        ("base", DIES, 4, "INVALID"),
    ],
)
def test_a_crash_is_reported_with_the_last_lines_and_the_other_benchmarks_go_on(
    harness, label, suite, code, verdict
):
    (harness.folder / "now").touch()
    never = ("--base-env", "PACED_FAILS_WHEN=never", "--head-env", "PACED_FAILS_WHEN=never")
    now = (f"--{label}-env", f"PACED_FAILS_WHEN={harness.folder / 'now'}")
    done = gate(harness, *never, *now, suite=suite)
    assert done.returncode == code, done.stderr
    dies, *others = json.loads(done.stdout)["benchmarks"]
    assert dies["verdict"] == verdict
    (reason,) = dies["reasons"]
    assert (reason["kind"], reason["label"]) == ("failed", label)
    assert "the last words" in reason["message"]
    assert [other["verdict"] for other in others] == ["PASS"] * len(others)


def test_a_backend_that_head_does_not_know_fails(harness):
    done = gate(harness, "--head-env", "PYTHONPATH=")
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert benchmark["verdict"] == "FAIL"
    assert "unknown backend 'paced'" in benchmark["reasons"][0]["message"]


def test_a_backend_that_neither_knows_fails(harness):
    done = gate(harness, "--inconclusive", "pass", suite=ONE.replace('"paced"', '"pacedd"'))
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    (reason,) = benchmark["reasons"]
    assert reason["label"] == "head"
    assert "unknown backend 'pacedd'. Did you mean 'paced'?" in reason["message"]


def test_a_backend_that_base_does_not_know_is_invalid_and_not_folded(harness):
    done = gate(harness, "--base-env", "PYTHONPATH=", "--inconclusive", "pass")
    assert done.returncode == 4, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert (benchmark["verdict"], kinds(benchmark)) == ("INVALID", ["failed"])


def test_a_benchmark_that_only_base_s_suite_has_fails(harness):
    before = harness.folder / "before.toml"
    before.write_text(ONE.replace('"mlp"', '"cnn"') + ONE.replace("[benchmarks.paced]", "[benchmarks.gone]"))
    done = gate(harness, "--base-suite", str(before))
    assert done.returncode == 1, done.stderr
    other, gone = json.loads(done.stdout)["benchmarks"]
    assert (gone["name"], gone["verdict"], kinds(gone)) == ("gone", "FAIL", ["removed"])
    assert (other["name"], other["verdict"], other["look"], other["mode"]) == ("paced", "FAIL", [], "plain")
    assert other["reasons"] == [{"kind": "replaced", "base": "paced on cnn", "head": "paced on mlp"}]


@pytest.mark.slow
def test_another_mode_is_other_work_and_defaults_written_out_are_not(harness):
    before = harness.folder / "before.toml"
    before.write_text(ONE.replace('"paced"', '"paced:dies"'))
    (mode,) = json.loads(gate(harness, "--base-suite", str(before)).stdout)["benchmarks"]
    assert (mode["verdict"], kinds(mode)) == ("FAIL", ["replaced"])
    written_out = ONE.replace('"paced"', '"paced:plain"') + 'dataset = "mnist1d"\nset = { width = 1.0 }\n'
    before.write_text(written_out)
    done = gate(harness, "--base-suite", str(before), "--budget", "0.01s")
    (same,) = json.loads(done.stdout)["benchmarks"]
    assert (kinds(same), same["vanished"]) == (["budget spent"], False)


@pytest.mark.slow
def test_without_limits_of_time_and_memory_nothing_is_timed(harness):
    done = gate(harness, suite=ONE + UNTIMED)
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert (benchmark["verdict"], benchmark["quality"]["verdict"], benchmark["look"]) == ("PASS", "PASS", [])
    worse = gate(harness, "--head-env", "PACED_LOSS=1.0001", suite=ONE + UNTIMED)
    assert worse.returncode == 1


def fake_python(folder, version, spoken):
    path = folder / "python"
    path.write_text(f"#!/bin/sh\necho '[\"{version}\", {spoken}]'\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_another_protocol_is_refused_with_both_versions(harness):
    other = fake_python(harness.folder, "0.0.9", protocol.VERSION - 1)
    done = gate(harness, "--head-python", other)
    assert done.returncode == 2
    assert f"head has dl-harness 0.0.9, which speaks protocol {protocol.VERSION - 1}" in done.stderr
    assert f"protocol {protocol.VERSION}" in done.stderr
    assert gates(harness) == []


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('backend = "paced:slow"', "unknown mode 'slow' of backend paced"),
        ('task = "mpl"', "Did you mean 'mlp'?"),
        ('dataset = "digits"', "task mlp does not run on digits"),
        ('backend = "needy"', "not installed"),
    ],
)
def test_unknown_names_in_the_suite_are_reported(harness, line, words):
    key = line.partition(" ")[0]
    lines = {"backend": 'backend = "paced"', "task": 'task = "mlp"'} | {key: line}
    done = gate(harness, suite="[benchmarks.one]\n" + "\n".join(lines.values()) + "\n")
    assert done.returncode != 0
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_the_record_and_leaves_no_worker(harness):
    (harness.folder / "gate.toml").write_text(PACED.format("one"))
    process = harness.start("gate", "--base-python", sys.executable, "--turns", "4")
    wait_until(lambda: gates(harness))
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    (record,) = gates(harness)
    assert record["status"] == "interrupted"
    assert workers_of(harness) == []


@pytest.mark.slow
def test_a_gate_that_is_killed_leaves_a_record_without_verdict_and_no_worker(harness):
    (harness.folder / "gate.toml").write_text(PACED.format("one"))
    process = harness.start("gate", "--base-python", sys.executable, "--turns", "4")
    wait_until(lambda: gates(harness) and workers_of(harness))
    process.kill()
    process.communicate()
    wait_until(lambda: workers_of(harness) == [])
    (record,) = gates(harness)
    assert (record["status"], record["verdict"]) == ("running", "INVALID")
    shown = harness("show", "last")
    assert (shown.returncode, "PASS" in shown.stdout) == (0, False)
