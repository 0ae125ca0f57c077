"""When a run and its repetition agree: the rules, on runs that were not made."""

import msgspec
import pytest
from support.made_records import made_record

from harness.core.runs.record import Failure
from harness.sharing.reproduce.quality import Trained, compare, judge_group

LOSSES = [[2.0 - 0.01 * step] for step in range(40)]


def refused(_step):
    raise AssertionError("nothing needed to be repeated")


def changed(losses, step, factor):
    """The losses, each from ``step`` on, counted from 1, times ``factor``."""
    return [row if number < step else [row[0] * factor] for number, row in enumerate(losses, 1)]


def nearby(apart):
    """Two repetitions whose losses part by this share, from any step on."""
    return lambda equal: (LOSSES[equal:], changed(LOSSES[equal:], 1, 1 + apart))


def verdict(theirs, mine, near=refused):
    compared = compare(theirs, mine, near)
    return compared.agreement.verdict, compared.agreement.reasons[0]


def test_equal_losses_and_scores_are_identical():
    record = made_record()
    found, reason = verdict(Trained(record, LOSSES), Trained(msgspec.structs.replace(record), LOSSES))
    assert found == "identical"
    assert reason == "the losses of all 40 steps and all scores are equal bit for bit"


def test_without_the_file_of_losses_the_reason_says_what_was_compared():
    found, reason = verdict(Trained(made_record(), None), Trained(made_record(), LOSSES))
    assert found == "identical"
    assert reason.endswith("the losses of all steps are not beside the record")


def test_losses_within_the_rounding_of_one_step_are_equal_without_repetition():
    found, reason = verdict(
        Trained(made_record(), LOSSES), Trained(made_record(), changed(LOSSES, 7, 1 + 1e-7))
    )
    assert found == "equal within rounding"
    assert reason.startswith("losses part at step 7, and no loss or score deviates")


@pytest.mark.parametrize(("apart", "expected"), [(1e-5, "equal within rounding"), (1e-8, "different")])
def test_larger_deviations_are_compared_with_measured_rounding(apart, expected):
    mine = Trained(made_record(), changed(LOSSES, 7, 1 + 1e-4))
    assert verdict(Trained(made_record(), LOSSES), mine, nearby(apart))[0] == expected


def test_where_rounding_cannot_be_measured_a_later_difference_is_undecided():
    mine = Trained(made_record(), changed(LOSSES, 7, 1 + 1e-4))
    found, reason = verdict(
        Trained(made_record(), LOSSES), mine, lambda _equal: "the backend does not hand out its state"
    )
    assert found == "undecided"
    assert reason == (
        "the loss of step 7 is 1.94 there and 1.94019 here, and rounding could not be measured: the backend "
        "does not hand out its state"
    )


def test_another_first_loss_is_different_without_repetition():
    found, reason = verdict(Trained(made_record(), LOSSES), Trained(made_record(), changed(LOSSES, 1, 1.01)))
    assert found == "different"
    assert reason.startswith("the loss of step 1 is 2 there and 2.02 here")


def test_where_rounding_separates_two_trainings_one_run_decides_nothing():
    mine = Trained(made_record(), changed(LOSSES, 7, 1.05))
    compared = compare(Trained(made_record(), LOSSES), mine, nearby(0.3))
    assert (compared.agreement.verdict, compared.open) == ("undecided", True)
    assert "up to step 6 of 40" in compared.agreement.reasons[0]


def test_a_score_edited_beside_equal_losses_is_different():
    edited = made_record(accuracy=0.5005)
    found, reason = verdict(Trained(edited, LOSSES), Trained(made_record(), LOSSES))
    assert (found, reason) == (
        "different",
        "the test accuracy is 0.5005 there and 0.5 here, although all losses are equal bit for bit",
    )


def test_a_score_far_off_is_different_although_losses_agree():
    mine = Trained(made_record(accuracy=0.6), changed(LOSSES, 7, 1 + 1e-7))
    assert verdict(Trained(made_record(), LOSSES), mine)[0] == "different"


def test_where_losses_agree_to_rounding_few_samples_change_sides():
    """One point is what a machine may make of it at most; of 1,000 samples nine are too many."""
    theirs = made_record()
    theirs.dataset.samples = dict.fromkeys(theirs.dataset.samples, 1000)
    for accuracy, expected in ((0.5011, "equal within rounding"), (0.509, "different")):
        mine = Trained(made_record(accuracy=accuracy), changed(LOSSES, 40, 1 + 1e-7))
        assert verdict(Trained(theirs, LOSSES), mine)[0] == expected


def test_another_best_epoch_is_different_unless_rounding_chose_it():
    theirs, other = made_record(), made_record()
    other.best_epoch = theirs.epochs[0].epoch if theirs.best_epoch != theirs.epochs[0].epoch else 2
    found, reason = verdict(Trained(theirs, LOSSES), Trained(other, LOSSES))
    assert found == "different"
    assert reason.startswith(f"the best epoch is {theirs.best_epoch} there and {other.best_epoch} here")


def test_other_numbers_of_steps_are_different():
    found, reason = verdict(Trained(made_record(), LOSSES), Trained(made_record(), LOSSES[:-1]))
    assert (found, reason) == ("different", "it has 40 steps there and 39 here")


def test_a_run_that_fails_here_is_different():
    failed = made_record(status="failed", failure=Failure("no room"))
    found = verdict(Trained(made_record(), LOSSES), Trained(failed, None))
    assert found == ("different", "the run ended as failed here: no room")


def group(differences):
    """Runs whose losses differ from the first step on, with these differences of accuracy by seed."""
    made = []
    for seed, difference in enumerate(differences):
        theirs = Trained(made_record(seed=seed), LOSSES)
        mine = Trained(made_record(seed=seed, accuracy=0.5 + difference), changed(LOSSES, 1, 1.01))
        made.append((theirs, mine, compare(theirs, mine, refused)))
    return judge_group(made)


def test_several_seeds_of_equal_quality_are_equivalent():
    judged = group([0.001, -0.001, 0.0, 0.001, -0.001])
    assert {each.verdict for each in judged} == {"equivalent"}
    assert judged[0].reasons[1].startswith("over 5 seeds, test accuracy is equal within 1 points")


def test_several_seeds_of_other_quality_are_different():
    judged = group([0.05, 0.051, 0.049, 0.05])
    assert {each.verdict for each in judged} == {"different"}
    assert "test accuracy differs" in judged[0].reasons[1]


def test_scattered_seeds_are_undecided_with_the_seeds_that_are_needed():
    judged = group([0.03, -0.03, 0.01])
    assert {each.verdict for each in judged} == {"undecided"}
    assert judged[0].reasons[1].rstrip().endswith("seeds are needed")


def test_identical_seeds_do_not_excuse_another_one():
    same = [(Trained(made_record(seed=seed), LOSSES),) * 2 for seed in (0, 1, 2)]
    far = Trained(made_record(seed=3), LOSSES), Trained(made_record(seed=3), changed(LOSSES, 1, 1.5))
    judged = judge_group([(*pair, compare(*pair, refused)) for pair in (*same, far)])
    assert [each.verdict for each in judged] == ["identical"] * 3 + ["different"]


def test_two_seeds_keep_their_own_verdicts():
    judged = group([0.0, 0.0])
    assert {each.verdict for each in judged} == {"different"}
    assert judged[0].reasons[1].endswith("from 3 seeds on; there are 2")
