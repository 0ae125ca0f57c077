"""What verdicts still need: a number of seeds, or what more seeds cannot give."""

import msgspec
import numpy as np
import pytest
from support.made_records import made_record

from harness.learning.study.answer import answer
from harness.learning.study.effects import findings_of
from harness.learning.study.judging import Contrast, Need, need_of
from harness.learning.study.needs import needs, needs_text, seeds_wanted
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
GAINS = (0.02, 0.09, 0.05)


def _findings(gains, study=STUDY, **changes):
    records = []
    for seed, gain in enumerate(gains):
        for number, accuracy in enumerate((0.6, 0.6 + gain)):
            record = made_record(seed=seed, accuracy=accuracy)
            task = msgspec.structs.replace(record.task, sha256=f"{number}" * 64)
            records.append(msgspec.structs.replace(record, task=task))
    records[-1] = msgspec.structs.replace(records[-1], **changes)
    return findings_of(study, records)


def _needs(gains, study=STUDY):
    return needs(_findings(gains, study))


def test_a_variant_with_a_verdict_needs_nothing():
    assert _needs((0.10, 0.11, 0.105)) == {}
    assert (needs_text({}), seeds_wanted({})) == ("", 0)


def test_the_smaller_the_difference_the_more_seeds_are_needed():
    near, nearer = _needs(GAINS), _needs((-0.02, 0.07, 0.03))
    assert 3 < seeds_wanted(near) < seeds_wanted(nearer)
    assert needs_text(near) == f"dropout: about {near['dropout'].seeds} seeds would decide"


@pytest.mark.parametrize("reference", ["first", "best"])
def test_the_page_states_the_number_of_the_terminal(reference):
    kind = msgspec.structs.replace(KIND, reference=reference)
    findings = _findings(GAINS, msgspec.structs.replace(STUDY, kind=kind))
    number = f"about {seeds_wanted(needs(findings))} seeds would decide"
    named = "dropout and plain" if reference == "best" else "dropout"
    assert needs_text(needs(findings)) == f"{named}: {number}"
    assert answer(findings[0]).count(number) == 1


def test_without_a_spread_the_number_is_not_known():
    needed = _needs((0.02,))
    assert needed == {"dropout": Need()}
    assert needs_text(needed) == "dropout: how many seeds would decide is not known"


def test_a_large_number_of_seeds_is_not_stated():
    assert needs_text({"l2": Need(5000)}) == "l2: more than 200 seeds would be needed"


def test_a_variant_that_diverged_needs_nothing():
    assert [each.verdict for each in _findings(GAINS, status="diverged")[0].effects] == [None, "diverged"]
    assert needs(_findings(GAINS, status="diverged")) == {}


@pytest.mark.parametrize(("reference", "without"), [("first", ["dropout"]), ("best", ["dropout", "plain"])])
def test_chance_in_the_tuning_is_named_where_more_seeds_would_not_decide(reference, without):
    trials = [
        Trial("dropout", ["dropout=0.5"], f"{place}" * 64, value) for place, value in enumerate((40.0, 70.0))
    ]
    kind = msgspec.structs.replace(KIND, criterion="score", reference=reference)
    study = msgspec.structs.replace(STUDY, kind=kind, trials=trials)
    needed = _needs(GAINS, study)
    assert needed == dict.fromkeys(without, Need(None, "the tuning"))
    assert "add --trials" in needs_text(needed)
    assert "add --trials" in answer(_findings(GAINS, study)[0])


def test_equality_takes_the_seeds_of_all_quantities_and_a_difference_those_of_one():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=20)
    noise = (noise - noise.mean()) / noise.std(ddof=1)

    def contrast(mean, margin):
        return Contrast(None, None, 0.95, False, mean + noise, margin)

    steady, wide, apart = contrast(0.01, 1.0), contrast(0.01, 0.5), contrast(0.4, 0.1)
    assert need_of([steady]).seeds < need_of([wide]).seeds
    assert need_of([steady, wide]) == need_of([wide])
    assert need_of([steady, apart]).seeds == apart.seeds_to_differ
    assert need_of([]) == Need()
