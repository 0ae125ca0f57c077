"""Translations of torch's functions into the vocabulary; importing this fills the table of them."""

from harness_torch.port.functions import (  # noqa: F401  fill the table
    attention,
    convolutions,
    einsum,
    elementwise,
    normalization,
    pooling,
    products,
    rearranging,
    recurrent,
    reductions,
    rewriting,
    shapes,
    slices,
)
