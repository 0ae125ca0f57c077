"""What every kind of layer provides: shapes, parameters, state and FLOPs, without NumPy or a framework."""

from typing import ClassVar, Literal

import msgspec

Shape = tuple[int, ...]
#: ``glorot_uniform`` draws from ±sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010, equation 16);
#: ``he_normal`` from a normal distribution with standard deviation sqrt(2 / fan_in) (He et al. 2015,
#: equation 10). A number is the standard deviation of a normal distribution.
Initializer = Literal["glorot_uniform", "he_normal"] | float
#: ``valid`` adds no zeros, ``same`` as many as keep ``ceil(n / strides)`` outputs, a number so many on each
#: side of each axis.
Padding = Literal["valid", "same"] | int


class Described(msgspec.StructMeta):
    """The type of the contract's structs: their help shows what they add, not the methods of every struct."""

    def __dir__(cls) -> list[str]:  # noqa: N805  of a class, which ruff does not see
        structs = [base for base in cls.__mro__ if isinstance(base, Described)]
        return [name for struct in structs for name in vars(struct) if not name.startswith("__")]


class Parameter(msgspec.Struct, metaclass=Described, frozen=True):
    """One array of a layer, of ``shape`` in canonical layout.

    ``fan_in`` and ``fan_out`` count the connections of a unit, which ``initializer`` uses: see
    :data:`Initializer`; ``uniform_fan_in`` draws from ±1 / sqrt(fan_in), as PyTorch's layers do.
    """

    shape: Shape
    initializer: Initializer | Literal["uniform_fan_in", "zeros", "ones"]
    fan_in: int = 0
    fan_out: int = 0


class Layer(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True):
    """What every kind of layer provides; the defaults are those of a layer without parameters.

    ``takes_axes`` is the number of axes that an input must have, without the batch; None: any.
    """

    takes_axes: ClassVar[int | None] = None

    def output_shape(self, shape: Shape) -> Shape:
        """Return the shape of one sample's output for an input of ``shape``.

        Raises:
            ValueError: the layer does not fit this input; the message gives the reason.
        """
        return shape

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        """Return the trainable arrays by name for an input of ``shape``."""
        return {}

    def state(self, shape: Shape) -> dict[str, Parameter]:
        """Return the arrays by name that training changes without a gradient, such as running statistics."""
        return {}

    def forward_flops(self, shape: Shape) -> int:
        """Count the FLOPs of one sample: two for each multiply-add of a product; nothing else is counted."""
        return 0


def kernel_and_bias(kernel: Parameter, outputs: int, *, bias: bool) -> dict[str, Parameter]:
    """Return the parameters of a layer with this ``kernel`` and, with ``bias``, a bias of zeros."""
    return {"kernel": kernel} | ({"bias": Parameter((outputs,), "zeros")} if bias else {})
