"""Tasks that train the models of this folder, with where both frameworks hold every array."""

from pathlib import Path

from harness.layers import Native, NativeArray, NativeModel
from harness.network import Network
from harness.spec.schedules import CosineDecay
from harness.spec.task import Penalty, Regression, Sgd
from harness.tracing.calls import Stored
from support import training_cases
from support.training_cases import ADAM, CLASSIFICATION

FOLDER = Path(__file__).parent
MOMENTUM = Sgd(0.05, momentum=0.9)
TRANSPOSED = (1, 0)


def array(name, shape, keras, torch=None, initial=0.5):
    """An array that Keras holds as it is, or in a part, and torch where ``torch`` says."""
    stored = {"keras": keras if isinstance(keras, Stored) else Stored(keras)}
    return NativeArray(name, shape, initial, stored | ({} if torch is None else {"torch": torch}))


def dense(name, shape, keras, torch):
    """A kernel and a bias."""
    return (
        array(f"{name}/kernel", shape, f"{keras}/kernel", Stored(f"{torch}.weight", axes=TRANSPOSED)),
        array(f"{name}/bias", shape[1:], f"{keras}/bias", Stored(f"{torch}.bias"), "zeros"),
    )


_OUTPUT = Stored("5.weight", shape=(4, 5, 3, 2), axes=(2, 3, 1, 0), final_shape=(30, 4))
CNN_TRAINED = (
    array("conv/kernel", (3, 3, 3, 5), "sequential/conv2d/kernel", Stored("0.weight", axes=(2, 3, 1, 0))),
    array("norm/scale", (5,), "sequential/batch_normalization/gamma", Stored("1.weight"), "ones"),
    array("norm/bias", (5,), "sequential/batch_normalization/beta", Stored("1.bias"), "zeros"),
    array("head/kernel", (30, 4), "sequential/dense/kernel", _OUTPUT),
    array("head/bias", (4,), "sequential/dense/bias", Stored("5.bias"), "zeros"),
)
CNN_HELD = (
    array("norm/mean", (5,), "sequential/batch_normalization/moving_mean", Stored("1.running_mean"), "zeros"),
    array(
        "norm/var", (5,), "sequential/batch_normalization/moving_variance", Stored("1.running_var"), "ones"
    ),
)


def _projection(place, role):
    """Of a third of the packed product in torch, and of a kernel ``(width, heads, size)`` in Keras."""
    path = f"transformer/multi_head_attention/{role}"
    part = {"axis": 0, "start": 8 * place, "stop": 8 * place + 8}
    return (
        array(
            f"attention/{role}_kernel",
            (8, 8),
            Stored(f"{path}/kernel", shape=(8, 8)),
            Stored("qkv.weight", **part, axes=TRANSPOSED),
        ),
        array(
            f"attention/{role}_bias",
            (8,),
            Stored(f"{path}/bias", shape=(8,)),
            Stored("qkv.bias", **part),
            "zeros",
        ),
    )


TRANSFORMER = (
    array("table", (7, 8), "transformer/embedding/embeddings", Stored("table.weight"), 1.0),
    array("norm/scale", (8,), "transformer/layer_normalization/gamma", Stored("norm.weight"), "ones"),
    array("norm/bias", (8,), "transformer/layer_normalization/beta", Stored("norm.bias"), "zeros"),
    *(each for place, role in enumerate(("query", "key", "value")) for each in _projection(place, role)),
    array(
        "attention/output_kernel",
        (8, 8),
        Stored("transformer/multi_head_attention/attention_output/kernel", shape=(8, 8)),
        Stored("out.weight", axes=TRANSPOSED),
    ),
    array(
        "attention/output_bias",
        (8,),
        "transformer/multi_head_attention/attention_output/bias",
        Stored("out.bias"),
        "zeros",
    ),
    *dense("up", (8, 12), "transformer/dense", "up"),
    *dense("down", (12, 3), "transformer/dense_1", "down"),
)


def _gate(place, gate):
    part = {"start": 4 * place, "stop": 4 * place + 4}
    cell = "lstm/lstm_cell"
    return (
        array(
            f"cell/{gate}_kernel",
            (3, 4),
            Stored(f"{cell}/kernel", axis=1, **part),
            Stored("kernel.weight", axis=0, **part, axes=TRANSPOSED),
        ),
        array(
            f"cell/{gate}_recurrent_kernel",
            (4, 4),
            Stored(f"{cell}/recurrent_kernel", axis=1, **part),
            Stored("recurrent.weight", axis=0, **part, axes=TRANSPOSED),
        ),
        array(
            f"cell/{gate}_bias",
            (4,),
            Stored(f"{cell}/bias", **part),
            Stored("kernel.bias", axis=0, **part),
            0.1,
        ),
    )


LSTM = (
    *(each for place, gate in enumerate("ifgo") for each in _gate(place, gate)),
    *dense("head", (4, 2), "dense", "head"),
)
DROPOUT = (*dense("first", (6, 8), "dense", "first"), *dense("last", (8, 3), "dense_1", "last"))
UNSEEDED = (
    *dense("first", (6, 8), "unseeded/dense", "first"),
    *dense("last", (8, 3), "unseeded/dense_1", "last"),
)
PLAIN = dense("only", (6, 3), "plain/slow", "only")
DENSE = dense("only", (6, 3), "sequential/dense", "only")


def native(name, trained, outputs, torch="", arguments=None, **options):
    """The layer of a model of ``in_keras.py``, and of ``in_torch.py`` where there is one."""
    models = [NativeModel("keras", f"{FOLDER / 'in_keras.py'}:{name}", arguments or {})]
    if torch:
        models.append(NativeModel("torch", f"{FOLDER / 'in_torch.py'}:{torch}"))
    return Native(tuple(models), tuple(trained), outputs, **options)


def task(layer, inputs=(6,), optimizer=MOMENTUM, objective=CLASSIFICATION, **rules):
    """A task with this one layer."""
    return training_cases.task(Network(inputs, (layer,)), objective, optimizer, **rules)


RULES = {"weight_decay": 0.3, "clip_norm": 0.5, "penalty": Penalty(l1=0.01, l2=0.02)}
CNN = native("cnn", CNN_TRAINED, (4,), "cnn", held=CNN_HELD)
TASKS = {
    "cnn momentum": task(CNN, (6, 4, 3), **RULES, schedule=CosineDecay(warmup_steps=4)),
    "cnn adam": task(CNN, (6, 4, 3), ADAM),
    "transformer": task(
        native("Transformer", TRANSFORMER, (3,), "Transformer", vocabulary=7), (5,), ADAM, **RULES
    ),
    "partly frozen": task(
        native(
            "partly_frozen",
            dense("last", (8, 3), "sequential/dense_1", "2"),
            (3,),
            "partly_frozen",
            held=dense("first", (6, 8), "sequential/dense", "0"),
        ),
        **RULES,
    ),
    "lstm": task(native("lstm", LSTM, (2,), "Lstm"), (5, 3), MOMENTUM, Regression(), **RULES),
}
