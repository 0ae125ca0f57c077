"""Names that are suggested, durations, and interrupts, as messages state them."""

import pytest

from harness.core.machine.arguments import duration_text
from harness.errors import interruption, unknown_name

BACKENDS = ("jax", "keras", "keras-jax", "keras-torch", "torch")
TASKS = ("cnn", "forecast", "gan", "lm", "mlp", "resnet", "rnn", "tabular")
DATASETS = (
    "breast_cancer",
    "cifar10",
    "digits",
    "mnist1d",
    "pydoc",
    "sunspots",
    "tinyshakespeare",
)
OPTIONS = ("beta_1", "crop", "dropout", "l1", "l2", "learning_rate", "optimizer", "weight_decay", "width")
COMMANDS = ("check", "compare", "data", "doctor", "duel", "gate", "list", "new", "report", "run", "study")


@pytest.mark.parametrize(
    ("known", "meant"),
    [
        (BACKENDS, {"pytorch": "torch", "tork": "torch", "Torch": "torch", "kears": "keras"}),
        (
            TASKS,
            {"cnm": "cnn", "MLP": "mlp", "mpl": "mlp", "forcast": "forecast"},
        ),
        (
            DATASETS,
            {
                "cifar": "cifar10",
                "CIFAR-10": "cifar10",
                "mnist": "mnist1d",
                "sun": "sunspots",
                "tiny": "tinyshakespeare",
            },
        ),
        (OPTIONS, {"lr": "learning_rate", "wd": "weight_decay", "learn": "learning_rate", "beta1": "beta_1"}),
        (OPTIONS, {"optimiser": "optimizer", "droput": "dropout", "widht": "width"}),
        (COMMANDS, {"reprot": "report", "duell": "duel", "lst": "list", "comp": "compare"}),
    ],
)
def test_a_typing_error_or_an_abbreviation_is_answered_with_the_name(known, meant):
    for name, expected in meant.items():
        assert f"Did you mean {expected!r}?" in str(unknown_name("name", name, known))


@pytest.mark.parametrize(
    ("known", "names"),
    [
        (BACKENDS, ("tensorflow", "mxnet", "flax", "theano", "")),
        (
            TASKS,
            ("transformer", "unet", "vit", "autoencoder", "gru", "linear", "dnn"),
        ),
        (DATASETS, ("imagenet", "iris", "svhn", "fashion_mnist")),
        (OPTIONS, ("depth", "activation", "epochs", "batch_size", "hidden", "o")),
        (COMMANDS, ("train", "plot", "benchmark", "test", "help", "version")),
    ],
)
def test_a_name_that_is_merely_similar_is_not_suggested(known, names):
    for name in names:
        assert "Did you mean" not in str(unknown_name("name", name, known))


@pytest.mark.parametrize(
    ("seconds", "text"), [(14, "14s"), (90, "90s"), (180, "3m"), (7200, "2h"), (0.5, "1s")]
)
def test_durations_are_written_in_whole_units(seconds, text):
    assert duration_text(seconds) == text


def test_a_signal_is_named():
    assert interruption(KeyboardInterrupt()) == "interrupted"
    assert interruption(KeyboardInterrupt("SIGTERM")) == "interrupted by SIGTERM"
