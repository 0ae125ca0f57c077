"""Gates as CI runs them: real processes of a backend whose pace, losses and memory are known."""

import json
import signal
import stat
import sys
import time

import psutil
import pytest

from harness.worker import protocol

PACED = '[benchmarks.{0}]\nbackend = "paced"\ntask = "mlp"\n'


ONE = PACED.format("paced")


def gate(harness, *arguments, suite=ONE, **options):
    (harness.folder / "gate.toml").write_text(suite)
    return harness(
        "gate", "--base-python", sys.executable, "--turns", "2", "--format", "json", *arguments, **options
    )


def gates(harness):
    return [json.loads(path.read_text()) for path in harness.folder.glob("results/gates/*.json")]


def verdicts(record):
    return {one["metric"]: one["verdict"] for one in record["benchmarks"][0]["metrics"]}


def test_unchanged_code_passes_at_the_look(harness):
    done = gate(harness)
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


def test_a_slower_and_hungrier_head_fails(failed):
    _, done = failed
    assert done.returncode == 1, done.stderr
    record = json.loads(done.stdout)
    assert verdicts(record) == {"step": "FAIL", "first step": "PASS", "memory": "FAIL"}
    (benchmark,) = record["benchmarks"]
    assert benchmark["metrics"][0]["ratio"] == pytest.approx(1.15, abs=0.02)
    assert benchmark["metrics"][0]["p_value"] <= 0.02
    assert len(benchmark["confirmation"]) in (8, 10)
    assert record["head"]["variables"] == {"PACED_FACTOR": "1.15", "PACED_MEMORY_MIB": "120"}


def test_it_is_told_to_ci_and_can_be_shown_again(failed):
    harness, _ = failed
    for name in ("junit.xml", "summary.md", "metrics.txt", "bencher.json", "gate.html"):
        assert "paced" in (harness.folder / name).read_text()
    (record,) = gates(harness)
    shown = harness("show", record["id"])
    assert shown.returncode == 0, shown.stderr
    ratio = record["benchmarks"][0]["metrics"][0]["ratio"]
    assert f"{100 * (ratio - 1):+.1f} % FAIL" in shown.stdout


def test_nothing_is_begun_after_the_budget(harness):
    suite = PACED.format("one") + PACED.format("two")
    done = gate(harness, "--budget", "0.01", suite=suite, timeout=30)
    assert done.returncode == 3, done.stderr
    for benchmark in json.loads(done.stdout)["benchmarks"]:
        assert (benchmark["verdict"], benchmark["look"]) == ("INCONCLUSIVE", [])
        assert "the budget was spent before its look had ended" in benchmark["reason"]


@pytest.mark.parametrize(
    ("variable", "words"),
    [
        ("PACED_LOSS=1.0001", "in float64 its loss of step 1 is 1.0001 where base's is 1.0"),
        ("PACED_LOGIT=3", "training agrees, but after 20 steps the validation"),
    ],
)
def test_other_maths_fail_before_anything_is_timed(harness, variable, words):
    done = gate(harness, "--head-env", variable)
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert benchmark["verdict"] == "FAIL"
    assert words in benchmark["reason"]
    assert benchmark["look"] == []


DIES = '[benchmarks.dies]\nbackend = "paced:dies"\ntask = "mlp"\n'


@pytest.mark.parametrize(
    ("side", "suite", "code", "verdict"),
    [("head", DIES + PACED.format("lives"), 1, "FAIL"), ("base", DIES, 3, "INCONCLUSIVE")],
)
def test_a_side_that_crashes_is_told_with_its_last_lines_and_the_rest_goes_on(
    harness, side, suite, code, verdict
):
    (harness.folder / "now").touch()
    never = ("--base-env", "PACED_FAILS_WHEN=never", "--head-env", "PACED_FAILS_WHEN=never")
    now = (f"--{side}-env", f"PACED_FAILS_WHEN={harness.folder / 'now'}")
    done = gate(harness, *never, *now, suite=suite)
    assert done.returncode == code, done.stderr
    dies, *others = json.loads(done.stdout)["benchmarks"]
    assert dies["verdict"] == verdict
    assert f"side {side}" in dies["reason"]
    assert "the last words" in dies["reason"]
    assert [other["verdict"] for other in others] == ["PASS"] * len(others)


def test_a_benchmark_that_vanished_from_head_fails(harness):
    done = gate(harness, "--head-env", "PYTHONPATH=")
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert benchmark["verdict"] == "FAIL"
    assert "unknown backend 'paced'" in benchmark["reason"]


def test_what_neither_side_knows_fails(harness):
    done = gate(harness, "--inconclusive", "pass", suite=ONE.replace('"paced"', '"pacedd"'))
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert "side head: unknown backend 'pacedd'. Did you mean 'paced'?" in benchmark["reason"]


def test_what_was_not_measured_is_never_folded_into_a_pass(harness):
    arguments = ("--base-env", "PYTHONPATH=")
    assert gate(harness, *arguments).returncode == 3
    assert gate(harness, *arguments, "--inconclusive", "pass").returncode == 3
    assert gate(harness, *arguments, "--inconclusive", "fail").returncode == 1


def test_a_benchmark_that_base_had_and_the_suite_has_not_fails(harness):
    before = harness.folder / "before.toml"
    before.write_text(ONE + ONE.replace("[benchmarks.paced]", "[benchmarks.gone]"))
    done = gate(harness, "--base-suite", str(before), "--budget", "0.01")
    assert done.returncode == 1, done.stderr
    gone = json.loads(done.stdout)["benchmarks"][-1]
    assert (gone["name"], gone["verdict"]) == ("gone", "FAIL")
    assert "not in head's suite" in gone["reason"]
    before.write_text(ONE.replace('"mlp"', '"cnn"'))
    (other,) = json.loads(gate(harness, "--base-suite", str(before)).stdout)["benchmarks"]
    assert (other["name"], other["verdict"], other["look"]) == ("paced", "FAIL", [])
    assert other["mode"] == "plain"
    assert "other work under this name (paced on cnn, and head's paced on mlp)" in other["reason"]
    before.write_text(ONE.replace('"paced"', '"paced:dies"'))
    (mode,) = json.loads(gate(harness, "--base-suite", str(before)).stdout)["benchmarks"]
    assert (mode["verdict"], mode["look"]) == ("FAIL", [])
    written_out = ONE.replace('"paced"', '"paced:plain"') + 'dataset = "mnist1d"\nset = { width = 1.0 }\n'
    before.write_text(written_out)
    (same,) = json.loads(gate(harness, "--base-suite", str(before), "--budget", "0.01").stdout)["benchmarks"]
    assert (same["verdict"], same.get("vanished", False)) == ("INCONCLUSIVE", False)
    before.write_text("[nothing]")
    refused = gate(harness, "--base-suite", str(before))
    assert refused.returncode == 2
    assert "names no benchmark: give the suite as it was at base" in refused.stderr
    before.write_text("max_slowdown =")
    refused = gate(harness, "--base-suite", str(before))
    assert refused.returncode == 2
    assert "before.toml cannot be read: Invalid value" in refused.stderr


def test_where_no_time_is_judged_none_is_measured(harness):
    off = "".join(
        f'{limit} = "off"\n' for limit in ("max_slowdown", "max_first_step_slowdown", "max_memory_growth")
    )
    done = gate(harness, suite=ONE + off)
    assert done.returncode == 0, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert (benchmark["verdict"], benchmark["quality"]["verdict"], benchmark["look"]) == ("PASS", "PASS", [])
    worse = gate(harness, "--head-env", "PACED_LOSS=1.0001", suite=ONE + off)
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
    ("arguments", "words"),
    [
        (("--head-python", "/bin/false"), "/bin/false cannot load its dl-harness: it says nothing"),
        (("--head-env", "PYTHONHOME=/nowhere"), "cannot load its dl-harness: Fatal Python error"),
        (("--head-python", "nowhere/python"), "there is no such program"),
        (("--head-env", "LOUD"), "write NAME=VALUE"),
        (("--base", "main"), "--base and --base-python are given, and one is wanted"),
        (("--to", "gate.pdf"), "the ending says what to write"),
        (("--to", "/proc/gate.xml"), "--to /proc/gate.xml cannot be written: "),
        (("--suite", "missing.toml"), "does not exist"),
        (("--head-python", "/bin/echo"), "does not answer as Python does"),
    ],
)
def test_what_is_refused(harness, arguments, words):
    done = gate(harness, *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('backend = "paced:slow"', "unknown mode of backend paced 'slow'"),
        ('task = "mpl"', "Did you mean 'mlp'?"),
        ('dataset = "digits"', "task mlp does not run on digits"),
        ('backend = "needy"', "not installed"),
    ],
)
def test_names_in_the_suite_that_mean_nothing(harness, line, words):
    key = line.partition(" ")[0]
    lines = {"backend": 'backend = "paced"', "task": 'task = "mlp"'} | {key: line}
    done = gate(harness, suite="[benchmarks.one]\n" + "\n".join(lines.values()) + "\n")
    assert done.returncode != 0
    assert words in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


def test_ctrl_c_keeps_what_there_is_and_leaves_no_worker(harness):
    (harness.folder / "gate.toml").write_text(PACED.format("one"))
    process = harness.start("gate", "--base-python", sys.executable, "--turns", "4")
    until = time.monotonic() + 60
    while not gates(harness) and time.monotonic() < until:
        time.sleep(0.1)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    (record,) = gates(harness)
    assert record["status"] == "interrupted"
    mine = harness.environment["HARNESS_DATA_DIR"]
    assert not [
        worker
        for worker in psutil.process_iter(["cmdline"])
        if "harness.worker" in (worker.info["cmdline"] or [])
        and worker.environ().get("HARNESS_DATA_DIR") == mine
    ]
