"""Methods of explanation, beside formulas and an independent library."""

import numpy as np
import pytest
from support.training_cases import TASKS, program, question, samples, task, weights

from harness.core.certify.input_gradients import Subject
from harness.core.reference.training import NumpyBackend
from harness.layers import Conv2D, Dense, Embedding, Flatten
from harness.network import Network
from harness.spec.data import Samples
from harness.spec.task import BinaryClassification, Regression
from harness.weights.explain.answers import chosen
from harness.weights.explain.attributions import (
    BY_GRADIENT,
    chance_curves,
    curves,
    first_filters,
    gradient_times_input,
    integrated_gradients,
    occlusion,
    permutation_importance,
    randomised,
    rank_correlations,
    relevance,
    smooth_grad,
)
from harness.weights.explain.explained import explain

LINEAR = task({"model": Network((5, 3), (Flatten(), Dense(4)))})
PICTURES = task({"model": Network((8, 8, 2), (Conv2D(3, 3, "relu"), Flatten(), Dense(4)))})


def subject_of(of, backend=None):
    return Subject(program(backend or NumpyBackend(), of), of)


def test_all_methods_agree_where_the_network_is_linear():
    inputs, targets = question(LINEAR)
    subject = subject_of(LINEAR)
    exact = inputs * weights(LINEAR)["model/dense_1/kernel"].T[targets].reshape(inputs.shape)
    assert np.allclose(gradient_times_input(subject, inputs, targets).values, exact)
    assert np.allclose(integrated_gradients(subject, inputs, targets).values, exact)
    assert np.allclose(smooth_grad(subject, inputs, targets).values * inputs, exact)
    # Two steps are covered at a time, and the last one alone; the loss is that of all their features.
    lost = relevance(exact)
    covered = np.stack([lost[:, :2].sum(axis=1)] * 2 + [lost[:, 2:4].sum(axis=1)] * 2 + [lost[:, 4]], axis=1)
    assert np.allclose(relevance(occlusion(subject, inputs, targets).values), covered)


def test_integrated_gradients_converge_to_completeness():
    of = TASKS["residual"]
    subject, (inputs, targets) = subject_of(of), question(of)
    few, many = (
        np.abs(integrated_gradients(subject, inputs[:6], targets[:6], nodes=nodes).completeness).max()
        for nodes in (4, 128)
    )
    assert many < few / 4


def test_captum_finds_the_same():
    """An independent implementation on the same torch network, pictures in its own layout."""
    torch = pytest.importorskip("torch")
    captum = pytest.importorskip("captum.attr")
    plugin = pytest.importorskip("harness_torch").harness_backend("torch")
    inputs, targets = question(PICTURES)
    baseline = np.random.default_rng(4).random((8, 8, 2))
    made = program(plugin, PICTURES)
    ours = integrated_gradients(Subject(made, PICTURES), inputs, targets, baseline, nodes=20)
    own, nchw = captum.IntegratedGradients(made._modules["model"].eval()), (0, 3, 1, 2)
    theirs, delta = own.attribute(
        torch.tensor(inputs.transpose(nchw)),
        torch.tensor(baseline[None].transpose(nchw)),
        target=torch.tensor(targets),
        n_steps=20,
        return_convergence_delta=True,
    )
    assert np.abs(ours.values - theirs.numpy().transpose(0, 2, 3, 1)).max() < 1e-6
    assert np.abs(ours.completeness - delta.numpy()).max() < 1e-6
    inputs_times = captum.InputXGradient(made._modules["model"])
    theirs = inputs_times.attribute(
        torch.tensor(inputs.transpose(nchw), requires_grad=True), torch.tensor(targets)
    )
    ours = gradient_times_input(Subject(made, PICTURES), inputs, targets).values
    assert np.abs(ours - theirs.detach().numpy().transpose(0, 2, 3, 1)).max() < 1e-6


def test_noise_depends_on_neither_batches_nor_framework():
    plugin = pytest.importorskip("harness_torch").harness_backend("torch")
    inputs, targets = question(PICTURES)
    ours, theirs = (
        smooth_grad(subject_of(PICTURES, backend), inputs, targets).values for backend in (None, plugin)
    )
    assert np.abs(ours - theirs).max() < 1e-9


def test_tokens_are_explained_by_their_embeddings():
    of = task({"model": Network((4,), (Embedding(11, 3, 1.0), Flatten(), Dense(5)))})
    subject, rng = subject_of(of), np.random.default_rng(0)
    tokens, targets = rng.integers(0, 11, (6, 4)), np.arange(6) % 5
    numbers = subject.numbers(tokens)
    assert np.array_equal(numbers, weights(of)["model/embedding_1/table"][tokens])
    found = integrated_gradients(subject, numbers, targets)
    assert relevance(found.values).shape == tokens.shape
    assert np.abs(found.completeness).max() < 1e-9
    lost = occlusion(subject, tokens, targets).values
    most_frequent = np.bincount(tokens.ravel()).argmax()
    assert lost.shape == tokens.shape
    assert not lost[tokens == most_frequent].any()


def test_shuffling_raises_the_loss_by_what_the_feature_is_worth():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((400, 3))

    def loss(given):
        return float(((given @ [2.0, 1.0, 0.0] - inputs @ [2.0, 1.0, 0.0]) ** 2).mean())

    mean, deviation = permutation_importance(loss, inputs)
    assert mean == pytest.approx([8.0, 2.0, 0.0], rel=0.2, abs=1e-12)
    assert deviation[0] > 0
    assert np.array_equal(permutation_importance(loss, inputs)[0], mean)


def test_rank_correlations_are_those_of_scipy():
    from scipy.stats import spearmanr

    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, (5, 4, 6)), rng.integers(0, 9, (5, 4, 6))
    expected = [spearmanr(a.ravel(), b.ravel()).statistic for a, b in zip(one, other, strict=True)]
    assert rank_correlations(one, other) == pytest.approx(expected)
    assert np.isnan(rank_correlations(np.ones((1, 3)), np.arange(3)[None]))


def test_layers_are_randomised_from_the_last_to_the_first():
    of = PICTURES
    before, seen = weights(of), []
    for layer, after in randomised(of, before, seed=7):
        seen.append(layer)
        changed = {name.split("/")[1] for name in before if not np.array_equal(before[name], after[name])}
        assert changed == set(seen)
    assert seen == ["dense_1", "conv2d_1"]


def test_relevant_positions_matter_more_than_random_ones():
    of = task({"model": Network((6, 1), (Flatten(), Dense(1)))}, objective=Regression())
    made = program(NumpyBackend(), of)
    kernel = np.array([[5.0], [0], [3.0], [0], [0], [1.0]])
    made.load({"model/dense_1/kernel": kernel, "model/dense_1/bias": np.zeros(1)})
    subject, ones, targets = Subject(made, of), np.ones((3, 6, 1)), np.zeros(3, int)
    maps = relevance(integrated_gradients(subject, ones, targets).values)
    found = curves(subject, ones, targets, maps)
    assert (found.deletion[0], found.deletion[-1]) == pytest.approx((9.0, 0.0))
    assert (found.insertion[0], found.insertion[-1]) == pytest.approx((0.0, 9.0))
    chance = chance_curves(subject, ones, targets, maps.shape)
    assert min(found.gains(chance)) > 0.5
    assert max(curves(subject, ones, targets, -maps).gains(chance)) < -0.5


# Which samples are explained.


def outputs_of(logits):
    class Fixed:
        def outputs(self, inputs):
            return np.asarray(logits, float)[: len(inputs)]

    return Fixed()


def test_right_answers_of_different_classes_and_the_surest_errors_are_chosen():
    logits = [[3, 0, 0, 0], [9, 0, 0, 0], [0, 2, 0, 0], [0, 5, 0, 0], [1, 0, 0, 0], [0, 0, 4, 0]]
    test = Samples(np.zeros((6, 8, 8, 2)), np.array([0, 0, 1, 0, 1, 3]))
    found = chosen(outputs_of(logits), PICTURES, test, most=4)
    assert [(answer.row, answer.right, answer.place) for answer in found] == [
        (0, True, 0),
        (2, True, 1),
        (3, False, 1),
        (5, False, 2),
    ]
    assert found[2].probability == pytest.approx(np.exp(5) / (np.exp(5) + 3))


def test_of_two_classes_the_logit_of_class_1_is_explained():
    of = task({"model": Network((3,), (Dense(1),))}, objective=BinaryClassification())
    found = chosen(outputs_of([[4.0], [-2.0], [1.0]]), of, Samples(np.zeros((3, 3)), np.array([1, 0, 0])))
    assert [(answer.row, answer.predicted, answer.right, answer.place) for answer in found] == [
        (0, 1, True, 0),
        (1, 0, True, 0),
        (2, 1, False, 0),
    ]


def test_of_a_forecast_small_and_large_errors_are_chosen():
    of = task({"model": Network((3,), (Dense(1),))}, objective=Regression())
    truth = np.array([[0.0], [1.0], [2.0], [9.0]])
    found = chosen(outputs_of(np.ones((4, 1)) * 1.1), of, Samples(np.zeros((4, 3)), truth), most=2)
    assert [(answer.row, answer.right) for answer in found] == [(1, True), (3, False)]


@pytest.mark.parametrize("of", [PICTURES, LINEAR], ids=["pictures", "series"])
def test_all_of_it_goes_to_one_file(of, tmp_path):
    made = program(NumpyBackend(), of)
    test = samples(of)
    found = explain(made, of, test, "abcd", str(tmp_path / "e.npz"))
    arrays = np.load(tmp_path / "e.npz")
    rows = [answer.row for answer in found.answers]
    assert np.array_equal(arrays["inputs"], test.inputs[rows])
    for name in (*BY_GRADIENT, "occlusion"):
        assert arrays[name].shape == (len(rows), *test.inputs.shape[1 : max(2, test.inputs.ndim - 1)])
    assert found.check.passed
    note = found.methods["integrated gradients"]
    assert note.completeness < 0.1 * note.explained
    assert found.methods["occlusion"].completeness is None
    assert ("filters" in arrays) == (first_filters(of, weights(of)) is not None) == (of is PICTURES)
    again = explain(made, of, test, "abcd", str(tmp_path / "f.npz"), found.answers[:2])
    assert again.answers == found.answers[:2]
