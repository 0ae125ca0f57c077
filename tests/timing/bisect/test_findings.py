"""What the pairs of a bisection show: whether good and bad differ, and which candidates are left."""

import math

import numpy as np
import pytest

from harness.core.machine.description import describe_machine
from harness.timing.bisect.findings import (
    candidates_left,
    evident_culprits,
    first_verdict,
    is_confirmed,
    is_hopeless,
    search_of,
)
from harness.timing.bisect.page import bisect_document, outcome, search_text
from harness.timing.bisect.record import BisectRecord, Candidate, Probe
from harness.timing.engine.ratios import Ratios
from harness.timing.environments.suite import Benchmark


def made(metric="step", candidates=20, within=0.02, **fields):
    return BisectRecord(
        id="20260131-235959-123-bisection-3f2a",
        started_at="2026-01-31T23:59:59+00:00",
        command=[],
        machine=describe_machine(),
        kind="commit",
        metric=metric,
        benchmark=Benchmark(name="step", step="bench.py:make_step"),
        same_within=within,
        probability=0.95,
        candidates=[Candidate(f"commit{number}") for number in range(candidates)],
        **fields,
    )


def with_pairs(record, logs, good=None, noise=0.001):
    """The record with pairs of bad, and as many of good itself."""
    last = len(record.candidates) - 1
    again = np.random.default_rng(0).normal(0, noise, len(logs)) if good is None else good
    record.probes += [Probe(candidate=last, log_ratio=float(log)) for log in logs]
    record.probes += [Probe(candidate=0, log_ratio=float(log)) for log in again]
    return record


def pairs_made(metric, truth, noise, seed=0, **options):
    """The verdict on pairs that are made until there is one, and their number."""
    logs = np.random.default_rng(seed).normal(math.log(truth), noise, 40)
    for count in range(1, 41):
        if verdict := first_verdict(with_pairs(made(metric, **options), logs[:count])):
            return verdict, count
    return None, 40


def test_three_pairs_decide_what_hardly_varies():
    assert pairs_made("memory", 1.04, 0.001) == ("culprit", 3)
    assert pairs_made("memory", 1.0, 0.001) == ("no difference", 3)


def test_a_difference_that_is_smaller_than_the_margin_is_none():
    """It is certain that good and bad differ, and by how little."""
    assert pairs_made("memory", 1.01, 0.0005)[0] == "no difference"
    assert pairs_made("memory", 1.01, 0.0005, within=0.005)[0] == "culprit"
    assert pairs_made("step", 1.01, 0.002)[0] == "no difference"


def test_equal_steps_are_shown_to_be_the_same_by_few_pairs():
    verdicts = [pairs_made("step", 1.0, 0.01, seed) for seed in range(4)]
    assert {verdict for verdict, _ in verdicts} == {"no difference"}
    assert np.median([count for _, count in verdicts]) <= 9


@pytest.mark.parametrize("noise", [0.03, 0.06])
def test_a_wide_interval_never_ends_a_search_as_no_difference(noise):
    """No interval within twice the margin counts for one within it."""
    for seed in range(10):
        logs = np.random.default_rng(seed).normal(0, noise, 40)
        logs -= logs.mean() - 0.019
        assert first_verdict(with_pairs(made(), logs)) != "no difference"


@pytest.mark.slow
def test_steps_at_the_margin_are_hardly_ever_called_the_same():
    verdicts = [pairs_made("step", 1.021, 0.01, seed)[0] for seed in range(20)]
    assert verdicts.count("no difference") <= 3  # 5 %, and chance


@pytest.mark.parametrize(("logs", "confirms"), [([0.04, 0.041, 0.039], True), ([0.0, 0.001, 0.0], False)])
def test_three_pairs_of_a_quantity_confirm_its_culprit(logs, confirms):
    assert is_confirmed(made("memory", confirmation=logs)) == confirms
    assert not is_confirmed(made("step", confirmation=logs))


def test_memory_is_searched_with_a_pair_for_each_candidate():
    record, count, culprit = with_pairs(made("memory"), [0.04, 0.041, 0.039]), 0, 13
    while search_of(record).culprits[1] < 0.95:
        probe = search_of(record).next_probe()
        log = (0.04 if probe >= culprit else 0.0) + 0.001 * (-1) ** count
        record.probes.append(Probe(candidate=probe, log_ratio=log))
        count += 1
    assert ([*search_of(record).culprits[0]], count <= 6) == ([culprit], True)


def test_nothing_is_named_before_there_is_evidence():
    """Each of 19 candidates is as likely as the others, and a search begins with one of them."""
    record = with_pairs(made(), [0.0, 0.1, 0.0])
    assert search_text(record) == ""
    record = with_pairs(made(), [0.1] * 10, noise=0.02)
    assert (evident_culprits(record), candidates_left(record)) == (None, range(1, 20))
    assert search_text(record) == "19 of 19 candidates left, commit1 to commit19"
    for candidate, log in (12, 0.0), (12, 0.01), (14, 0.1), (14, 0.11):
        record.probes.append(Probe(candidate=candidate, log_ratio=log))
    assert evident_culprits(record) is None  # two are left: neither is likelier than not
    assert search_text(record) == "2 of 19 candidates left, commit13 to commit14"
    record.probes += [Probe(candidate=13, log_ratio=log) for log in (0.0, 0.01)]
    assert search_text(record).startswith("likeliest culprit commit14 (")


def test_an_undecided_search_says_what_is_left():
    record = with_pairs(made(status="ok", outcome="undecided"), [0.0, 0.1, 0.0])
    remarks = str(bisect_document(record).nodes)
    assert "shown neither to differ nor to be the same within 2 %" in remarks
    assert "ikeliest" not in remarks
    assert "The same command goes on" in remarks
    record = with_pairs(made(status="ok", outcome="undecided"), [-0.1, 0.1] * 20)
    assert "These are the most pairs that are made" in str(bisect_document(record).nodes)
    assert outcome(made(status="ok", outcome="no difference")).startswith("No difference of 2 % or more")


@pytest.mark.parametrize(
    ("truth", "noise", "hopeless"), [(0.0, 0.06, True), (0.0, 0.02, False), (0.08, 0.06, False)]
)
def test_pairs_that_vary_too_much_are_given_up(truth, noise, hopeless):
    logs = np.random.default_rng(0).normal(0, 1, 13)
    logs = truth + noise * (logs - logs.mean()) / logs.std(ddof=1)
    assert is_hopeless(Ratios(logs), 0.02) == hopeless
    assert not is_hopeless(Ratios(logs[:12]), 0.02)


def test_one_candidate_needs_no_evidence():
    record = with_pairs(made(candidates=2), [0.1] * 10)
    assert evident_culprits(record) == (range(1, 2), pytest.approx(1.0))
