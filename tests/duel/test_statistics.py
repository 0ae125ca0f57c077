"""The statistics of a duel, against SciPy, by simulation, and on made-up pairs."""

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
from harness.duel.pairs import log_ratio, mark_disturbed
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
    """A pair whose second side takes ``ratio`` times as long, and blocks of turns in ``lost``."""
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


def compare(pairs, **settings):
    return verdict.compare(pairs, 1, ["a", "b"], [64, 64], margin=0.02, **settings)


def noisy(rng, ratio, spread, pairs, **settings):
    return [pair(ratio * math.exp(rng.normal(0, spread)), **settings) for _ in range(pairs)]


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
    """Whole numbers make ties of sums, which must count as extreme."""
    expected = permutation_test(
        (np.array(values) - shift,), np.mean, permutation_type="samples", alternative=alternative
    )
    assert p_value(np.array(values), alternative, shift) == pytest.approx(expected.pvalue, abs=1e-12)


@pytest.mark.parametrize("pairs", [17, 28, 40, 44])
def test_p_value_is_exact_to_the_most_pairs_that_there_are(pairs):
    """All ones: of 2 ** n sums, those with at most one sign flipped are at least n - 2."""
    ones = np.ones(pairs)
    assert p_value(ones, "greater") == 0.5**pairs
    assert p_value(-ones, "greater") == 1.0
    ones[3] = -1.0
    assert p_value(ones, "greater") == (1 + pairs) * 0.5**pairs
    assert p_value(-ones, "less") == (1 + pairs) * 0.5**pairs
    assert p_value(ones) == 2 * (1 + pairs) * 0.5**pairs


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=9))
def test_p_value_does_not_know_the_sides(ratios):
    ratios = np.array(ratios)
    assert p_value(ratios) == pytest.approx(p_value(-ratios))
    assert 2.0 ** (1 - len(ratios)) <= p_value(ratios) <= 1.0


def test_one_pair_tells_nothing():
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
def test_one_outlier_among_pairs_that_hardly_vary_has_an_interval_that_can_be_told(pairs):
    """Memory is like that. Resamples without the outlier have next to no error, and a t beyond all bounds."""
    logs = np.random.default_rng(0).normal(0, 1e-6, pairs)
    logs[2] = math.log(2)
    interval = bootstrap_interval(logs)
    assert interval.low < logs.mean() < interval.high < 2.0


def looks_of(end, *, told=None):
    """The looks of a test that could make ``end`` pairs in its time; of each, whether it told something."""
    looks, pairs = Looks(), 0
    for made in range(1, end + 1):
        pairs += told is None or told[made - 1]
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
def test_what_a_look_cannot_reach_is_not_lost(end, level, alternative):
    """However many share the error, some look can find a loss that every pair shows."""
    levels = looks_of(end).levels(level, alternative)
    assert sum(levels.values()) == pytest.approx(level)
    assert all(at >= smallest_p_value(pairs, alternative) for pairs, at in levels.items())


def test_most_of_the_error_is_left_for_the_end_and_a_large_difference_need_not_wait():
    levels = looks_of(40).levels(0.02)
    assert min(levels) == 10
    assert levels[40] > 0.01


def test_pairs_that_were_lost_are_no_looks():
    told = [True] * 9 + [False] * 3 + [True] * 8
    looks = looks_of(20, told=told)
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
    """Counted over every pattern of signs, each as likely as any other where the sides are equal."""
    rng = np.random.default_rng(3)
    sizes = np.abs(rng.standard_t(3, end))  # heavier tails than any machine's
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
def test_p_values_of_cut_ratios_hold_over_all_that_chance_could_have_done(shift):
    """Each process's time stays and the sides are exchanged: then p is below any level as often as that."""
    off = np.random.default_rng(4).standard_t(1.5, 8) * 0.03
    values = [
        Ratios(shift + off * signs, fenced=True).p_value("greater", shift)
        for signs in np.array(list(itertools.product([-1, 1], repeat=8)))
    ]
    # What is cut to the fence ties, and p is then a little larger than it need be; it is never smaller.
    found, exact = np.sort(values), np.arange(1, 257) / 256
    assert (found >= exact - 1e-12).all()
    assert found == pytest.approx(exact, abs=0.02)


def test_a_pair_far_off_counts_as_one_at_the_fence():
    logs = np.array([0.05, 0.06, 0.04, 0.03, 0.07, 0.45])
    found = Ratios(logs, fenced=True)
    cut = logs - np.median(logs)
    fence = 2 * np.median(np.abs(cut))
    assert found.weight == pytest.approx(5 + fence / cut[-1])
    assert found.mean == pytest.approx(np.median(logs) + np.clip(cut, -fence, fence).mean() / (5 / 6))
    assert found.mean == Ratios(np.array([*logs[:-1], 4.5]), fenced=True).mean
    assert Ratios(logs).mean == pytest.approx(logs.mean())


def test_where_most_pairs_are_equal_none_is_cut():
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
def test_a_ratio_is_known_better_where_processes_are_slow_by_themselves(tails, width, error, pairs):
    """And hardly worse where pairs are normal; either way its interval holds."""
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


def test_that_sides_are_the_same_must_hold_with_slow_processes_counted_in_full():
    """Every ninth process of the second side is slow by itself: the typical ratio is 1, the mean is not."""
    rng = np.random.default_rng(5)
    pairs = [*noisy(rng, 1.0, 0.001, 16), *noisy(rng, 1.6, 0.001, 2)]
    ratios = step_ratios(pairs, 1, [1, 1])
    assert ratios.p_value("less", math.log(1.02)) < 0.01
    assert ratios.cautious_p_value("less", math.log(1.02)) == 1.0
    assert ratios.cautious_p_value("less", math.log(1.1)) < 0.01
    assert compare(pairs).verdict != "same"


def test_slow_processes_do_not_hide_a_slowdown_and_are_told():
    rng = np.random.default_rng(2)
    found = compare([*noisy(rng, 1.05, 0.01, 12), pair(0.7), pair(1.5)])
    assert found.verdict == "slower"
    assert found.ratio.value == pytest.approx(1.05, abs=0.015)
    assert 10.5 < found.weight < 11.5
    assert "14 pairs, effective 11 after down-weighting outliers, p = " in evidence_text(found)


def test_a_disturbed_block_drops_its_turn_for_both_sides():
    clean = pair(1.1)
    assert log_ratio(pair(1.1, lost={0, 1, 2}), 1, [1, 1]) == pytest.approx(log_ratio(clean, 1, [1, 1]))
    assert log_ratio(pair(1.1, lost=range(5)), 1, [1, 1]) is None


def test_only_bursts_are_disturbances():
    def took(*others):
        return disturbed([Disturbance(0.0, one, 0.0, 0) for one in others], [0.1] * len(others))

    assert took(0.0, 0.01, 0.02, 0.0, 0.01) == [False] * 5  # the kernel counts in ticks of 10 ms
    assert took(0.0, 0.0, 0.08, 0.0, 0.01) == [False, False, True, False, False]
    assert took(0.09, 0.1, 0.09, 0.1, 0.09) == [False] * 5  # a load that never ceases
    hot = Disturbance(0.0, 0.0, 0.0, 2)
    assert disturbed([CALM, hot, CALM], [0.1] * 3) == [False, True, False]
    always = [Disturbance(0.0, 0.0, 0.0, count) for count in (3, 1, 7, 2, 30)]
    assert disturbed(always, [0.1] * 5) == [False] * 5  # a machine that is always hot


@pytest.mark.parametrize("threads", [[2, 1], [2, 2]])
def test_a_load_that_never_ceases_and_meets_sides_unequally_drops_nothing(threads):
    """Beside a side that keeps one thread at work there is a CPU left for it, beside another none."""

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


def test_with_few_turns_what_is_usual_is_told_by_sides_of_as_many_threads():
    """Of two turns the two blocks in the middle are one side's."""
    made = pair(1.0, turns=2).blocks
    blocks = [
        msgspec.structs.replace(block, disturbance=Disturbance(0.0, 0.08, 0.0, 0))
        if place in (1, 2)
        else block
        for place, block in enumerate(made)
    ]
    assert [block.disturbed for block in mark_disturbed(blocks, [1, 1])] == [False, True, True, False]


def test_the_ticks_of_many_cpus_are_no_burst():
    """All CPUs count at the same moments: 16 busy ones tell up to 0.16 s more or less than a block had."""
    some, burst = Disturbance(0.0, 0.1, 0.0, 0), Disturbance(0.0, 0.3, 0.0, 0)
    marks = disturbed([CALM, some, CALM, burst, CALM], [0.1] * 5, threads=16)
    assert marks == [False, False, False, True, False]


@pytest.mark.skipif(sys.platform != "linux", reason="counted on Linux alone")
def test_work_of_what_our_processes_start_is_ours():
    """A worker's own children, such as loaders of data, and theirs."""
    burn = "import time; until = time.monotonic() + 0.6\nwhile time.monotonic() < until: pass"
    call = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    process = subprocess.Popen([sys.executable, "-c", call])
    try:
        time.sleep(0.3)
        before = read_counters()
        time.sleep(0.2)
        after = read_counters()
    finally:
        process.wait()
    assert after.ours - before.ours > 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="counted on Linux alone")
def test_only_the_cpus_that_are_watched_are_counted():
    """Neighbours on the other CPUs of a large machine are no disturbance."""
    cpus = allowed_cpus()
    each, whole = sum(read_counters(cpus=[cpu]).busy for cpu in cpus), read_counters(cpus=cpus).busy
    assert each == pytest.approx(whole, abs=0.1 * len(cpus))
    assert read_counters(cpus=[]).busy == 0.0 < whole


def test_the_interval_of_a_median_holds_it_as_often_as_it_says():
    chance = np.random.default_rng(8)
    assert median_interval([1.0, 2.0, 3.0, 4.0, 5.0]) == Estimate(3.0, None, None, 5)
    assert median_interval([3.0, 1.0, 2.0, 6.0, 5.0, 4.0]) == Estimate(3.5, 1.0, 6.0, 6)
    held = 0
    for _ in range(1000):
        held += median_interval(chance.exponential(1.0, 15)).around(math.log(2))
    assert 945 <= held <= 990  # 96.5 % by the binomial distribution


def side_found(start_up, samples_per_second):
    return SimpleNamespace(start_up_seconds=start_up, samples_per_second=samples_per_second)


def test_break_even_follows_the_ratio_that_the_verdict_rests_on():
    """The medians of the sides, shown beside it, may say otherwise by luck."""
    eager, compiled = side_found(1.0, 100.0), side_found(11.0, 99.0)
    assert break_even_samples(eager, compiled, 0.9) == pytest.approx(10.0 / (0.1 / 100.0))
    assert break_even_samples(eager, compiled, 1.1) is None
    assert break_even_samples(compiled, eager, 1.1) == pytest.approx(10.0 / (0.1 / 99.0))


def test_a_hiccup_does_not_move_the_ratio():
    made = pair(1.0)
    hiccup = BlockRecord(1, 3, 6, 5.0, 0.001, CALM, False)
    blocks = [hiccup if (b.configuration, b.turn) == (1, 3) else b for b in made.blocks]
    assert log_ratio(PairRecord([], blocks, 1.0), 1, [1, 1]) == pytest.approx(0.0)


def with_pauses(rng, made, of_side, share=0.15, seconds=0.34):
    """The same pair; a share of this side's blocks, of either side's where it is None, has a pause in it."""
    blocks = [
        msgspec.structs.replace(block, seconds=block.seconds + seconds)
        if of_side in (None, block.configuration) and rng.random() < share
        else block
        for block in made.blocks
    ]
    return PairRecord([], blocks, 1.0)


@pytest.mark.parametrize(("side", "word"), [(1, "slower"), (0, "faster")])
def test_pauses_of_a_sides_own_are_no_hiccups(side, word):
    """Every fiftieth step of one side also saves something: five blocks in six do not show it."""
    rng = np.random.default_rng(3)
    pairs = [with_pauses(rng, one, side) for one in noisy(rng, 1.0, 0.01, 20, turns=10)]
    assert abs(np.median([log_ratio(one, 1, [1, 1]) for one in pairs])) < 0.02
    found = compare(pairs)
    assert (found.verdict, found.uneven) == (word, True)
    assert found.ratio.value ** (1 if side else -1) == pytest.approx(1 + 0.15 * 0.34 / 0.1, rel=0.1)


def test_pauses_in_few_pairs_keep_sides_from_being_the_same():
    """One pause every ten seconds, say, which a third of the pairs have in one of their blocks."""
    rng = np.random.default_rng(3)
    pairs = noisy(rng, 1.0, 0.002, 12, turns=10)
    assert compare(pairs).verdict == "same"
    pairs[::3] = [with_pauses(rng, one, 1, share=0.3) for one in pairs[::3]]
    found = compare(pairs)
    assert (found.verdict, found.uneven) == ("undecided", False)
    assert found.pairs_wanted > 1


def test_a_side_that_is_faster_between_its_pauses_and_slower_with_them_is_called_neither():
    rng = np.random.default_rng(3)
    pairs = noisy(rng, 0.97, 0.002, 12, turns=10)
    assert compare(pairs).verdict == "faster"
    for place in range(0, 12, 3):  # a second, in one block of each
        blocks = list(pairs[place].blocks)
        third = [number for number, block in enumerate(blocks) if block.configuration == 1][3]
        blocks[third] = msgspec.structs.replace(blocks[third], seconds=blocks[third].seconds + 1.0)
        pairs[place] = PairRecord([], blocks, 1.0)
    found = compare(pairs)
    assert (found.verdict, found.uneven, found.ratio.value < 1) == ("undecided", False, True)
    assert found.reason == "contradicted"


def test_a_verdict_does_not_stay_while_all_blocks_tell_the_opposite():
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


def test_what_was_the_same_may_turn_out_different_and_nothing_else_turns():
    same, slower, faster, open_yet = (
        compare(noisy(np.random.default_rng(5), ratio, spread, 8))
        for ratio, spread in ((1.0, 0.002), (1.1, 0.005), (0.9, 0.005), (1.02, 0.03))
    )
    words = [one.verdict for one in (same, slower, faster, open_yet)]
    assert words == ["same", "slower", "faster", "undecided"]
    assert verdict.latest(same, slower) is slower
    assert verdict.latest(same, open_yet) is same
    assert verdict.latest(slower, same) is slower
    assert verdict.latest(slower, faster) is slower
    assert verdict.latest(None, open_yet) is None


def test_a_second_in_which_the_machine_stood_still_keeps_no_sides_from_being_the_same():
    pairs = noisy(np.random.default_rng(3), 1.0, 0.002, 12, turns=10)
    blocks = list(pairs[4].blocks)
    blocks[7] = msgspec.structs.replace(blocks[7], seconds=1.1)
    pairs[4] = PairRecord([], blocks, 1.0)
    found = compare(pairs)
    assert (found.verdict, found.uneven) == ("same", False)


def test_pauses_that_meet_either_side_call_them_different_no_oftener_than_is_said():
    """All blocks count then, and the test has the level of any other: 0.02."""
    rng = np.random.default_rng(3)
    found = [
        compare([with_pauses(rng, one, None) for one in noisy(rng, 1.0, 0.02, 10, turns=10)])
        for _ in range(400)
    ]
    assert sum(one.uneven for one in found) > 300
    called = sum(one.verdict in {"faster", "slower"} for one in found)
    assert called <= 17  # 8 are expected, and more in 1 of 300 cases


@pytest.mark.parametrize(("ratio", "word"), [(1.05, "slower"), (0.95, "faster"), (1.0, "same")])
def test_verdicts(ratio, word):
    pairs = noisy(np.random.default_rng(5), ratio, 0.008, 8)
    found = compare(pairs)
    assert found.verdict == word
    assert found.ratio.value == pytest.approx(ratio, rel=0.02)
    assert found.ratio.low < found.ratio.value < found.ratio.high


def test_no_verdict_before_the_first_look():
    found = compare(noisy(np.random.default_rng(5), 2.0, 0.01, 7), looks=Looks())
    assert found.verdict == "undecided"
    assert found.pairs_wanted == 3


def test_more_pairs_are_asked_for_where_the_spread_is_wide():
    found = compare(noisy(np.random.default_rng(4), 1.01, 0.06, 8))
    assert found.verdict == "undecided"
    assert found.pairs_wanted > 8


def test_a_control_that_moves_leaves_no_verdict():
    rng = np.random.default_rng(7)
    for ratio in (1.0, 1.3):
        pairs = [pair(ratio * math.exp(rng.normal(0, 0.005)), control=1.04) for _ in range(8)]
        found = compare(pairs)
        assert found.verdict == "undecided"
        assert found.reason == "control moved"
        assert found.control_ratio == pytest.approx(1.04)


def test_a_verdict_stays_after_its_look_unless_the_machine_turns_out_another():
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
    found = compare(noisy(np.random.default_rng(11), ratio, spread, 14))
    assert verdict.known_well_enough(found, 0.02) == enough


def test_more_pairs_than_a_duel_makes_are_told_as_such():
    found = compare(noisy(np.random.default_rng(4), 1.001, 0.2, 8))
    assert "more pairs are needed to decide, and a duel makes at most 40" in verdict_line(found, 0.02)


def test_pairs_lost_to_disturbances_leave_no_verdict():
    pairs = noisy(np.random.default_rng(8), 1.2, 0.005, 8)
    lost = [pair(1.2, lost=range(8)) for _ in range(6)]
    found = compare(pairs + lost)
    assert found.pairs == 8
    assert found.verdict == "undecided"
    assert (found.reason, found.lost) == ("pairs lost", 6)
    assert "6 of 14 pairs were lost" in verdict_line(found, 0.02)


def test_several_sides_share_the_error_allowed():
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
    assert has_settled([1.0, 1.0, 1.3, 1.3])  # a rise is the machine's
    assert not has_settled([1.3, 1.2, 1.1, 1.4])  # one hiccup does not hide the fall
    assert not is_hopeless([1.0] * 23)
    assert is_hopeless([1.0] * 24)


def test_short_blocks_settle_over_as_long_a_time():
    """A window of two blocks of 0.03 s would be over before caches and allocators have seen all."""
    assert not has_settled([0.03] * 13)
    assert has_settled([0.03] * 14)
    assert not has_settled([0.04] * 9 + [0.03] * 4)
    assert not is_hopeless([0.03] * 80)
    assert is_hopeless([0.03] * 90)


CLOCK = Clock(ratio=2.0, step_seconds=0.003, quickest_step_seconds=0.0025, call_seconds=0.0)


def test_sides_of_one_program_on_the_cpu_have_short_blocks():
    """They pay the same for cold caches; sides that may not have blocks in which it hardly counts."""
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
    ("margin", "told"), [(0.02, "within 2 %"), (0.005, "within 0.5 %"), (0.015, "within 1.5 %")]
)
def test_the_margin_is_told_as_it_was_given(margin, told):
    pairs = [pair(1.0)] * 8
    found = verdict.compare(pairs, 1, ["a", "b"], [64, 64], margin=margin)
    assert f"b is as fast as a {told}: " in verdict_line(found, margin)
