"""How good generated pictures are: values known by formula or by hand, and invalid pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from harness.core.training.gan_quality import COMPONENTS, Judge, coverage, frechet_distance, memorization
from harness.core.training.program_scores import Scorer, generated, neighbours_grid, sample_grid
from harness.spec.data import Samples
from harness_tasks.gan import GAN


def _line(*points):
    """Points as samples of one feature."""
    return np.array(points, np.float64)[:, None]


def _sample(mean, covariance, size=50):
    """A sample ``(size, features)`` of exactly this mean and covariance."""
    drawn = np.random.default_rng(0).standard_normal((size, len(mean)))
    drawn -= drawn.mean(axis=0)
    white = drawn @ np.linalg.inv(np.linalg.cholesky(np.cov(drawn, rowvar=False))).T
    return mean + white @ np.linalg.cholesky(np.array(covariance)).T


def test_the_frechet_distance_of_normal_samples_follows_the_formula():
    # Of commuting covariances it is |m1 - m2|² plus the squared differences of the standard deviations.
    one, other = _sample([0, 1], [[4, 0], [0, 9]]), _sample([3, 5], [[1, 0], [0, 25]])
    assert frechet_distance(one, other) == pytest.approx(9 + 16 + (2 - 1) ** 2 + (3 - 5) ** 2)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-9)


def test_the_frechet_distance_of_covariances_that_do_not_commute():
    # The eigenvalues of [[2, 1], [1, 1]] @ diag(1, 4) are 3 ± √5, so the roots sum to √(6 + 2√4) = √10.
    one, other = _sample([0, 0], [[2, 1], [1, 1]]), _sample([0, 0], [[1, 0], [0, 4]])
    assert frechet_distance(one, other) == pytest.approx(3 + 5 - 2 * np.sqrt(10))


def test_covered_points_lie_within_the_third_neighbour_of_some_point():
    of = _line(0, 1, 2, 3)  # whose third neighbours are 3, 2, 2 and 3 away
    assert coverage(_line(-3.1, -2.9, 5.9, 6.1), of) == 0.5
    assert coverage(_line(0.5, 2.5), of) == 1
    assert coverage(_line(-4, 7), of) == 0


def test_memorisation_depends_on_whose_neighbours_the_samples_are():
    train, held_out = _line(0, 10, 20), _line(5)  # chance has one neighbour of four held out
    assert memorization(_line(0, 11, 21), train, held_out).ratio == 0
    assert memorization(_line(1, 11, 21, 6), train, held_out).ratio == 1
    assert memorization(_line(4, 6), train, held_out).ratio == 4


@pytest.mark.parametrize("copied", [0, 500, 2000])
def test_copies_of_few_among_many_training_pictures_are_found(copied):
    drawn = np.random.default_rng(0).standard_normal((40_000 + 10_000 + 2000, 8))
    train, held_out, fakes = np.split(drawn, [40_000, 50_000])
    fakes[:copied] = train[7 : 7 + copied]
    found = memorization(fakes, train, held_out)
    assert found.ratio == pytest.approx(1 - copied / len(fakes), abs=4 * found.error)
    assert found.error < 0.06


def test_memorisation_of_identical_samples_is_undecided():
    """Its samples are near a few real pictures, and luck has these in training or held out."""
    drawn = np.random.default_rng(0).standard_normal((1600, 8))
    for split in range(6):
        train, held_out = np.split(np.random.default_rng(split).permutation(drawn), [1250])
        found = memorization(0.01 * drawn[:300], train, held_out)
        assert abs(found.ratio - 1) < 4 * found.error
        assert found.error > 0.5


def test_all_classes_are_compared_in_data_sorted_by_class():
    drawn = 0.01 * np.random.default_rng(0).random((9000, 2, 2, 1))
    drawn[4500:] += 1.0
    judge = Judge(Samples(drawn, np.zeros(9000, np.int64)))
    both = np.random.default_rng(1).permutation(drawn)[:3000]
    assert judge.distance(drawn, both)["frechet_distance"] < 0.01
    assert judge.baselines(drawn, both)["frechet_distance_of_training_pictures"] < 0.01
    assert judge.verdict(drawn[::3], drawn[1::3])["memorization_ratio"] < 0.1


def test_features_are_the_first_principal_components():
    real, fakes = np.random.default_rng(0).random((2, 60, 6, 6, 3))
    flat = real.reshape(60, -1)
    axes = np.linalg.svd(flat - flat.mean(axis=0), full_matrices=False)[2][:COMPONENTS].T
    known = frechet_distance(flat @ axes, fakes.reshape(60, -1) @ axes)
    judge = Judge(Samples(real, np.zeros(60, np.int64)))
    assert judge.distance(real, fakes)["frechet_distance"] == pytest.approx(known, rel=1e-9)


def test_pictures_that_are_not_finite_have_no_distance():
    pictures = np.random.default_rng(0).random((40, 4, 4, 3))
    judge = Judge(Samples(pictures, np.zeros(40, np.int64)))
    assert judge.distance(pictures, pictures)["frechet_distance"] == pytest.approx(0, abs=1e-6)
    assert judge.distance(pictures, np.full_like(pictures, np.nan)) == {"frechet_distance": None}


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_shown_grey_or_coloured(channels):
    fakes = np.zeros((9, 4, 4, channels))
    fakes[0, 0, 0] = 1.0
    grid = Image.open(io.BytesIO(sample_grid(fakes)))
    assert grid.size == (8 * 6 * 2, 2 * 6 * 2)
    assert grid.getpixel((2, 2)) == (255, 255, 255)
    assert grid.getpixel((4, 4)) == (0, 0, 0)


def test_pictures_with_other_channels_are_scored_but_not_shown():
    assert sample_grid(np.zeros((9, 4, 4, 2))) is None
    assert sample_grid(np.zeros((9, 4, 3))) is None


def _made(count, seed):
    """Images of independent features, whose principal components are as good as pixels."""
    return np.random.default_rng(seed).random((count, 3, 3, 1))


def _compared(fakes, train, held_out):
    judge = Judge(Samples(train, np.zeros(len(train), np.int64)))
    found = judge.neighbours(held_out, fakes)
    return found, generated(found, {}, judge.references(held_out))


def test_distances_tell_copies_new_images_and_blurred_ones_apart():
    train, held_out, new = _made(800, 1), _made(300, 2), _made(300, 3)
    noise = 0.01 * np.random.default_rng(4).standard_normal(train[:300].shape)
    _, of_new = _compared(new, train, held_out)
    assert of_new.distance_ratio == pytest.approx(1, abs=0.1)
    assert abs(of_new.copying_z) < 3.5
    assert of_new.held_out_to_train == sorted(of_new.held_out_to_train)
    assert len(of_new.generated_to_train) == len(of_new.generated_to_held_out) == 101

    found, of_copies = _compared(train[:300] + noise, train, held_out)
    np.testing.assert_array_equal(found.generated_to_train.places, np.arange(300))
    assert of_copies.distance_ratio < 0.3
    assert of_copies.copying_z < -15
    assert of_copies.generated_to_held_out[50] > 2 * of_copies.generated_to_train[50]

    _, of_blurred = _compared(0.3 * new + 0.7 * train.mean(axis=0), train, held_out)
    assert of_blurred.copying_z < -3  # why the distances to held-out images are kept, too
    assert of_blurred.generated_to_held_out[50] < 1.5 * of_blurred.generated_to_train[50]


def test_the_statistic_is_that_of_mann_and_whitney():
    stats = pytest.importorskip("scipy.stats")
    found, seen = _compared(_made(60, 5) / 2, _made(200, 6), _made(90, 7))
    ours, theirs = found.generated_to_train.distances, found.held_out_to_train.distances
    test = stats.mannwhitneyu(ours, theirs, method="asymptotic", use_continuity=False)
    assert 2 * stats.norm.sf(abs(seen.copying_z)) == pytest.approx(test.pvalue, rel=1e-6)
    assert (seen.copying_z < 0) == (test.statistic < 60 * 90 / 2)


def test_held_out_images_that_are_copies_give_no_ratio():
    train = _made(100, 0)
    assert _compared(_made(50, 1), train, train[:40])[1].distance_ratio is None


def test_the_images_that_look_most_like_copies_stand_above_their_nearest():
    train, held_out = _made(100, 0), _made(50, 1)
    fakes = np.concatenate([_made(20, 2), train[30:38], held_out[:4]])
    judge = Judge(Samples(train, np.zeros(100, np.int64)))
    grid = Image.open(io.BytesIO(neighbours_grid(fakes, train, held_out, judge.neighbours(held_out, fakes))))
    assert grid.size == (8 * 5 * 2, 3 * 5 * 2)
    rows = np.asarray(grid).reshape(3, 10, 80, 3)
    np.testing.assert_array_equal(rows[0], rows[1])  # the copies
    assert (rows[0] != rows[2]).any()


def test_a_generator_is_compared_with_real_images_at_each_scoring_of_the_test_data():
    task = GAN.define(GAN.options())
    ramp = np.linspace(0, 1, 32)[:, None, None]
    splits = {
        name: Samples(np.random.default_rng(place).random((40, 1, 32, 3)) * ramp, np.zeros(40, np.int64))
        for place, name in enumerate(("train", "validation", "test"))
    }

    class Copying:
        """Its generator gives training images, of which its discriminator calls every other one real."""

        def predict(self, inputs, network="model"):
            if network == "generator":
                return splits["train"].inputs[: len(inputs)]
            return np.where(np.arange(len(inputs)) % 2, 1.0, -1.0)[:, None]

        def weights(self):
            return {}

        def load(self, weights):
            pass

    scorer, program = Scorer(task, splits, 0), Copying()
    scorer.scores(program, "validation")
    scores = scorer.scores(program, "test").scores
    drawn = scorer.drawn(program)
    seen = drawn.outcomes.generated
    assert seen.distance_ratio == pytest.approx(0, abs=1e-6)
    assert seen.called_real == {"generated": 0.5, "held_out": 0.5, "train": 0.5}
    assert seen.frechet_of_noise > seen.frechet_of_training_images
    assert not {"distance_ratio", "copying_z"} & set(scores)
    assert drawn.neighbours_png.startswith(b"\x89PNG")
    assert drawn.course_places == [0]
