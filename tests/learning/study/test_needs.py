"""What verdicts still need: a number of seeds, or what more seeds cannot give."""

import msgspec
from support.made_records import made_record

from harness.learning.study.needs import findings_of, needs, needs_text
from harness.learning.study.record import Study, Trial, Variant
from harness_tasks.studies import STUDIES as KINDS

KIND = msgspec.structs.replace(KINDS["overfitting"], decisive=("score",), early_stopping=False)
STUDY = Study(
    kind=KIND,
    task="cnn",
    dataset="digits",
    epochs=2,
    max_steps=None,
    precision="float32",
    threads=2,
    variants=[Variant("plain", [], "0" * 64, 2), Variant("dropout", ["dropout=0.5"], "1" * 64, 2)],
)


def _records(gains):
    for seed, gain in enumerate(gains):
        for number, accuracy in enumerate((0.6, 0.6 + gain)):
            record = made_record(seed=seed, accuracy=accuracy)
            task = msgspec.structs.replace(record.task, sha256=f"{number}" * 64)
            yield msgspec.structs.replace(record, task=task)


def _needs(gains, study=STUDY):
    return needs(findings_of(study, list(_records(gains))))


def test_a_variant_with_a_verdict_needs_nothing():
    assert _needs((0.10, 0.11, 0.105)) == []
    assert needs_text([]) == ""


def test_the_smaller_the_difference_the_more_seeds_are_needed():
    (near,) = _needs((0.02, 0.09, 0.05))
    (nearer,) = _needs((-0.02, 0.07, 0.03))
    assert 3 < near.seeds < nearer.seeds
    assert needs_text([near]) == f"dropout: about {near.seeds} seeds would decide"


def test_each_look_at_the_verdicts_needs_more_seeds():
    gains = (0.02, 0.09, 0.05)
    (once,), (again,) = (_needs(gains, msgspec.structs.replace(STUDY, looks=looks)) for looks in (0, 3))
    assert again.seeds > once.seeds


def test_without_a_spread_the_number_is_not_known():
    (need,) = _needs((0.02,))
    assert (need.seeds, need.limit) == (None, "")


def test_chance_in_the_tuning_is_named_where_more_seeds_would_not_decide():
    trials = [
        Trial("dropout", ["dropout=0.5"], f"{place}" * 64, value) for place, value in enumerate((40.0, 70.0))
    ]
    kind = msgspec.structs.replace(KIND, criterion="score")
    study = msgspec.structs.replace(STUDY, kind=kind, trials=trials)
    (need,) = _needs((0.02, 0.09, 0.05), study)
    assert (need.seeds, need.limit) == (None, "the tuning")
    assert "add --trials" in needs_text([need])
