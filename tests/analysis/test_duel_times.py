"""Times of duels take precedence over those of runs, where the duel is of the same work and conditions."""

import msgspec
import pytest
from support.made_runs import made_record, made_runs, two_configurations
from support.records import MACHINE, reconfigured

from harness.analysis.comparison import compare
from harness.analysis.grouping import group_runs
from harness.analysis.results import read_all
from harness.certify.certificate import Certificate
from harness.duel.record import DUELS, ConfigurationRecord, DuelRecord, DuelResult
from harness.machine.usage import Interference
from harness.plugins.configuration import Configuration
from harness.report.runs.sentences import headline, remarks
from harness.runs.documents import encode_document
from harness.runs.record import DatasetRecord
from harness.stats.estimate import Estimate


def _duel(ratio, verdict="slower", first="jax", second="torch", **changes):
    """A duel under the conditions of the runs: ``second`` took ``ratio`` times as long as ``first``."""
    (group,) = group_runs(two_configurations()).groups
    record = group.configurations[0].runs[0].record
    certificate = changes.pop("certificate", Certificate(certified=True))
    configurations = [
        ConfigurationRecord(
            label=f"{name}:eager",
            configuration=Configuration(
                name,
                "eager",
                "cpu",
                record.configuration.threads,
                record.configuration.precision,
                "python",
            ),
            framework={"engine": name, name: "1.0"},
            device=record.device,
            batch_size=record.batch_size,
            options={},
            variables=made_record().worker_variables | {"HARNESS_PADDING": "x"},
            certificate=certificate,
            training_flops_per_sample=1,
        )
        for name in (first, second)
    ]
    result = DuelResult(
        configuration=f"{second}:eager",
        reference=f"{first}:eager",
        verdict=verdict,
        pairs=8,
        ratio=Estimate(ratio, ratio * 0.99, ratio * 1.01, 8),
        p_value=0.0078,
        spread=0.01,
        pairs_wanted=changes.pop("wanted", None),
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
        "configurations": configurations,
        "results": [result],
    }
    return DuelRecord(**fields | changes)


def _comparison(*duels):
    (group,) = group_runs(two_configurations()).groups
    return compare(group, duels=duels)


def test_the_ratio_is_that_of_the_duel():
    comparison = _comparison(_duel(3.0))
    assert "jax:eager: torch:eager 3.0× slower [3.0, 3.0]." in headline(comparison)
    assert comparison.pairs[0].duel.day == "2026-01-02"
    remark, _ = remarks(comparison)
    assert "from a duel" in remark


def test_a_duel_with_the_configurations_swapped_is_the_same_duel():
    (pair,) = _comparison(_duel(1 / 3, "faster", "torch", "jax")).pairs
    assert pair.ratio.value == pytest.approx(3.0)


def test_a_duel_may_reverse_the_order_of_the_runs():
    comparison = _comparison(_duel(0.5, "faster"))
    speed = "torch:eager is fastest. Step time relative to torch:eager: jax:eager 2.0× slower [2.0, 2.0]."
    assert f" {speed}" in headline(comparison)
    assert [summary.name for summary in comparison.summaries] == ["torch:eager", "jax:eager"]


JAX_TO_TORCH, TORCH_TO_KERAS = _duel(0.8, "faster"), _duel(0.9, "faster", "torch", "keras")
KERAS_TO_JAX = _duel(0.7, "faster", "keras", "jax")
JAX_TO_KERAS = _duel(0.9, "faster", "jax", "keras")


@pytest.mark.parametrize(
    ("duels", "words"),
    [
        ([JAX_TO_TORCH, TORCH_TO_KERAS, JAX_TO_KERAS], "keras:eager is fastest."),
        ([JAX_TO_TORCH, TORCH_TO_KERAS, KERAS_TO_JAX], "Fastest: undecided between jax:eager, torch:eager"),
    ],
)
def test_duels_may_reverse_the_order_more_than_once(duels, words):
    """By their runs JAX is fastest; torch is faster by a duel with it, and keras by one with torch."""
    keras = [made_record("keras", seed, step=0.02) for seed in range(4)]
    (group,) = group_runs([*two_configurations(), *made_runs(*keras)]).groups
    assert words in headline(compare(group, duels=duels))


@pytest.mark.parametrize(
    ("duel", "words"),
    [
        # The verdict may come from an early look, and the later interval hold 1.
        (_duel(1.005), "jax:eager is fastest. Step time relative to jax:eager: torch:eager +0.5 % [−0.5"),
        (_duel(1.005, "same"), "jax:eager and torch:eager are equally fast within 2 %."),
        (_duel(1.001, "same", margin=0.005), "jax:eager and torch:eager are equally fast within 0.5 %."),
        (_duel(1.005, "undecided"), "Fastest: undecided between jax:eager and torch:eager."),
        (
            _duel(1.05, "undecided", wanted=1),
            "jax:eager is probably fastest; its duel with torch:eager needs 1 more pair. Step time",
        ),
    ],
)
def test_a_duel_keeps_its_verdict(duel, words):
    assert words in headline(_comparison(duel))


def _changed(**changes):
    return [msgspec.structs.replace(each, **changes) for each in _duel(3.0).configurations]


def _reconfigured(**changes):
    return [reconfigured(each, **changes) for each in _duel(3.0).configurations]


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
        {"configurations": _reconfigured(mode="compile")},
        {"configurations": _reconfigured(threads=1)},
        {"configurations": _changed(variables={"XLA_FLAGS": "x"})},
    ],
)
def test_a_duel_under_other_conditions_is_not_used(changes):
    (pair,) = _comparison(_duel(3.0, **changes)).pairs
    assert pair.duel is None


def test_a_file_that_is_not_a_duel_is_named(tmp_path):
    folder = tmp_path / "duels"
    folder.mkdir()
    (folder / "a.json").write_bytes(encode_document(_duel(2.0)))
    (folder / "b.json").write_text("{")
    (folder / "c.json").write_bytes(encode_document(_duel(2.0, schema=99)))
    cut = encode_document(_duel(2.0)).replace(b'"configurations": [', b'"configurations": [], "others": [')
    (folder / "d.json").write_bytes(cut)
    duels, unreadable = read_all(DUELS, DUELS.paths(tmp_path))
    assert [duel.results[0].ratio.value for duel in duels] == [2.0]
    for name, message in zip(("b", "c", "d"), unreadable, strict=True):
        assert f"{name}.json" in message


def test_a_duel_decides_however_the_runs_were_disturbed():
    busy = Interference(cpus=2, others=1.7, stolen=0.0)
    (group,) = group_runs(two_configurations(interference=busy)).groups
    assert compare(group).pairs[0].speed_verdict == "unreliable"
    comparison = compare(group, duels=[_duel(3.0)])
    assert comparison.pairs[0].speed_verdict == "slower"
    assert "torch:eager 3.0× slower [3.0, 3.0]." in headline(comparison)
