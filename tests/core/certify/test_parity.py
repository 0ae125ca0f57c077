"""Digests distinguish arrays, comparisons name what differs, stale references are refused."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.core.certify.cases import case_samples, cases
from harness.core.certify.digests import digest, relative_difference
from harness.core.certify.observation import Observation
from harness.core.certify.parity import LOSS_TOLERANCES, TOLERANCE, compare, compare_losses
from harness.core.certify.references import read_reference, reference_of
from harness.core.plugins import registry
from harness.core.plugins.installation import Installation
from harness.errors import UsageError
from harness.layers import Dense, Dropout
from harness.network import Network
from harness.spec.task import Adam, Augmentation, Classification, Penalty, Sgd, Task, TaskDefinition

ARRAY = np.random.default_rng(0).normal(size=(5, 6))


def _difference(found, expected):
    (a,), (b,) = digest(found), digest(expected)
    return relative_difference(a, b)


@given(st.integers(0, 29), st.floats(1e-8, 1e3))
def test_a_change_of_one_number_is_seen_and_about_its_size(place, change):
    altered = ARRAY.copy()
    altered.flat[place] += change
    found = _difference(altered, ARRAY)
    true = change / np.linalg.norm(ARRAY)
    assert TOLERANCE < found < 3 * true + 1e-12


def test_equal_arrays_do_not_differ_and_rearranged_ones_do():
    assert _difference(ARRAY, ARRAY.copy()) == 0
    assert _difference(ARRAY[::-1], ARRAY) > 0.01
    assert _difference(ARRAY.T, ARRAY) > 0.01
    assert _difference(np.full_like(ARRAY, np.nan), ARRAY) == np.inf


def test_gates_are_cut_from_the_last_axis_and_share_their_directions():
    first, second = digest(np.concatenate([ARRAY, ARRAY], axis=1), ("reset", "update"))
    assert (first.gate, second.gate) == ("reset", "update")
    assert first.projections == second.projections == digest(ARRAY)[0].projections


def _observation(losses, **arrays):
    """Of one loss a step, or of two."""
    pieces = {name: digest(array) for name, array in arrays.items()}
    rows = [loss if isinstance(loss, list) else [loss] for loss in losses]
    return Observation(rows, pieces, pieces, {})


RIGHT = _observation([2.0, 1.0, 0.5], kernel=ARRAY)
GAN = _observation([[0.75, 0.5]])


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (_observation([2.0, 1.0, 0.6], kernel=ARRAY), RIGHT),
        (_observation([16.0, 1.0, 0.5], kernel=ARRAY), RIGHT),
        (_observation([2.0, 1.0, 0.5], kernel=ARRAY * 1.001), RIGHT),
        (msgspec.structs.replace(RIGHT, losses=[[1.9], [1.0], [0.5]]), RIGHT),
        (_observation([None, 1.0, 0.5], kernel=ARRAY), RIGHT),
        (_observation([[0.75, 0.9]]), GAN),
        (_observation([[0.8, 0.5]]), GAN),
        (_observation([[1.5, 0.5]]), GAN),
        (_observation([[0.75, 0.25]]), GAN),
    ],
    ids=["later loss", "sum", "gradient", "only the loss", "nan", "generator", "forward", "twice", "half"],
)
def test_the_explanation_names_the_first_difference(observed, expected, snapshot):
    finding = compare("case", observed, expected)
    assert (finding.passed, finding.explanation) == (False, snapshot)
    assert compare("case", expected, expected).passed
    if expected is GAN:
        assert compare_losses(observed.losses, expected.losses, "float32").explanation == snapshot


@pytest.mark.parametrize("task", registry.names("task"))
def test_every_task_has_a_reference_that_fits_it_from_two_frameworks(task):
    reference = reference_of(registry.task(task))
    assert len({name.partition(":")[0] for name in reference.made_with}) >= 2
    for case in cases(registry.task(task)):
        assert len(reference.cases[case.name].observation.losses) == case.steps


@pytest.mark.parametrize("precision", LOSS_TOLERANCES)
def test_first_losses_as_timed_may_differ_by_rounding_only(precision, snapshot):
    right = [[2.0], [1.0], [0.5], [0.25]]
    tolerance = LOSS_TOLERANCES[precision]
    rounded = compare_losses([[2.0], [1.0 + tolerance / 2], [0.5]], right, precision)
    assert rounded.passed
    wrong = compare_losses([[2.0], [1.0], [0.5 + tolerance]], right, precision)
    assert (wrong.passed, wrong.explanation) == (False, snapshot)
    assert not compare_losses([[None], [1.0], [0.5]], right, precision).passed


@pytest.mark.parametrize("task", registry.names("task"))
def test_cases_cover_batches_evaluation_augmentation_every_optimizer_and_regulariser(task):
    definition = registry.task(task)
    found = cases(definition)
    first, tasks = found[0], [case.task for case in found]
    assert first.samples % (first.task.batch_size or 1)
    assert first.outputs
    assert first.gradient_rate
    assert len(case_samples(first.task)) == 27
    assert any(each.batch_size is None for each in tasks)
    augmented = [case for case in found if case.task.augmentation != Augmentation()]
    assert bool(augmented) == ("flip" in definition.options.__struct_fields__)
    assert all(case.outputs for case in augmented)
    assert {type(each.optimizer).__name__ for each in tasks} == {"Sgd", "Adam", "RmsProp"}
    for covered in (
        [each.penalty.l1 for each in tasks],
        [each.penalty.l2 for each in tasks],
        [each.weight_decay for each in tasks],
        [getattr(each.optimizer, "nesterov", False) for each in tasks],
    ):
        assert any(covered)


def test_flat_pictures_are_a_case_of_networks_that_pool_and_change_no_other_case():
    """The hashes of other cases are unchanged, so that third-party references remain valid."""
    pooled = [case for case in cases(registry.task("cnn")) if case.flat_square is not msgspec.UNSET]
    (case,) = pooled
    pictures = case.data().inputs
    assert pictures.shape == (24, 32, 32, 3)
    assert (pictures[:, :16, 16:] == pictures[:, :1, 16:17]).all()
    assert len(np.unique(pictures)) == 24 * 4 * 3
    others = [case for name in ("mlp", "rnn", "gan", "forecast") for case in cases(registry.task(name))]
    assert not any(b"flat_square" in msgspec.json.encode(case) for case in others)


def third_party_task(**options):
    """A task with only these options and defaults; it refuses l1 with a momentum."""

    def define(settings):
        given = msgspec.structs.asdict(settings)
        if given.get("momentum") and given.get("l1"):
            raise ValueError("momentum goes without l1")
        rate = given.get("learning_rate", 0.01)
        return Task(
            name="theirs",
            version=1,
            networks={"model": Network((5,), (Dense(4), Dropout(0.5), Dense(3)))},
            objective=Classification(),
            optimizer=Sgd(rate, given["momentum"]) if "momentum" in given else Adam(rate),
            batch_size=16,
            epochs=1,
            penalty=Penalty(given.get("l1", 0.0), given.get("l2", 0.0)),
        )

    declared = [(name, type(default), default) for name, default in options.items()]
    made = msgspec.defstruct("Options", declared, frozen=True)
    return TaskDefinition(name="theirs", summary="", datasets=("digits",), options=made, define=define)


@pytest.mark.parametrize("options", [{}, {"learning_rate": 0.01}, {"momentum": 0.0}])
def test_every_task_has_gradients_and_outputs(options):
    first, second, *_ = cases(third_party_task(**options))
    assert (first.name, second.name) == ("sgd", "default")
    assert first.task.optimizer == Sgd(first.gradient_rate)
    assert first.gradient_rate > 0
    assert first.outputs


def test_a_case_uses_the_options_that_a_task_declares():
    found = {case.name: case.task for case in cases(third_party_task(l2=0.0))}
    assert list(found) == ["sgd", "default", "l2=0.001", "class weights"]
    assert found["l2=0.001"].penalty == Penalty(l2=0.001)
    assert found["l2=0.001"].optimizer == found["default"].optimizer == Adam(0.01)


def test_options_that_exclude_each_other_are_used_separately():
    found = [case.task for case in cases(third_party_task(momentum=0.0, l1=0.0))]
    assert any(task.optimizer.momentum for task in found)
    assert any(task.penalty.l1 for task in found)


def test_dropout_is_no_part_of_a_case():
    layers = {case.task.networks["model"].layers for case in cases(third_party_task())}
    assert layers == {(Dense(4), Dense(3))}


def test_a_stale_reference_is_refused_with_the_remedy(tmp_path):
    definition = registry.task("mlp")
    reference = read_reference(definition.reference)
    name = next(iter(reference.cases))
    stale = msgspec.structs.replace(reference.cases[name], sha256="0" * 64)
    path = tmp_path / "stale.json"
    changed = msgspec.structs.replace(reference, cases=reference.cases | {name: stale})
    path.write_bytes(msgspec.json.encode(changed))
    with pytest.raises(UsageError, match=r"is stale: case .*harness reference mlp --backend "):
        reference_of(msgspec.structs.replace(definition, reference=path))


@pytest.mark.parametrize(("text", "words"), [(None, "has no reference"), ("{", "cannot be read")])
def test_a_missing_or_broken_reference_is_named(tmp_path, text, words):
    path = tmp_path / "reference.json"
    if text:
        path.write_text(text)
    with pytest.raises(UsageError, match=words):
        reference_of(msgspec.structs.replace(registry.task("mlp"), reference=path))


@pytest.mark.parametrize("installed", ["jax keras torch", "jax keras", "keras-torch torch", "torch", ""])
def test_a_missing_reference_is_made_with_backends_that_the_user_has(monkeypatch, installed, snapshot):
    bare = msgspec.structs.replace(registry.task("mlp"), reference=None)
    monkeypatch.setattr(registry, "names", lambda _: installed.split())
    monkeypatch.setattr(
        "harness.core.certify.references.installation", lambda _: Installation("installed", "")
    )
    with pytest.raises(UsageError) as caught:
        reference_of(bare, "torch" if installed.endswith("torch") else "")
    assert str(caught.value) == snapshot


def test_a_loss_of_zero_is_compared_with_zero():
    zero = _observation([0.0, 0.0])
    assert compare("case", zero, zero).passed
    assert not compare("case", _observation([0.0, 0.1]), zero).passed
    assert compare_losses([[0.0]], [[0.0]], "float32").passed
