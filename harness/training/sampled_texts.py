"""Texts drawn from a language model, by the same random numbers for every framework."""

import numpy as np
import numpy.typing as npt

from harness.layers import (
    GRU,
    LSTM,
    Activation,
    AnyLayer,
    Dense,
    Dropout,
    Embedding,
    LayerNorm,
    PositionEmbedding,
    SelfAttention,
    Unembedding,
)
from harness.network import Network
from harness.spec.task import Task
from harness.training import draws
from harness.training.outcome_records import SampledTexts
from harness.training.scoring import Predict

TEMPERATURE = 0.8
#: All texts are continued by one call of the network for each token, so their number costs less than their
#: length: compiled backends fill up a call of fewer samples.
TEXTS, TOKENS = 4, 100
_START = "\n"


def sampled_texts(task: Task, predict: Predict, classes: tuple[str, ...], seed: int) -> SampledTexts | None:
    """Texts that the network ``model`` continues from a line end; ``classes`` are the tokens as texts.

    Without a line end among them, texts start with the first token. None where the network is no causal
    language model of these tokens, or where its outputs are not finite.
    """
    network = task.networks.get("model")
    if network is None or not task.predicts_positions() or not _continues(network, len(classes)):
        return None
    start = _START if _START in classes else classes[0]
    (context,) = network.input_shape
    uniform = draws.uniform((TOKENS, TEXTS), seed, "sampled texts")
    tokens = np.zeros((TEXTS, 1 + TOKENS), np.int64)
    tokens[:, 0] = classes.index(start)
    for place in range(1, 1 + TOKENS):
        # The inputs have one shape, or some frameworks would compile again: behind the last token follow
        # zeros, which a causal network does not see.
        first = max(0, place - context)
        window = np.zeros((TEXTS, context), np.int64)
        window[:, : place - first] = tokens[:, first:place]
        logits = predict(window, "model")[:, place - first - 1]
        if not np.isfinite(logits).all():
            return None
        tokens[:, place] = drawn_tokens(logits, uniform[place - 1])
    separator = "" if all(len(token) == 1 for token in classes) else " "
    texts = [separator.join(classes[token] for token in row[1:]) for row in tokens.tolist()]
    return SampledTexts(texts, start, TEMPERATURE)


def drawn_tokens(logits: npt.NDArray[np.floating], uniform: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """A token for each row of logits ``(n, classes)``, by a draw from [0, 1) each ``(n,)``."""
    values = logits.astype(np.float64) / TEMPERATURE
    shares = np.cumsum(np.exp(values - values.max(axis=1, keepdims=True)), axis=1)
    drawn = (shares <= uniform[:, None] * shares[:, -1:]).sum(axis=1)
    tokens: npt.NDArray[np.int64] = np.minimum(drawn, logits.shape[1] - 1).astype(np.int64)
    return tokens


def _continues(network: Network, tokens: int) -> bool:
    """Whether each output is about the next one of these tokens, and depends on no later input."""
    vocabulary, shape = network.vocabulary(), network.output_shape()
    fits = vocabulary == tokens and shape == (*network.input_shape, tokens)
    return fits and all(_is_causal(place.layer) for place in network.leaves())


def _is_causal(layer: AnyLayer) -> bool:
    match layer:
        case SelfAttention(causal=causal):
            return causal
        case GRU(bidirectional=bidirectional) | LSTM(bidirectional=bidirectional):
            return not bidirectional
        case _:
            return isinstance(layer, _POSITIONWISE)


_POSITIONWISE = (Activation, Dense, Dropout, Embedding, LayerNorm, PositionEmbedding, Unembedding)
