"""The end of ``harness run``: a line for each run, a comparison of configurations, and remarks."""

from pathlib import Path

import msgspec
import pytest
from support.made_runs import made_record, made_setting
from support.records import make_record, reconfigured
from support.rendered import record_text, run_summary

from harness.audit.findings import Clock
from harness.certify.certificate import Certificate
from harness.machine.usage import Interference
from harness.runs.record import DatasetRecord, Failure, LostAttempt

FOLDER = Path("results") / "runs"


def summary(*records, width=200):
    return run_summary(records, FOLDER, width)


def cells(text, start):
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_one_run_is_one_line():
    record = made_record(accuracy=0.942, step=0.012)
    text = summary(record)
    assert text.startswith("cnn on digits: 2 epochs, cpu, float32, 2 threads\n")
    assert cells(text, "task") == [
        "task",
        "backend",
        "certified",
        "test accuracy",
        "step time",
        "training",
    ]
    assert cells(text, "cnn  ") == [
        "cnn",
        "torch:eager",
        "yes",
        "94.2 %",
        "12 ms (12–12)",
        "1.2 s",
    ]
    assert text.endswith(f"Record: results/runs/{record.id}.json\nDetails: harness show last")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.3, "Scoring took 0.3 s, 20 % of training and scoring.\n"),
        (3.6, "Scoring took 3.6 s, 75 % of training and scoring. --eval-every N and"),
    ],
)
def test_the_share_of_scoring_is_stated(seconds, words):
    record = made_record(step=0.012)
    record.phases.evaluation_seconds = seconds
    assert words in summary(record)
    record.phases.evaluation_seconds = 0.0
    assert "Scoring" not in summary(record)


def test_seeds_and_failures_have_columns_only_where_there_are_any():
    failed = made_record(
        seed=1,
        status="failed",
        failure=Failure("the worker process exited with code 7", last_lines=list("abcdefg")),
        test_at_last=None,
        blocks=[],
    )
    text = summary(made_record(), failed)
    assert cells(text, "task")[2:4] == ["seed", "status"]
    assert "cnn, torch:eager, seed 1: failed: the worker process exited with code 7\n    c\n    d" in text
    assert text.endswith(" and 1 more\nDetails: harness show last, harness compare")


def test_configurations_are_compared_fastest_first():
    records = [
        made_record(backend, seed, step=step)
        for seed in (0, 1)
        for backend, step in (("keras", 0.03), ("torch", 0.01))
    ]
    text = summary(*records)
    names = [
        line.split()[0] for line in text.splitlines() if line.startswith(("torch:eager  ", "keras:eager  "))
    ]
    assert names == ["torch:eager", "keras:eager"]
    assert "3.0× slower" in text
    assert "Ratios are relative to the reference" in text


def test_runs_of_which_none_succeeded_are_listed():
    records = [
        made_record(
            backend, status="failed", failure=Failure("no memory"), test_at_last=None, blocks=[], epochs=[]
        )
        for backend in ("torch", "keras")
    ]
    assert cells(summary(*records), "cnn   keras")[2] == "failed"


def test_what_limits_the_result_is_said():
    record = made_record(
        certificate=Certificate(certified=False, reason="case 'sgd': the loss differs"),
        interference=Interference(cpus=2, others=1.5, stolen=0.0),
    )
    stand_in = DatasetRecord("digits", "f" * 64, stands_in_for="cifar10", reason="no network")
    text = summary(msgspec.structs.replace(record, dataset=stand_in))
    assert "digits stands in for cifar10, which is not available." in text
    assert "torch:eager on cnn is not certified; do not compare its figures with others: case 'sgd'" in text
    assert "The machine was busy: of its 2 CPUs, other programs used 1.5. Times are longer" in text


def test_commands_that_are_suggested_name_a_results_folder_other_than_the_default():
    records = [made_record(seed=seed) for seed in (0, 1)]
    text = run_summary(records, Path("my results") / "runs", 200)
    option = "--results 'my results'"
    assert text.endswith(f"Details: harness show last {option}, harness compare {option}")


def not_confirmed(others_share=0.4):
    return Clock(
        outcome="not confirmed",
        fault="missing time",
        calls=30,
        reported_seconds=1.5,
        observed_seconds=3.0,
        delay_seconds=0.1,
        others_share=others_share,
    )


def test_clocks_that_are_not_confirmed_are_one_sentence():
    text = summary(
        made_record("torch", clock=not_confirmed(0.4)), made_record("jax", seed=1, clock=not_confirmed(0.6))
    )
    (line,) = (line for line in text.splitlines() if "clock: not confirmed" in line)
    assert "torch:eager on cnn, jax:eager on cnn: other programs used 60 % of the CPUs" in line


def test_a_star_leads_to_the_clock_that_is_not_confirmed():
    text = summary(made_record(clock=not_confirmed()))
    assert " *" in text
    assert "\n* clock: not confirmed for torch:eager on cnn" in text


def test_a_grid_of_settings_ends_with_every_combination_compared():
    records = [
        made_setting(seed, optimizer=name, learning_rate=rate, accuracy=0.5 + rate)
        for name in ("adam", "sgd")
        for rate in (0.1, 0.2)
        for seed in range(3)
    ]
    text = summary(*records)
    assert text.startswith("optimizer and learning_rate on cnn: digits, 2 epochs, torch:eager\n")
    assert all(f"\n{name}, {rate} " in text for name in ("adam", "sgd") for rate in (0.1, 0.2))
    both = summary(*records, *(reconfigured(record, backend="jax") for record in records))
    assert "optimizer=adam, learning_rate=0.1\n" in both
    assert "To compare settings, add --by optimizer, --by learning_rate or" in " ".join(both.split())


def test_nodes_that_were_lost_before_are_listed():
    record = make_record()
    assert "nodes lost before" not in record_text(record)
    attempt = LostAttempt("beta (3f2a1c09d4e7)", "it no longer answers", 3)
    again = msgspec.structs.replace(record, lost_attempts=[attempt])
    assert "nodes lost before  beta (3f2a1c09d4e7) after 3 epochs: it no longer answers" in " ".join(
        record_text(again).splitlines()
    )
