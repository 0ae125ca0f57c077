"""What is compared and what is not, and what comes out: quality, speed, time to a target, the front."""

import msgspec
import pytest
from support.made_runs import made_record, made_runs
from support.records import MACHINE, make_unfinished_record

from harness.analysis.comparison import compare
from harness.analysis.findings import find
from harness.analysis.grouping import group_runs
from harness.duel.files import read_duels
from harness.duel.record import ConfigurationRecord, DuelRecord, encode
from harness.duel.record import DuelResult as DuelComparison
from harness.report.terminal import runs_table
from harness.report.words import pair_sentence
from harness.runs.record import Block, DatasetRecord, Failure, Phases
from harness.stats.estimate import Estimate
from harness.testing.certificate import Certificate

SEEDS = range(4)


def _two_sides(**changes):
    """JAX twice as fast as torch; accuracies within a tenth of a point of one another."""
    fast = [made_record("jax", seed, step=0.005 + seed * 1e-5, accuracy=0.6 + seed / 1e3) for seed in SEEDS]
    slow = [made_record("torch", seed, step=0.01, accuracy=0.6005 + seed / 1e3, **changes) for seed in SEEDS]
    return made_runs(*fast, *slow)


def _only(runs):
    (section,) = group_runs(runs).groups
    return compare(section)


def test_the_leading_sentence_tells_speed_and_equality():
    comparison = _only(_two_sides())
    (pair,) = comparison.pairs
    assert (pair.fast.side.name, pair.slow.side.name) == ("jax:eager", "torch:eager")
    assert pair.speed.value == pytest.approx(2.0, rel=0.01)
    assert pair.speed.low < pair.speed.value < pair.speed.high
    sentence = pair_sentence(comparison, pair)
    assert "On Test CPU (2 threads), jax:eager trains `cnn on digits, 2 epochs` 1.99× [1.9" in sentence
    assert "faster than torch:eager at equal accuracy (±1 point, 4 seeds, p < 0.001)" in sentence
    assert "not of a duel" in sentence


def _duel(ratio, verdict="slower", first="jax", second="torch", **changes):
    """A duel in the setting of :func:`_two_sides`: ``second`` took ``ratio`` times as long."""
    (section,) = group_runs(_two_sides()).groups
    record = section.sides[0].runs[0].record
    certificate = Certificate(certified=True)
    sides = [
        ConfigurationRecord(
            label=f"{name}:eager",
            backend=name,
            mode="eager",
            python="python",
            framework=next(s.runs[0].record.framework for s in section.sides if s.name.startswith(name)),
            device=record.device,
            precision=record.precision,
            threads=record.threads,
            batch_size=record.batch_size,
            options={},
            variables=made_record().worker_variables | {"HARNESS_PADDING": "x"},
            certificate=changes.pop("certificate", certificate),
            training_flops_per_sample=1,
            clock_ratio=2.0,
        )
        for name in (first, second)
    ]
    found = DuelComparison(
        configuration=f"{second}:eager",
        reference=f"{first}:eager",
        verdict=verdict,
        pairs=8,
        ratio=Estimate(ratio, ratio * 0.99, ratio * 1.01, 8),
        p_value=0.0078,
        spread=0.01,
    )
    fields = {
        "id": "duel",
        "status": "ok",
        "started_at": "2026-01-02T00:00:00+00:00",
        "command": [],
        "task": record.task,
        "dataset": record.dataset,
        "machine": MACHINE,
        "process_environment": "quiet",
        "seed": 0,
        "margin": 0.02,
        "turns": 24,
        "configurations": sides,
        "results": [found],
    }
    return DuelRecord(**fields | changes)


def _sentence(*duels):
    (section,) = group_runs(_two_sides()).groups
    comparison = compare(section, duels=duels)
    return pair_sentence(comparison, comparison.pairs[0])


def test_the_times_of_a_duel_go_before_those_of_runs():
    sentence = _sentence(_duel(3.0))
    assert "jax:eager trains `cnn on digits, 2 epochs` 3.00× [2.97, 3.03] faster than torch:eager" in sentence
    assert "(Times of a duel on 2026-01-02: 8 pairs, p < 0.01.)" in sentence
    # The same duel with the sides the other way round, and one that turns the runs' order over.
    assert "3.00× [2.97, 3.03] faster than torch:eager" in _sentence(_duel(1 / 3, "faster", "torch", "jax"))
    assert "torch:eager trains `cnn on digits, 2 epochs` 2.00× [1.98, 2.02] faster than jax:eager" in (
        _sentence(_duel(0.5, "faster"))
    )


def test_a_duel_keeps_its_verdict():
    # An early look may have told them apart, and the interval that came after holds 1.
    assert "jax:eager trains `cnn on digits, 2 epochs` 1.00× [0.99" in _sentence(_duel(1.005))
    assert "equally fast within 2 %" in _sentence(_duel(1.005, "same"))
    assert "equally fast within 0.5 %" in _sentence(_duel(1.001, "same", margin=0.005))
    assert "their duel could not tell apart" in _sentence(_duel(1.05, "undecided"))


def _changed(**changes):
    return [msgspec.structs.replace(one, **changes) for one in _duel(3.0).configurations]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "interrupted"},
        {"results": [msgspec.structs.replace(_duel(3.0).results[0], reason="control moved")]},
        {"inherited_variables": {"XLA_FLAGS": "--fast"}},
        {"machine": msgspec.structs.replace(MACHINE, cpu="Another CPU")},
        {"dataset": DatasetRecord("digits", "e" * 64)},
        {"configurations": _changed(variables={})},
        {"certificate": Certificate(certified=False)},
        {"configurations": _changed(mode="compile")},
        {"configurations": _changed(threads=1)},
        {"configurations": _changed(variables={"XLA_FLAGS": "x"})},
    ],
)
def test_a_duel_of_something_else_has_no_say(changes):
    assert "not of a duel" in _sentence(_duel(3.0, **changes))


def test_the_sides_agree_with_hand_computed_figures():
    fast, slow = _only(_two_sides()).sides
    assert slow.step_seconds.value == pytest.approx(0.01)
    assert slow.samples_per_second == pytest.approx(6400)
    assert slow.flops_per_second == pytest.approx(6400 * 3 * 8_377_600)
    assert slow.quality.value == pytest.approx(60.2)
    assert slow.phases == pytest.approx(
        {"import": 1, "data": 0.5, "build": 0.2, "first step": 0.5, "steps": 0.5, "evaluation": 0.3}
    )
    assert slow.peak_memory_bytes == 2**28
    # Sooner done and within a tenth of a point: both stand on the front, none is better in both.
    assert (fast.on_front, slow.on_front) == (True, True)


def test_worse_and_slower_is_not_on_the_front():
    runs = made_runs(made_record("jax", accuracy=0.7, step=0.001), made_record("torch", accuracy=0.6))
    assert [side.on_front for side in _only(runs).sides] == [True, False]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": DatasetRecord("cifar10", "a" * 64)}, "data cifar10 against digits"),
        ({"dataset": DatasetRecord("digits", "b" * 64)}, "other bytes of digits"),
        ({"precision": "float64"}, "float64 against float32"),
        ({"threads": 1}, "1 threads against 2"),
        ({"device": "cuda:0 (X)"}, "device cuda:0 (X) against cpu"),
        ({"machine": msgspec.structs.replace(MACHINE, cpu="Other CPU")}, "machine Other CPU"),
        ({"max_steps": 10}, "at most 10 steps against all"),
        (
            {"inherited_variables": {"XLA_FLAGS": "--fast", "TORCH_HOME": "/here"}},
            "XLA_FLAGS=--fast in the shell against nothing",
        ),
    ],
)
def test_what_differs_in_more_than_the_side_is_kept_apart_and_said(changes, reason):
    findings = find(_two_sides(**changes))
    assert all(not one.comparison.pairs for one in findings.groups)
    assert any("torch:eager" in told and reason in told for told in findings.kept_apart)


def test_a_batch_size_of_its_own_is_in_the_title():
    task = msgspec.structs.replace(made_record().task, sha256="1" * 64)
    small = [made_record("jax", seed, task=task, batch_size=8) for seed in SEEDS]
    titles = {section.title for section in group_runs([*_two_sides(), *made_runs(*small)]).groups}
    assert titles == {"cnn on digits, 2 epochs, batch size 64", "cnn on digits, 2 epochs, batch size 8"}


def test_a_run_with_other_variables_takes_nobodys_place():
    runs = _two_sides()
    (flagged,) = made_runs(made_record("jax", 0, step=0.001, inherited_variables={"XLA_FLAGS": "--fast"}))
    sections = group_runs([*runs, flagged]).groups
    assert [section.title for section in sections] == [
        "cnn on digits, 2 epochs",
        "cnn on digits, 2 epochs, XLA_FLAGS=--fast",
    ]
    assert [len(section.sides) for section in sections] == [2, 1]
    idle = {"TF_CPP_MIN_LOG_LEVEL": "2", "KERAS_BACKEND": "jax"}
    (quiet,) = made_runs(made_record("jax", 0, inherited_variables=idle))
    assert len(group_runs([*runs, quiet]).groups) == 1


def test_a_title_tells_what_its_siblings_differ_in_and_nothing_else():
    titles = {section.title for section in group_runs(_two_sides(precision="float64", threads=1)).groups}
    assert titles == {
        "cnn on digits, 2 epochs, float32, 2 threads",
        "cnn on digits, 2 epochs, float64, 1 thread",
    }
    options = [{"width": 1.0, "l2": 0.0}, {"width": 0.5, "l2": 0.0}, {"width": 0.5, "l2": 0.1}]
    task = made_record().task
    tasks = [
        msgspec.structs.replace(task, sha256=str(place) * 64, options=chosen)
        for place, chosen in enumerate(options)
    ]
    told = {
        section.title for section in group_runs(made_runs(*[made_record(task=one) for one in tasks])).groups
    }
    assert told == {
        "cnn on digits, 2 epochs, width=1.0",
        "cnn on digits, 2 epochs",
        "cnn on digits, 2 epochs, l2=0.1",
    }


def test_names_do_not_break_the_marks_of_sentences():
    (section,) = group_runs(made_runs(made_record("a`b", dataset=DatasetRecord("c`d", "f" * 64)))).groups
    assert (section.sides[0].name, section.title) == ("a'b:eager", "cnn on c'd, 2 epochs")


@pytest.mark.parametrize(("first_step", "told"), [(0.5, False), (5.0, True)])
def test_a_side_with_slower_steps_that_is_done_first_is_told_of(first_step, told):
    phases = Phases(first_step_seconds=first_step, training_seconds=first_step + 0.5)
    fast = [made_record("jax", seed, step=0.005, phases=phases) for seed in SEEDS]
    slow = [made_record("torch", seed, step=0.01) for seed in SEEDS]
    comparison = _only(made_runs(*fast, *slow))
    sentence = pair_sentence(comparison, comparison.pairs[0])
    assert "jax:eager trains `cnn on digits, 2 epochs` 2.00×" in sentence
    yet = "Yet torch:eager was done with the whole training sooner, first step included: 1 s against 5.5 s."
    assert (yet in sentence) is told


@pytest.mark.parametrize("field", ["version", "sha256"])
def test_another_task_version_or_description_is_kept_apart(field):
    task = msgspec.structs.replace(
        made_record().task, **{"version": {"version": 2}, "sha256": {"sha256": "1" * 64}}[field]
    )
    findings = find(_two_sides(task=task))
    assert len(findings.groups) == 2
    assert all(not one.comparison.pairs for one in findings.groups)


@pytest.mark.parametrize(
    ("certificate", "why"),
    [
        (None, "was not asked for"),
        (Certificate(certified=False, reason="a gate is wrong"), "a gate is wrong"),
    ],
)
def test_uncertified_runs_are_not_compared(certificate, why):
    findings = find(_two_sides(certificate=certificate))
    assert all(not one.comparison.pairs for one in findings.groups)
    assert any("not certified" in told and why in told for told in findings.kept_apart)


def test_runs_that_fell_are_counted_and_the_newest_of_a_seed_stands():
    old, new = made_record(seed=0, accuracy=0.1), made_record(seed=0, accuracy=0.6)
    fallen = make_unfinished_record()
    fallen.failure = Failure("no memory\nand more")
    found = group_runs(made_runs(old, new, fallen, make_unfinished_record("x", "timeout")))
    (side,) = found.groups[0].sides
    assert side.runs[0].record.id == new.id
    told = " | ".join(found.left_out)
    assert (
        "still running, or its harness was killed"
        in group_runs(made_runs(make_unfinished_record("y", "running"))).left_out[0]
    )
    for words in ("ended as failed: no memory |", "ended as timeout", "of which a newer run is here"):
        assert words in told


def test_versions_of_one_framework_are_sides():
    newer = [made_record("torch", seed, framework={"engine": "torch", "torch": "2.0"}) for seed in SEEDS]
    (section,) = group_runs(made_runs(*newer, *[made_record("torch", seed) for seed in SEEDS])).groups
    assert [side.name for side in section.sides] == ["torch:eager (torch 1.0)", "torch:eager (torch 2.0)"]


def test_versions_of_a_plugin_are_sides_whatever_its_engine():
    def made(version):
        framework = {"engine": "numpy", "numpy": "2.3", "my-numpy": version}
        return [made_record("my-numpy", seed, framework=framework) for seed in SEEDS]

    found = group_runs(made_runs(*made("1.0"), *made("2.0")))
    names = [side.name for side in found.groups[0].sides]
    assert names == [f"my-numpy:eager (my-numpy {version}, numpy 2.3)" for version in ("1.0", "2.0")]
    assert found.left_out == []
    assert "my-numpy 2.0" in runs_table([made("2.0")[0]], 100)


def test_the_faster_of_a_pair_is_the_faster_on_the_seeds_of_both():
    jax = [made_record("jax", seed, step=step) for seed, step in enumerate([0.0111, 0.0109, 0.002, 0.002])]
    comparison = _only(made_runs(*jax, *[made_record("torch", seed, step=0.01) for seed in range(2)]))
    assert [side.side.name for side in comparison.sides] == ["jax:eager", "torch:eager"]
    (pair,) = comparison.pairs
    assert (pair.fast.side.name, pair.speed.n) == ("torch:eager", 2)
    assert pair.speed.value == pytest.approx(1.1, rel=0.001)
    assert pair.speed.low < pair.speed.value < pair.speed.high


def test_one_seed_makes_no_interval_and_no_verdict():
    comparison = _only(made_runs(made_record("jax", step=0.005), made_record("torch")))
    (pair,) = comparison.pairs
    assert (pair.speed.low, pair.quality.verdict) == (None, "undecided")
    assert "no evidence yet" in pair_sentence(comparison, pair)


def test_runs_without_a_steady_step_are_said_to_have_none():
    first = [Block(1, 1, 64, 0.5)]
    comparison = _only(made_runs(made_record("jax", blocks=first), made_record("torch", blocks=first)))
    assert "made no steady steps with the same seed" in pair_sentence(comparison, comparison.pairs[0])


def test_speeds_that_are_not_told_apart_make_no_winner():
    steps = [0.009, 0.011, 0.010, 0.012]
    fast = [made_record("jax", seed, step=steps[seed]) for seed in SEEDS]
    slow = [made_record("torch", seed, step=steps[-1 - seed]) for seed in SEEDS]
    comparison = _only(made_runs(*fast, *slow))
    assert "do not tell apart" in pair_sentence(comparison, comparison.pairs[0])


def test_time_to_a_target_counts_those_that_reach_it():
    reach = made_record("jax", 0, held_out=(2.0, 1.0))  # accuracies 0.5, then 0.75
    short = made_record("jax", 1, held_out=(2.0, 1.6))
    (section,) = group_runs(made_runs(reach, short)).groups
    (side,) = compare(section, target=70).sides
    assert (side.to_target.reached, side.to_target.of, side.to_target.seconds.value) == (
        1,
        2,
        pytest.approx(2.0),
    )
    (side,) = compare(section, target=90).sides
    assert (side.to_target.reached, side.to_target.seconds) == (0, None)
    # By default it is what every run reaches: 60 %.
    assert compare(section).target == 60


def test_drift_within_runs_is_told():
    blocks = made_record().blocks
    rising = [
        msgspec.structs.replace(block, seconds=block.seconds * (1 + place / 10))
        for place, block in enumerate(blocks)
    ]
    (side,) = _only(made_runs(made_record(blocks=rising))).sides
    assert side.drift == pytest.approx((1.75 / 1.15) - 1, rel=0.02)


def _damaged(duel):
    return duel.replace(b'"configurations": [', b'"configurations": [], "others": [')


def test_a_file_that_is_no_duel_is_named(tmp_path):
    folder = tmp_path / "duels"
    folder.mkdir()
    (folder / "a.json").write_bytes(encode(_duel(2.0)))
    (folder / "b.json").write_text("{")
    (folder / "c.json").write_bytes(encode(_duel(2.0, schema=99)))
    (folder / "d.json").write_bytes(_damaged(encode(_duel(2.0))))
    duels, unreadable = read_duels(tmp_path)
    assert [duel.results[0].ratio.value for duel in duels] == [2.0]
    assert "b.json is not a readable duel record" in unreadable[0]
    assert "c.json: schema" in unreadable[1]
    assert "d.json is not a readable duel record: 1 results of 0 configurations" in unreadable[2]
