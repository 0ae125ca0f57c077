"""Layers that multiply by a kernel: Dense, EinsumDense, Embedding."""

import math
from typing import Any

import keras
from keras import ops

from harness.tracing import semantics as kinds
from harness_keras.port.readings import Running, Unreadable, layer_class, reads, with_activation

Tensor = Any


@reads(keras.layers.Dense)
def dense(running: Running) -> Tensor:
    """``(..., inputs)`` to ``(..., units)``."""

    def linear(running: Running) -> Tensor:
        layer = running.layer
        parameters = {"kernel": running.stored(layer.kernel)}
        if layer.bias is not None:
            parameters["bias"] = running.stored(layer.bias)
        return running.whole(kinds.Linear(), parameters)

    return with_activation(running, linear)


@reads(layer_class("EinsumDense"))
def einsum_dense(running: Running) -> Tensor:
    """A product that is one on the last axis once axes are merged, as in projections to and from heads."""
    return with_activation(running, _einsum_linear)


def _einsum_linear(running: Running) -> Tensor:
    layer, x = running.layer, running.x
    inputs, outputs = contraction(layer.equation, len(x.shape))
    kernel = tuple(layer.kernel.shape)
    flat = math.prod(kernel[:inputs]), math.prod(kernel[inputs:])
    parameters = {"kernel": running.stored(layer.kernel, shape=flat)}
    if layer.bias is not None:
        if tuple(layer.bias.shape) != kernel[inputs:]:
            raise Unreadable
        parameters["bias"] = running.stored(layer.bias, shape=(flat[1],))
    kept = tuple(x.shape[: len(x.shape) - inputs])
    if inputs > 1:
        x = running.part(
            kinds.Reshape(shape=(*kept[1:], flat[0])), [x], lambda x: ops.reshape(x, (*kept, flat[0]))
        )
    split = (*x.shape[:-1], *kernel[:inputs])

    def product(x: Tensor) -> Tensor:
        y = running.run(**{running.first: ops.reshape(x, split)})
        return ops.reshape(y, (*kept, flat[1]))

    y = running.part(kinds.Linear(), [x], product, parameters)
    if outputs == 1:
        return y
    shape = (*kept, *kernel[inputs:])
    return running.part(kinds.Reshape(shape=shape[1:]), [y], lambda y: ops.reshape(y, shape))


def contraction(equation: str, rank: int) -> tuple[int, int]:
    """How many last axes of the input are contracted with the first of the kernel, and how many come out.

    Raises:
        Unreadable: the equation is another kind of product.
    """
    left, output = equation.replace(" ", "").split("->")
    given, kernel = left.split(",")
    summed = [letter for letter in kernel if letter in given and letter not in output]
    made = [letter for letter in kernel if letter not in summed]
    kept = given[: len(given) - len(summed)]
    regular = (
        summed
        and made
        and kernel == "".join(summed + made)
        and given == kept + "".join(summed)
        and output == kept + "".join(made)
        and ("..." in equation or len(given) == rank)
    )
    if not regular:
        raise Unreadable
    return len(summed), len(made)


@reads(keras.layers.Embedding)
def embedding(running: Running) -> Tensor:
    """Integers to rows of the table; a mask that it makes goes with the result."""
    return running.whole(kinds.Embedding(), {"table": running.stored(running.layer.embeddings)})


@reads(layer_class("ReversibleEmbedding"))
def reversible_embedding(running: Running) -> Tensor:
    """An embedding, or with ``reverse`` the product with its table or with a kernel of its own."""
    layer = running.layer
    if not running.arguments.get("reverse"):
        return embedding(running)
    if layer.logit_soft_cap is not None:
        raise Unreadable
    if layer.tie_weights:
        kernel = running.stored(layer.embeddings, axes=(1, 0))
    else:
        kernel = running.stored(layer.reverse_embeddings)
    return running.whole(kinds.Linear(), {"kernel": kernel})
