"""The statistics of a duel: compared with SciPy, by simulation, and on made-up pairs."""

import functools
import itertools
import math
import subprocess
import sys
import time
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import permutation_test

from harness.duel import verdict
from harness.duel.clock import Clock
from harness.duel.findings import break_even_samples, median_interval
from harness.duel.lengths import (
    block_steps,
    common_steps,
    shortest_block_seconds,
    turns_that_pay,
)
from harness.duel.log_ratios import log_ratio
from harness.duel.pairs import mark_disturbed
from harness.duel.ratios import Ratios, step_ratios
from harness.duel.record import BlockRecord, PairRecord
from harness.duel.settling import has_settled, is_hopeless
from harness.machine.cpus import allowed_cpus
from harness.machine.disturbance import Disturbance, disturbed, read_counters
from harness.report.duel_verdict import evidence_text, verdict_line
from harness.stats.estimate import Estimate
from harness.stats.looks import Looks
from harness.stats.sign_flip import bootstrap_interval, p_value, smallest_p_value

CALM = Disturbance(0.0, 0.0, 0.0, 0)


def pair(ratio, *, turns=8, control=1.0, lost=(), seconds=0.1):
    """A pair whose second configuration takes ``ratio`` times as long; turns in ``lost`` are disturbed."""
    blocks = []
    for turn in range(turns):
        for index in (0, 1) if turn % 2 == 0 else (1, 0):
            time = seconds * (ratio if index else 1.0)
            slow = control if index else 1.0
            blocks.append(BlockRecord(index, turn, 6, time, 0.001 * slow, CALM, turn in lost))
    return PairRecord([], blocks, 1.0)


@pytest.mark.parametrize(
    ("modes", "wanted", "given"),
    [
        (["eager", "eager"], [15, 119], [119, 119]),  # equal code, and a trial that was disturbed
        (["eager", "compile"], [10, 11], [11, 11]),
        (["eager", "compile"], [10, 21], [10, 21]),
        (["eager", "compile", "eager"], [100, 3, 5], [100, 3, 100]),
    ],
)
def test_blocks_have_the_same_steps_where_backend_and_mode_are_the_same(modes, wanted, given):
    assert common_steps([("torch", mode) for mode in modes], wanted) == given


def compare(pairs, **options):
    return verdict.compare(pairs, 1, ["a", "b"], [64, 64], margin=0.02, **options)


def noisy(rng, ratio, spread, pairs, **options):
    return [pair(ratio * math.exp(rng.normal(0, spread)), **options) for _ in range(pairs)]


def test_exact_p_values():
    ratios = np.array([0.1, 0.2, 0.3, 0.1, 0.2, 0.05, 0.1, 0.2])
    assert p_value(ratios) == 2 / 256
    assert p_value(ratios, "greater") == 1 / 256
    assert p_value(ratios, "less") == 1.0
    assert p_value(ratios, "less", shift=0.5) == 1 / 256
    assert (
        p_value(np.array([1.0, 1.0, -1.0])) == 1.0
    )  # of 8 sums, two are 3, two -3, four are ±1: all as extreme


def test_p_value_counts_every_pattern():
    ratios = np.array([3.0, -1.0, 2.0])
    sums = [a * 3 + b * 1 + c * 2 for a in (1, -1) for b in (1, -1) for c in (1, -1)]
    assert p_value(ratios) == sum(abs(total) >= 4 for total in sums) / 8


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@given(st.lists(st.integers(-9, 9), min_size=2, max_size=9), st.sampled_from([0.0, 0.3, 1.0]))
def test_p_value_is_scipys(alternative, values, shift):
    """Whole numbers make sums tie, and ties count as extreme."""
    expected = permutation_test(
        (np.array(values) - shift,), np.mean, permutation_type="samples", alternative=alternative
    )
    assert p_value(np.array(values), alternative, shift) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("pairs", [17, 28, 40, 44])
def test_p_value_is_exact_up_to_the_most_pairs_of_a_gate(pairs):
    """All ones: of 2 ** n sums, those with at most one sign flipped are at least n - 2."""
    ones = np.ones(pairs)
    assert p_value(ones, "greater") == 0.5**pairs
    assert p_value(-ones, "greater") == 1.0
    ones[3] = -1.0
    assert p_value(ones, "greater") == (1 + pairs) * 0.5**pairs
    assert p_value(-ones, "less") == (1 + pairs) * 0.5**pairs
    assert p_value(ones) == 2 * (1 + pairs) * 0.5**pairs


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_p_value_is_symmetric(ratios):
    ratios = np.array(ratios)
    assert p_value(ratios) == pytest.approx(p_value(-ratios))
    assert 2.0 ** (1 - len(ratios)) <= p_value(ratios) <= 1.0


def test_one_pair_shows_nothing():
    assert p_value(np.array([0.7])) == 1.0
    assert bootstrap_interval(np.array([0.7, 0.8, 0.9, 0.6])).low is None


def test_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        interval = bootstrap_interval(rng.normal(0.05, 0.02, 10))
        covered += interval.around(0.05)
    assert 180 <= covered <= 200  # 95 % of 200 is 190


@pytest.mark.parametrize("pairs", [5, 10, 20])
def test_one_outlier_among_pairs_that_hardly_vary_has_a_finite_interval(pairs):
    """As of peak memory. Resamples without the outlier have almost no error, and an unbounded t."""
    logs = np.random.default_rng(0).normal(0, 1e-6, pairs)
    logs[2] = math.log(2)
    interval = bootstrap_interval(logs)
    assert interval.low < logs.mean() < interval.high < 2.0


def looks_of(end, *, usable=None):
    """The looks of a test with time for ``end`` pairs, of which those in ``usable`` were not lost."""
    looks, pairs = Looks(), 0
    for made in range(1, end + 1):
        pairs += usable is None or usable[made - 1]
        looks.come_to(pairs, made / end, last=made == end)
    return looks


def test_an_exact_test_of_fewer_pairs_cannot_reach_its_level():
    assert verdict.fewest_pairs_for_difference(comparisons=1) == 7
    assert verdict.fewest_pairs_for_difference(comparisons=3) == 9


@pytest.mark.parametrize("end", [3, 7, 8, 9, 13, 27, 40])
def test_the_last_look_may_use_what_is_left_and_no_more(end):
    assert sum(looks_of(end).shares.values()) == pytest.approx(1.0)
    assert max(looks_of(end).shares) == end


@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
@pytest.mark.parametrize("level", [0.02, 0.01 / 33, 0.001 / 4, 0.01 / 200])
@pytest.mark.parametrize("end", [18, 40])
def test_error_that_a_look_cannot_use_is_carried_over(end, level, alternative):
    """However many share the error, some look can detect a loss that every pair shows."""
    levels = looks_of(end).levels(level, alternative)
    assert sum(levels.values()) == pytest.approx(level)
    assert all(at >= smallest_p_value(pairs, alternative) for pairs, at in levels.items())


def test_most_of_the_error_is_left_for_the_end_and_a_large_difference_is_found_early():
    levels = looks_of(40).levels(0.02)
    assert min(levels) == 10
    assert levels[40] > 0.01


def test_lost_pairs_do_not_count_towards_looks():
    looks = looks_of(20, usable=[True] * 9 + [False] * 3 + [True] * 8)
    assert set(looks.shares) == {10, 14, 17}
    assert sum(looks.shares.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("pairs", [4, 9, 16, 24])
def test_the_smallest_p_value_is_that_of_one_sign(pairs):
    ratios = np.linspace(1.0, 2.0, pairs)
    assert p_value(ratios) == pytest.approx(smallest_p_value(pairs), rel=0.01)
    assert p_value(ratios, "greater") == pytest.approx(smallest_p_value(pairs, "greater"), rel=0.01)


def test_a_level_that_was_raised_keeps_its_looks():
    planned, now = 0.01 / 4, 0.01
    before = looks_of(24).levels(planned, "greater", planned=planned)
    after = looks_of(24).levels(now, "greater", planned=planned)
    assert after == pytest.approx({pairs: 4 * level for pairs, level in before.items()})


def test_time_that_is_up_gives_a_verdict_that_a_look_between_does_not():
    pairs = [pair(ratio) for ratio in (1.05, 1.06, 1.04, 1.05, 1.07, 1.05, 1.06)]
    early, late = Looks(), Looks()
    early.come_to(7, 0.9, last=False)
    late.come_to(7, 0.9, last=True)
    assert [compare(pairs, looks=looks).verdict for looks in (early, late)] == ["undecided", "slower"]


@pytest.mark.parametrize("end", [10, 12, 14, 15])
def test_false_alarms_over_all_looks_stay_under_the_level(end):
    """Counted over every pattern of signs, which are equally likely if the configurations are equal."""
    rng = np.random.default_rng(3)
    sizes = np.abs(rng.standard_t(3, end))  # heavier tails than those of a machine
    fence = functools.partial(np.median, axis=1, keepdims=True)
    ratios = sizes * np.array(list(itertools.product([-1, 1], repeat=end)))
    levels, alarms = looks_of(end).levels(verdict.DIFFERENCE_LEVEL), np.zeros(len(ratios), bool)
    for pairs, level in levels.items():
        seen = ratios[:, :pairs]
        cut = np.clip(seen, -2 * fence(np.abs(seen)), 2 * fence(np.abs(seen)))
        assert Ratios(seen[5], fenced=True).p_value() == pytest.approx(p_value(cut[5]))
        means = np.abs(cut.sum(axis=1))
        alarms |= 1 - np.searchsorted(np.sort(means), means * (1 - 1e-12)) / len(ratios) <= level
    assert verdict.DIFFERENCE_LEVEL / 2 < alarms.mean() <= verdict.DIFFERENCE_LEVEL


def test_log_ratio_is_of_time_per_sample():
    assert log_ratio(pair(1.5), 1, [64, 64]) == pytest.approx(math.log(1.5))
    assert log_ratio(pair(1.5), 1, [64, 128]) == pytest.approx(math.log(0.75))


@pytest.mark.parametrize("shift", [0.0, 0.02])
def test_p_values_of_cut_ratios_hold_their_level(shift):
    """Over all exchanges of the two processes of a pair, p is below any level at most that often."""
    off = np.random.default_rng(4).standard_t(1.5, 8) * 0.03
    values = [
        Ratios(shift + off * signs, fenced=True).p_value("greater", shift)
        for signs in np.array(list(itertools.product([-1, 1], repeat=8)))
    ]
    # Values that are cut to the fence tie, which makes p slightly larger than necessary, never smaller.
    sorted_values, exact = np.sort(values), np.arange(1, 257) / 256
    assert (sorted_values >= exact - 1e-12).all()
    assert sorted_values == pytest.approx(exact, abs=0.02)


def test_an_outlier_counts_as_a_pair_at_the_fence():
    logs = np.array([0.05, 0.06, 0.04, 0.03, 0.07, 0.45])
    ratios = Ratios(logs, fenced=True)
    cut = logs - np.median(logs)
    fence = 2 * np.median(np.abs(cut))
    assert ratios.weight == pytest.approx(5 + fence / cut[-1])
    assert ratios.mean == pytest.approx(np.median(logs) + np.clip(cut, -fence, fence).mean() / (5 / 6))
    assert ratios.mean == Ratios(np.array([*logs[:-1], 4.5]), fenced=True).mean
    assert Ratios(logs).mean == pytest.approx(logs.mean())


def test_no_pair_is_cut_if_most_are_equal():
    assert Ratios(np.array([0.1, 0.1, 0.1, 0.4]), fenced=True).mean == pytest.approx(0.175)
    assert Ratios(np.array([0.0, 0.0]), fenced=True).weight == 2.0


def test_unfenced_all_pairs_count_alike():
    logs = np.random.default_rng(1).normal(0.05, 0.02, 12)
    ratios = Ratios(logs)
    assert (ratios.mean, ratios.spread) == pytest.approx((logs.mean(), logs.std(ddof=1)))
    assert ratios.weight == pytest.approx(12)
    assert ratios.ratio == bootstrap_interval(logs).exp()
    assert ratios.p_value() == p_value(logs)


@pytest.mark.parametrize(("tails", "width", "error"), [(False, 1.1, 1.1), (True, 0.75, 0.6)])
@pytest.mark.parametrize("pairs", [8, 15])
def test_down_weighting_makes_a_ratio_with_outliers_more_precise(tails, width, error, pairs):
    """And hardly less precise if pairs are normal; the interval covers it in both cases."""
    rng = np.random.default_rng(0)
    covered, widths, fenced, plain = 0, [], [], []
    for _ in range(400):
        logs = 0.05 + rng.normal(0, 0.02, pairs)
        if tails:
            logs += (rng.random(pairs) < 0.15) * rng.normal(0, 0.2, pairs)
        ratios = Ratios(logs, fenced=True)
        ratio, alike = ratios.ratio, bootstrap_interval(logs).exp()
        covered += ratio.around(math.exp(0.05))
        widths.append(math.log(ratio.high / ratio.low) / math.log(alike.high / alike.low))
        fenced.append(ratios.mean)
        plain.append(logs.mean())
    assert 356 <= covered <= 398  # 95 % of 400 is 380
    assert abs(np.mean(fenced) - 0.05) < 0.003
    assert np.std(fenced) < error * np.std(plain)
    assert np.median(widths) < width


def test_same_must_hold_with_slow_processes_counted_in_full():
    """Every ninth process of the second configuration is slow: the typical ratio is 1, the mean is not."""
    rng = np.random.default_rng(5)
    pairs = [*noisy(rng, 1.0, 0.001, 16), *noisy(rng, 1.6, 0.001, 2)]
    ratios = step_ratios(pairs, 1, [1, 1])
    assert ratios.p_value("less", math.log(1.02)) < 0.01
    assert ratios.cautious_p_value("less", math.log(1.02)) == 1.0
    assert ratios.cautious_p_value("less", math.log(1.1)) < 0.01
    assert compare(pairs).verdict != "same"


def test_slow_processes_do_not_hide_a_slowdown_and_are_reported():
    rng = np.random.default_rng(2)
    result = compare([*noisy(rng, 1.05, 0.01, 12), pair(0.7), pair(1.5)])
    assert result.verdict == "slower"
    assert result.ratio.value == pytest.approx(1.05, abs=0.015)
    assert 10.5 < result.weight < 11.5
    assert "14 pairs, effective 11 after down-weighting outliers, p = " in evidence_text(result)


def test_a_disturbed_block_drops_its_turn_for_both_configurations():
    clean = pair(1.1)
    assert log_ratio(pair(1.1, lost={0, 1, 2}), 1, [1, 1]) == pytest.approx(log_ratio(clean, 1, [1, 1]))
    assert log_ratio(pair(1.1, lost=range(5)), 1, [1, 1]) is None


def test_only_bursts_are_disturbances():
    def took(*others):
        return disturbed([Disturbance(0.0, each, 0.0, 0) for each in others], [0.1] * len(others))

    assert took(0.0, 0.01, 0.02, 0.0, 0.01) == [False] * 5  # the kernel counts in ticks of 10 ms
    assert took(0.0, 0.0, 0.08, 0.0, 0.01) == [False, False, True, False, False]
    assert took(0.09, 0.1, 0.09, 0.1, 0.09) == [False] * 5  # a constant load
    hot = Disturbance(0.0, 0.0, 0.0, 2)
    assert disturbed([CALM, hot, CALM], [0.1] * 3) == [False, True, False]
    always = [Disturbance(0.0, 0.0, 0.0, count) for count in (3, 1, 7, 2, 30)]
    assert disturbed(always, [0.1] * 5) == [False] * 5  # a machine that is always hot


@pytest.mark.parametrize("threads", [[2, 1], [2, 2]])
def test_a_constant_load_that_meets_configurations_unequally_drops_nothing(threads):
    """A configuration of one thread leaves a CPU for it, one of two threads does not."""

    def marks(burst):
        taken = {(turn, 0): 0.066 for turn in range(8)} | ({(3, 1): 0.08} if burst else {})
        blocks = [
            msgspec.structs.replace(
                block, disturbance=Disturbance(0.0, taken.get((block.turn, block.configuration), 0.0), 0.0, 0)
            )
            for block in pair(1.0).blocks
        ]
        return [
            (block.turn, block.configuration) for block in mark_disturbed(blocks, threads) if block.disturbed
        ]

    assert marks(burst=False) == []
    assert marks(burst=True) == [(3, 1)]


def test_with_few_turns_configurations_of_as_many_threads_are_judged_together():
    """The two blocks in the middle of two turns belong to one configuration."""
    made = pair(1.0, turns=2).blocks
    blocks = [
        msgspec.structs.replace(block, disturbance=Disturbance(0.0, 0.08, 0.0, 0))
        if place in (1, 2)
        else block
        for place, block in enumerate(made)
    ]
    assert [block.disturbed for block in mark_disturbed(blocks, [1, 1])] == [False, True, True, False]


def test_the_ticks_of_many_cpus_are_no_burst():
    """All CPUs count at the same moments: 16 busy ones are off by up to 0.16 s for a block."""
    some, burst = Disturbance(0.0, 0.1, 0.0, 0), Disturbance(0.0, 0.3, 0.0, 0)
    marks = disturbed([CALM, some, CALM, burst, CALM], [0.1] * 5, threads=16)
    assert marks == [False, False, False, True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="counted only on Linux")
def test_work_of_what_our_processes_start_is_ours():
    """A worker's own children, such as loaders of data, and theirs."""
    burn = "import time\nwhile time.process_time() < 0.5: pass"
    call = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    before = read_counters()
    process = subprocess.Popen([sys.executable, "-c", call])
    used = []
    while process.poll() is None:
        used.append(read_counters().ours - before.ours)
        time.sleep(0.02)
    assert max(used) > 0.3


@pytest.mark.skipif(sys.platform != "linux", reason="counted only on Linux")
def test_only_the_cpus_that_are_watched_are_counted():
    """Programs on the other CPUs of a large machine are no disturbance."""
    cpus = allowed_cpus()
    each, whole = sum(read_counters(cpus=[cpu]).busy for cpu in cpus), read_counters(cpus=cpus).busy
    assert each == pytest.approx(whole, abs=0.1 * len(cpus))
    assert read_counters(cpus=[]).busy == 0.0 < whole


def test_the_interval_of_a_median_covers_it_at_its_level():
    chance = np.random.default_rng(8)
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == Estimate(3.0, None, None, 5)
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == Estimate(3.5, 1.0, 6.0, 6)
    covered = 0
    for _ in range(1000):
        covered += median_interval(chance.exponential(1.0, 15)).around(math.log(2))
    assert 945 <= covered <= 990  # 96.5 % by the binomial distribution


def findings(start_up, samples_per_second):
    return SimpleNamespace(start_up_seconds=start_up, samples_per_second=samples_per_second)


def test_break_even_follows_the_ratio_that_the_verdict_rests_on():
    """The medians of each configuration, shown beside it, may differ by chance."""
    eager, compiled = findings(1.0, 100.0), findings(11.0, 99.0)
    assert break_even_samples(eager, compiled, 0.9) == pytest.approx(10.0 / (0.1 / 100.0))
    assert break_even_samples(eager, compiled, 1.1) is None
    assert break_even_samples(compiled, eager, 1.1) == pytest.approx(10.0 / (0.1 / 99.0))


def test_a_hiccup_does_not_move_the_ratio():
    made = pair(1.0)
    hiccup = BlockRecord(1, 3, 6, 5.0, 0.001, CALM, False)
    blocks = [hiccup if (b.configuration, b.turn) == (1, 3) else b for b in made.blocks]
    assert log_ratio(PairRecord([], blocks, 1.0), 1, [1, 1]) == pytest.approx(0.0)


def with_pauses(rng, made, index, share=0.15, seconds=0.34):
    """The same pair; a share of the blocks of a configuration (None: of both) contains a pause."""
    blocks = [
        msgspec.structs.replace(block, seconds=block.seconds + seconds)
        if index in (None, block.configuration) and rng.random() < share
        else block
        for block in made.blocks
    ]
    return PairRecord([], blocks, 1.0)


@pytest.mark.parametrize(("index", "word"), [(1, "slower"), (0, "faster")])
def test_pauses_of_one_configuration_are_no_hiccups(index, word):
    """Every fiftieth step of one configuration saves a checkpoint: five blocks in six do not show it."""
    rng = np.random.default_rng(3)
    pairs = [with_pauses(rng, each, index) for each in noisy(rng, 1.0, 0.01, 20, turns=10)]
    assert abs(np.median([log_ratio(each, 1, [1, 1]) for each in pairs])) < 0.02
    result = compare(pairs)
    assert (result.verdict, result.uneven) == (word, True)
    assert result.ratio.value ** (1 if index else -1) == pytest.approx(1 + 0.15 * 0.34 / 0.1, rel=0.1)


def test_pauses_in_few_pairs_prevent_the_verdict_same():
    """A pause every ten seconds, say, which a third of the pairs have in one of their blocks."""
    rng = np.random.default_rng(3)
    pairs = noisy(rng, 1.0, 0.002, 12, turns=10)
    assert compare(pairs).verdict == "same"
    pairs[::3] = [with_pauses(rng, each, 1, share=0.3) for each in pairs[::3]]
    result = compare(pairs)
    assert (result.verdict, result.uneven) == ("undecided", False)
    assert result.pairs_wanted > 1


def test_faster_between_pauses_and_slower_with_them_is_undecided():
    rng = np.random.default_rng(3)
    pairs = noisy(rng, 0.97, 0.002, 12, turns=10)
    assert compare(pairs).verdict == "faster"
    for place in range(0, 12, 3):  # a second, in one block of each
        blocks = list(pairs[place].blocks)
        third = [number for number, block in enumerate(blocks) if block.configuration == 1][3]
        blocks[third] = msgspec.structs.replace(blocks[third], seconds=blocks[third].seconds + 1.0)
        pairs[place] = PairRecord([], blocks, 1.0)
    result = compare(pairs)
    assert (result.verdict, result.uneven, result.ratio.value < 1) == ("undecided", False, True)
    assert result.reason == "contradicted"


def test_a_verdict_does_not_stay_while_all_blocks_contradict_it():
    rng = np.random.default_rng(3)
    pairs = noisy(rng, 0.92, 0.01, 24, turns=10)
    reached = None
    for made in range(10, 25):
        if made > 12:  # pauses begin
            blocks = list(pairs[made - 1].blocks)
            third = [number for number, block in enumerate(blocks) if block.configuration == 1][3]
            blocks[third] = msgspec.structs.replace(blocks[third], seconds=blocks[third].seconds + 1.0)
            if made % 2:
                pairs[made - 1] = PairRecord([], blocks, 1.0)
        looks = Looks()
        if made == 10:
            looks = None
        now = compare(pairs[:made], looks=looks)
        reached = verdict.latest(reached, now)
        result = verdict.kept(reached, now)
        assert result.verdict == ("undecided" if now.contradicted else "faster")
    assert now.contradicted
    assert result.reason == "contradicted"


def test_only_the_verdict_same_may_change_later():
    same, slower, faster, undecided = (
        compare(noisy(np.random.default_rng(5), ratio, spread, 8))
        for ratio, spread in ((1.0, 0.002), (1.1, 0.005), (0.9, 0.005), (1.02, 0.03))
    )
    words = [result.verdict for result in (same, slower, faster, undecided)]
    assert words == ["same", "slower", "faster", "undecided"]
    assert verdict.latest(same, slower) is slower
    assert verdict.latest(same, undecided) is same
    assert verdict.latest(slower, same) is slower
    assert verdict.latest(slower, faster) is slower
    assert verdict.latest(None, undecided) is None


def test_one_second_in_which_the_machine_stood_still_does_not_prevent_the_verdict_same():
    pairs = noisy(np.random.default_rng(3), 1.0, 0.002, 12, turns=10)
    blocks = list(pairs[4].blocks)
    blocks[7] = msgspec.structs.replace(blocks[7], seconds=1.1)
    pairs[4] = PairRecord([], blocks, 1.0)
    result = compare(pairs)
    assert (result.verdict, result.uneven) == ("same", False)


def test_pauses_of_both_configurations_keep_the_level():
    """All blocks count then, and the test has its level of 0.02."""
    rng = np.random.default_rng(3)
    result = [
        compare([with_pauses(rng, each, None) for each in noisy(rng, 1.0, 0.02, 10, turns=10)])
        for _ in range(400)
    ]
    assert sum(each.uneven for each in result) > 300
    called = sum(each.verdict in {"faster", "slower"} for each in result)
    assert called <= 17  # 8 are expected, and more in 1 of 300 cases


@pytest.mark.parametrize(("ratio", "word"), [(1.05, "slower"), (0.95, "faster"), (1.0, "same")])
def test_verdicts(ratio, word):
    pairs = noisy(np.random.default_rng(5), ratio, 0.008, 8)
    result = compare(pairs)
    assert result.verdict == word
    assert result.ratio.value == pytest.approx(ratio, rel=0.02)
    assert result.ratio.low < result.ratio.value < result.ratio.high


def test_no_verdict_before_the_first_look():
    result = compare(noisy(np.random.default_rng(5), 2.0, 0.01, 7), looks=Looks())
    assert result.verdict == "undecided"
    assert result.pairs_wanted == 3


def test_more_pairs_are_asked_for_where_the_spread_is_wide():
    result = compare(noisy(np.random.default_rng(4), 1.01, 0.06, 8))
    assert result.verdict == "undecided"
    assert result.pairs_wanted > 8


def test_a_control_that_moves_leaves_no_verdict():
    rng = np.random.default_rng(7)
    for ratio in (1.0, 1.3):
        pairs = [pair(ratio * math.exp(rng.normal(0, 0.005)), control=1.04) for _ in range(8)]
        result = compare(pairs)
        assert result.verdict == "undecided"
        assert result.reason == "control moved"
        assert result.control_ratio == pytest.approx(1.04)


def test_a_verdict_stays_after_its_look_unless_the_machine_changed():
    rng = np.random.default_rng(10)
    pairs = noisy(rng, 1.1, 0.005, 8)
    reached = compare(pairs)
    assert reached.verdict == "slower"
    assert reached.reached_after == 8
    later = verdict.kept(reached, compare([*pairs, *noisy(rng, 0.8, 0.005, 1)]))
    assert later.verdict == "slower"
    assert (later.pairs, later.reached_after) == (9, 8)
    moved = [pair(1.1 * math.exp(rng.normal(0, 0.005)), control=1.3) for _ in range(8)]
    assert verdict.kept(reached, compare([*pairs, *moved])).verdict == "undecided"
    assert compare([*pairs, *moved]).reached_after is None
    assert verdict.kept(None, compare(pairs)).verdict == "slower"


@pytest.mark.parametrize(
    ("ratio", "spread", "enough"),
    [(1.05, 0.02, True), (1.05, 0.06, False), (1.5, 0.06, True), (1.0, 0.06, False)],
)
def test_a_duel_goes_on_until_its_ratio_is_known(ratio, spread, enough):
    result = compare(noisy(np.random.default_rng(11), ratio, spread, 14))
    assert verdict.known_well_enough(result, 0.02) == enough


def test_more_pairs_than_a_duel_makes_are_reported_as_such():
    result = compare(noisy(np.random.default_rng(4), 1.001, 0.2, 8))
    assert "more pairs are needed to decide, and a duel makes at most 40" in verdict_line(result, 0.02)


def test_pairs_lost_to_disturbances_leave_no_verdict():
    pairs = noisy(np.random.default_rng(8), 1.2, 0.005, 8)
    lost = [pair(1.2, lost=range(8)) for _ in range(6)]
    result = compare(pairs + lost)
    assert result.pairs == 8
    assert result.verdict == "undecided"
    assert (result.reason, result.lost) == ("pairs lost", 6)
    assert "6 of 14 pairs were lost" in verdict_line(result, 0.02)


def test_several_configurations_share_the_error():
    pairs = noisy(np.random.default_rng(9), 1.3, 0.005, 8)
    assert compare(pairs).verdict == "slower"
    # With three comparisons 8 pairs cannot reach the level.
    assert compare(pairs, comparisons=3).verdict == "undecided"
    assert compare(pairs, comparisons=3).pairs_wanted == 2


def test_warm_up_ends_when_times_stop_falling():
    assert not has_settled([1.0] * 3)
    assert has_settled([1.0] * 4)
    assert not has_settled([3.0, 2.0, 1.5, 1.2, 1.1, 1.0])
    assert has_settled([3.0, 2.0, 1.5, 1.2, 1.1, 1.0, 1.0, 1.1, 1.0])
    assert has_settled([1.0, 1.0, 1.3, 1.3])  # a rise comes from the machine
    assert not has_settled([1.3, 1.2, 1.1, 1.4])  # one hiccup does not hide the fall
    assert not is_hopeless([1.0] * 23)
    assert is_hopeless([1.0] * 24)


def test_short_blocks_settle_over_as_long_a_time():
    """A window of two blocks of 0.03 s would end before caches and allocators are steady."""
    assert not has_settled([0.03] * 13)
    assert has_settled([0.03] * 14)
    assert not has_settled([0.04] * 9 + [0.03] * 4)
    assert not is_hopeless([0.03] * 80)
    assert is_hopeless([0.03] * 90)


CLOCK = Clock(ratio=2.0, step_seconds=0.003, quickest_step_seconds=0.0025, call_seconds=0.0)


def test_configurations_of_one_program_on_the_cpu_have_short_blocks():
    """They pay the same for cold caches; others have blocks in which this hardly counts."""
    alike = shortest_block_seconds(["torch", "torch"], ["cpu", "cpu"])
    assert block_steps(CLOCK, alike) == 12
    for programs, devices in ((["torch", "jax"], ["cpu", "cpu"]), (["torch"] * 2, ["cuda:0 (H100)"] * 2)):
        assert block_steps(CLOCK, shortest_block_seconds(programs, devices)) == 44
    slow = CLOCK._replace(quickest_step_seconds=0.05)
    assert block_steps(slow, alike) == 1
    costly = CLOCK._replace(call_seconds=0.005)  # a call must be a hundredth of a block
    assert block_steps(costly, alike) == 200


@pytest.mark.parametrize(
    ("seconds", "turns"), [(0.06, 60), (0.09, 54), (0.25, 32), (0.5, 22), (1.0, 16), (9.0, 10)]
)
def test_a_pair_has_as_many_turns_as_pay(seconds, turns):
    assert turns_that_pay(seconds) == turns


@pytest.mark.parametrize(
    ("margin", "text"), [(0.02, "within 2 %"), (0.005, "within 0.5 %"), (0.015, "within 1.5 %")]
)
def test_the_margin_is_printed_as_given(margin, text):
    pairs = [pair(1.0)] * 8
    result = verdict.compare(pairs, 1, ["a", "b"], [64, 64], margin=margin)
    assert f"b is as fast as a {text}: " in verdict_line(result, margin)
