"""Gates as CI runs them: real processes of a backend whose step time, losses and memory are known."""

import json
import signal
import sys
import time

import pytest
from support.command import script, stored
from support.processes import wait_until, workers_of

from harness.core.worker import protocol

PACED = '[benchmarks.{0}]\nbackend = "paced"\ntask = "mlp"\n'
ONE = PACED.format("paced")
#: Limits without which nothing is timed.
UNTIMED = "".join(
    f'{limit} = "off"\n' for limit in ("max_slowdown", "max_first_step_slowdown", "max_memory_growth")
)


def gate(harness, *arguments, suite=ONE, **options):
    (harness.folder / "gate.toml").write_text(suite)
    usual = ("gate", "--base-python", sys.executable, "--turns", "2", "--format", "json")
    return harness(*usual, *arguments, **options)


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


@pytest.mark.slow
def test_a_head_that_is_slower_and_needs_more_memory_fails_and_its_files_are_written(harness):
    worse = ("--head-env", "PACED_FACTOR=1.15", "--head-env", "PACED_MEMORY_MIB=120")
    alarms = 'false_alarms = "4%"\n'  # for which two metrics can fail at the first look
    names = ("junit.xml", "summary.md", "bencher.json", "gate.html")
    files = [word for name in names for word in ("--to", name)]
    done = gate(harness, *worse, *files, "--budget", "280", suite=alarms + ONE, timeout=290)
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert verdicts(record) == {"step": "FAIL", "first step": "PASS", "memory": "FAIL"}
    (benchmark,) = record["benchmarks"]
    step = benchmark["metrics"][0]
    assert step["ratio"]["value"] == pytest.approx(1.15, abs=0.02)
    assert step["p_value"] <= 0.02
    assert 4 <= len(benchmark["look"]) + len(benchmark["confirmation"]) <= 8
    assert record["head"]["variables"] == {"PACED_FACTOR": "1.15", "PACED_MEMORY_MIB": "120"}
    for name in names:
        assert "paced" in (harness.folder / name).read_text()
    shown = harness.ok("show", record["id"]).stdout
    assert f"{100 * (step['ratio']['value'] - 1):+.1f} %" in shown
    assert "FAIL" in shown


@pytest.mark.parametrize(
    ("options", "suite", "code", "verdict", "reasons"),
    [
        (("--budget", "0.01s"), PACED.format("one") + PACED.format("two"), 4, "INVALID", ["not measured"]),
        (("--head-env", "PACED_LOSS=1.0001"), ONE, 1, "FAIL", ["losses differ"]),
        pytest.param(
            *(("--head-env", "PACED_LOGIT=3"), ONE, 1, "FAIL", ["score differs"]), marks=pytest.mark.long
        ),
        (("--head-env", "PYTHONPATH="), ONE, 1, "FAIL", ["failed"]),
        (("--base-env", "PYTHONPATH="), ONE, 4, "INVALID", ["failed"]),
        ((), ONE.replace('"paced"', '"pacedd"'), 1, "FAIL", ["failed"]),
        ((), ONE.replace('"paced"', '"paced:slow"'), 1, "FAIL", ["failed"]),
    ],
    ids=["budget", "losses", "scores", "not in head", "not in base", "unknown", "mode"],
)
def test_what_is_known_before_anything_is_timed_ends_a_benchmark(
    harness, options, suite, code, verdict, reasons
):
    """What is invalid is never folded into a pass."""
    done = gate(harness, *options, "--inconclusive", "pass", suite=suite, timeout=100)
    assert done.returncode == code, done.stderr
    for benchmark in json.loads(done.stdout)["benchmarks"]:
        assert (benchmark["verdict"], kinds(benchmark), benchmark["look"]) == (verdict, reasons, [])


DIES = '[benchmarks.dies]\nbackend = "paced:dies"\ntask = "mlp"\n'


@pytest.mark.parametrize(
    ("label", "suite", "code", "verdict"),
    [
        pytest.param("head", DIES + PACED.format("lives") + UNTIMED, 1, "FAIL", marks=pytest.mark.long),
        ("base", DIES, 4, "INVALID"),
    ],
)
def test_a_crash_is_reported_with_the_last_lines_and_the_other_benchmarks_go_on(
    harness, label, suite, code, verdict
):
    (harness.folder / "now").touch()
    places = {"base": "never", "head": "never", label: harness.folder / "now"}
    fails = [word for side, when in places.items() for word in (f"--{side}-env", f"PACED_FAILS_WHEN={when}")]
    done = gate(harness, *fails, suite=suite)
    assert done.returncode == code, done.stderr
    dies, *others = json.loads(done.stdout)["benchmarks"]
    (reason,) = dies["reasons"]
    assert (dies["verdict"], reason["kind"], reason["command"]) == (verdict, "failed", f"run {label}")
    assert "the last words" in reason["text"]
    assert [other["verdict"] for other in others] == ["PASS"] * len(others)


def of_base(harness, text, *options):
    """The benchmarks of a gate whose base had another suite."""
    (harness.folder / "before.toml").write_text(text)
    return json.loads(gate(harness, "--base-suite", "before.toml", *options).stdout)["benchmarks"]


def test_a_benchmark_that_only_base_s_suite_has_fails(harness):
    before = ONE + ONE.replace("[benchmarks.paced]", "[benchmarks.gone]")
    paced, gone = of_base(harness, before, "--budget", "0.01s")
    assert (gone["name"], gone["verdict"], kinds(gone)) == ("gone", "FAIL", ["removed"])
    assert (paced["name"], kinds(paced)) == ("paced", ["not measured"])


@pytest.mark.long
def test_without_limits_of_time_and_memory_nothing_is_timed(harness):
    done = gate(harness, suite=ONE + UNTIMED)
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert (benchmark["verdict"], benchmark["quality"]["verdict"], benchmark["look"]) == ("PASS", "PASS", [])
    assert gate(harness, "--head-env", "PACED_LOSS=1.0001", suite=ONE + UNTIMED).returncode == 1


def test_a_backend_that_is_not_installed_is_refused(harness):
    done = gate(harness, suite=ONE.replace('"paced"', '"needy"'))
    assert (done.returncode, "not installed" in done.stderr) == (2, True)


def test_another_protocol_is_refused_with_both_versions(harness):
    other = script(harness.folder / "python", f"echo '[\"0.0.9\", {protocol.VERSION - 1}]'")
    done = gate(harness, "--head-python", other)
    assert (done.returncode, gates(harness)) == (2, [])
    for words in ("head", "0.0.9", f"protocol {protocol.VERSION - 1}", f"protocol {protocol.VERSION}"):
        assert words in done.stderr


@pytest.mark.parametrize("killed", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_gate_that_ends_early_keeps_its_record_and_leaves_no_worker(harness, killed):
    (harness.folder / "gate.toml").write_text(ONE)
    process = harness.start("gate", "--base-python", sys.executable, "--turns", "4")
    wait_until(lambda: gates(harness) and (workers_of(harness) or not killed))
    time.sleep(0.0 if killed else 1.0)
    process.send_signal(signal.SIGKILL if killed else signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    wait_until(lambda: workers_of(harness) == [], 60 if killed else 0.1)
    (record,) = gates(harness)
    assert process.returncode == (-signal.SIGKILL if killed else 130), out
    assert record["status"] == ("running" if killed else "interrupted")
    if killed:
        assert record["verdict"] == "INVALID"
        assert "PASS" not in harness.ok("show", "last").stdout
