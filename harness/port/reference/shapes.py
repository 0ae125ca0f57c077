"""What changes shapes alone, and products of matrices."""

import numpy as np

from harness.port.reference.dispatch import Arrays, NoReference, Parameters, formula
from harness.tracing import semantics as kinds


@formula.register
def _(does: kinds.Linear, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    product = inputs[0] @ parameters["kernel"]
    return [product + parameters["bias"] if "bias" in parameters else product]


@formula.register
def _(does: kinds.MatrixProduct, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    second = np.swapaxes(inputs[1], -1, -2) if does.transposed else inputs[1]
    return [inputs[0] @ second]


@formula.register
def _(does: kinds.Reshape, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [inputs[0].reshape(len(inputs[0]), *does.shape)]


@formula.register
def _(does: kinds.Transposition, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [inputs[0].transpose(does.axes)]


@formula.register
def _(does: kinds.Concatenation, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [np.concatenate(inputs, axis=does.axis)]


@formula.register
def _(does: kinds.Padded, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    values = {"constant_values": does.value} if does.mode == "constant" else {}
    return [np.pad(inputs[0], does.padding, does.mode, **values)]  # type: ignore[call-overload]


@formula.register
def _(does: kinds.Embedding, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    return [parameters["table"][inputs[0]]]


@formula.register
def _(does: kinds.Opaque, inputs: Arrays, parameters: Parameters) -> list[np.ndarray]:
    raise NoReference(does.function)
