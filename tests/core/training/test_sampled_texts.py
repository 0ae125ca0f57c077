"""Texts of a language model: drawn as the logits say, by the harness's own numbers, and only if causal."""

import msgspec
import numpy as np
import pytest

from harness.core.training.program_scores import TEMPERATURE, TEXTS, TOKENS, drawn_tokens, sampled_texts
from harness.layers import Dense, Embedding, GlobalAveragePool, SelfAttention
from harness.network import Network
from harness_tasks.cnn import CNN
from harness_tasks.lm import LM

TASK = LM.define(LM.options())
CLASSES = ("\n", *(chr(number) for number in range(ord("!"), ord("!") + 64)))


def _next(inputs, network="model"):
    """A network that is sure of the token after the one it sees."""
    return 50.0 * np.eye(65)[(inputs + 1) % 65]


def test_a_text_follows_the_network():
    sampled = sampled_texts(TASK, _next, CLASSES, 0)
    assert (sampled.start, sampled.temperature) == ("\n", TEMPERATURE)
    expected = "".join(CLASSES[(1 + place) % 65] for place in range(TOKENS))
    assert sampled.texts == [expected] * TEXTS


def test_the_network_sees_the_last_tokens_and_zeros_behind_them():
    seen = []

    def predict(inputs, network="model"):
        seen.append(inputs.copy())
        return _next(inputs)

    sampled_texts(TASK, predict, CLASSES, 0)
    assert {inputs.shape for inputs in seen} == {(TEXTS, 64)}
    assert seen[1][0].tolist() == [0, 1] + [0] * 62
    assert seen[63][0].tolist() == list(range(64))
    assert seen[64][0].tolist() == list(range(1, 65))
    assert len(seen) == TOKENS


def test_the_same_seed_draws_the_same_text():
    def predict(inputs, network="model"):
        return np.zeros((*inputs.shape, 65))

    texts = sampled_texts(TASK, predict, CLASSES, 3).texts
    assert sampled_texts(TASK, predict, CLASSES, 3).texts == texts
    assert sampled_texts(TASK, predict, CLASSES, 4).texts != texts
    assert len(set(texts)) == TEXTS
    assert min(map(len, texts)) == TOKENS


def test_tokens_are_drawn_from_the_softmax_at_the_temperature():
    logits = np.random.default_rng(1).standard_normal(6)
    uniform = (np.arange(100_000) + 0.5) / 100_000
    drawn = drawn_tokens(np.tile(logits, (len(uniform), 1)), uniform)
    shares = np.exp(logits / TEMPERATURE) / np.exp(logits / TEMPERATURE).sum()
    assert np.bincount(drawn, minlength=6) / len(uniform) == pytest.approx(shares, abs=2e-5)
    certain = drawn_tokens(np.array([[-1e9, 0.0, -1e9]]), np.array([np.nextafter(1.0, 0.0)]))
    assert certain.tolist() == [1]


def test_words_are_separated():
    words = tuple(f"w{number}" for number in range(65))
    sampled = sampled_texts(TASK, _next, words, 0)
    assert sampled.start == "w0"
    assert sampled.texts[0].startswith("w1 w2 w3 ")


def test_logits_that_are_not_finite_make_no_text():
    def predict(inputs, network="model"):
        return np.full((*inputs.shape, 65), np.nan)

    assert sampled_texts(TASK, predict, CLASSES, 0) is None


def _with_layers(*layers):
    network = Network(input_shape=(64,), layers=(Embedding(65, 8), *layers))
    return msgspec.structs.replace(TASK, networks={"model": network})


@pytest.mark.parametrize(
    "task",
    [
        CNN.define(CNN.options()),
        _with_layers(SelfAttention(2), Dense(65)),
        _with_layers(SelfAttention(2, causal=True), Dense(66)),
        _with_layers(GlobalAveragePool(), Dense(65)),
    ],
    ids=["pictures", "not causal", "other classes", "one class"],
)
def test_other_networks_make_no_text(task):
    assert sampled_texts(task, _next, CLASSES, 0) is None


def test_a_causal_network_makes_one():
    assert sampled_texts(_with_layers(SelfAttention(2, causal=True), Dense(65)), _next, CLASSES, 0)
