"""The same small models in several frameworks, and the native layers that describe them."""

from pathlib import Path

from harness.layers import Native, NativeArray, NativeModel
from harness.network import Network
from harness.tracing.calls import Stored

WIDTH = 8
TURNED, OIHW = (1, 0), (2, 3, 1, 0)


def target(form, name):
    """The callable of this name in the file of a form: torch, nnx, linen or jax."""
    return f"{Path(__file__).with_name(f'in_{form}.py')}:{name}"


def _array(name, shape, torch, jax):
    initial = {"scale": "ones", "variance": "ones", "bias": "zeros", "mean": "zeros"}
    stored = {key: each for key, each in (("torch", torch), ("jax", jax)) if each is not None}
    return NativeArray(name, shape, initial.get(name.rpartition("/")[2], 0.3), stored)


def _dense(name, width, units, torch, jax, *, bias=True):
    yield _array(f"{name}/kernel", (width, units), Stored(f"{torch}.weight", axes=TURNED), jax("kernel"))
    if bias:
        yield _array(f"{name}/bias", (units,), Stored(f"{torch}.bias"), jax("bias"))


def _places(pattern):
    return lambda role: Stored(pattern.format(role))


def cnn(form):
    """Pictures ``(8, 8, 2)`` to 5 classes; in nnx or linen, and in torch."""
    if form == "nnx":
        conv, norm, strided, dense = (
            _places(f"{name}.{{}}") for name in ("conv", "norm", "strided", "dense")
        )
        held = norm
    else:
        conv, norm, strided, dense = (
            _places(f"params/{name}/{{}}") for name in ("Conv_0", "BatchNorm_0", "Conv_1", "Dense_0")
        )
        held = _places("batch_stats/BatchNorm_0/{}")
    trained = (
        _array("conv/kernel", (3, 3, 2, 4), Stored("conv.weight", axes=OIHW), conv("kernel")),
        _array("norm/scale", (4,), Stored("norm.weight"), norm("scale")),
        _array("norm/bias", (4,), Stored("norm.bias"), norm("bias")),
        _array("strided/kernel", (2, 2, 4, 3), Stored("strided.weight", axes=OIHW), strided("kernel")),
        _array("strided/bias", (3,), Stored("strided.bias"), strided("bias")),
        *_dense("dense", 12, 5, "dense", dense),
    )
    state = (
        _array("norm/mean", (4,), Stored("norm.running_mean"), held("mean")),
        _array("norm/variance", (4,), Stored("norm.running_var"), held("var")),
    )
    models = _models("Cnn", form, "Cnn" if form == "linen" else "make_cnn")
    return Network((8, 8, 2), (Native(models, trained, (5,), state),))


def _models(torch, form, name, **arguments):
    return (
        NativeModel("torch", target("torch", torch)),
        NativeModel("jax", target(form, name), arguments),
    )


def _projections(form):
    """The kernels and biases of attention, which torch and plain JAX hold in one array."""
    for number, name in enumerate(("query", "key", "value")):
        start, stop = number * WIDTH, (number + 1) * WIDTH
        if form == "nnx":
            kernel = Stored(f"attention.{name}.kernel", shape=(WIDTH, WIDTH))
            bias = Stored(f"attention.{name}.bias", shape=(WIDTH,))
        else:
            kernel, bias = Stored("qkv.kernel", 1, start, stop), Stored("qkv.bias", 0, start, stop)
        packed = Stored("qkv.weight", 0, start, stop, axes=TURNED)
        yield _array(f"{name}/kernel", (WIDTH, WIDTH), packed, kernel)
        yield _array(f"{name}/bias", (WIDTH,), Stored("qkv.bias", 0, start, stop), bias)


def transformer(form):
    """Six tokens of 11 to the next ones; in nnx or plain JAX, and in torch."""
    nnx = form == "nnx"
    turned = {"kernel": Stored("attention.out.kernel", shape=(WIDTH, WIDTH))} if nnx else {}
    out = _places("attention.out.{}" if nnx else "out.{}")
    trained = (
        _array(
            "tokens/table",
            (11, WIDTH),
            Stored("tokens.weight"),
            Stored("tokens.embedding" if nnx else "tokens"),
        ),
        _array("places", (6, WIDTH), Stored("places"), Stored("places")),
        _array("norm/scale", (WIDTH,), Stored("norm.weight"), Stored("norm.scale")),
        _array("norm/bias", (WIDTH,), Stored("norm.bias"), Stored("norm.bias")),
        *_projections(form),
        *_dense("out", WIDTH, WIDTH, "out", lambda role: turned.get(role, out(role))),
        *_dense("up", WIDTH, 2 * WIDTH, "up", _places("up.{}")),
        *_dense("down", 2 * WIDTH, WIDTH, "down", _places("down.{}")),
        *_dense("head", WIDTH, 11, "head", _places("head.{}"), bias=False),
    )
    return Network(
        (6,), (Native(_models("Transformer", form, "make_transformer"), trained, (6, 11), vocabulary=11),)
    )


def mlp(form, dropout="off", name=None):
    """Nine numbers to 5 classes, half of the hidden values being dropped in training."""
    names = {"linen": ("params/Dense_0/{}", "params/Dense_1/{}")}
    first, last = names.get(form, ("first.{}", "last.{}"))
    trained = (
        *_dense("first", 9, 16, "first", _places(first)),
        *_dense("last", 16, 5, "last", _places(last)),
    )
    models = _models("Mlp", form, name or ("Mlp" if form == "linen" else "make_mlp"))
    return Network((9,), (Native(models, trained, (5,), dropout=dropout),))
