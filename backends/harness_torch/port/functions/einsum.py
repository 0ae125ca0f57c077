"""Einstein sums of two operands as transpositions and products of matrices."""

import math
from typing import Any

import torch

from harness_torch.port.seen import Tensor, rewrites
from harness_torch.port.tracer import NotTranslated

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_OPERANDS = 2


@rewrites("einsum")
def einsum(x: Any, *operands: Any) -> Tensor:
    """``einsum(equation, one, other)``; an equation without output or with repeated axes is not covered."""
    tensors = operands[0] if len(operands) == 1 and isinstance(operands[0], list | tuple) else operands
    if not isinstance(x, str) or "->" not in x or len(tensors) != _OPERANDS:
        raise NotTranslated
    terms, wanted = _spelled(x, tensors)
    one, other = tensors
    batch = [letter for letter in wanted if letter in terms[0] and letter in terms[1]]
    summed = [letter for letter in terms[0] if letter in terms[1] and letter not in wanted]
    left = [letter for letter in terms[0] if letter in wanted and letter not in terms[1]]
    right = [letter for letter in terms[1] if letter in wanted and letter not in terms[0]]
    if len(batch + summed + left) != len(terms[0]) or len(batch + summed + right) != len(terms[1]):
        raise NotTranslated
    sizes = dict(zip(terms[0], one.shape, strict=True)) | dict(zip(terms[1], other.shape, strict=True))
    # Without common axes of the output the axes of the left operand may stay apart, as in linear layers.
    rows = [math.prod(sizes[letter] for letter in left)] if batch else [sizes[letter] for letter in left]
    columns, inner = (math.prod(sizes[letter] for letter in each) for each in (right, summed))
    common = [sizes[letter] for letter in batch]
    one = _ordered(one, terms[0], batch + left + summed).reshape(*common, *(rows or [1]), inner)
    other = _ordered(other, terms[1], batch + summed + right).reshape(*common, inner, columns)
    product = (one @ other).reshape([sizes[letter] for letter in batch + left + right])
    return _ordered(product, "".join(batch + left + right), list(wanted))


def _spelled(equation: str, tensors: Any) -> tuple[list[str], str]:
    """Operands and output with letters for all axes, those of an ellipsis too."""
    before, wanted = equation.replace(" ", "").split("->")
    terms = before.split(",")
    most = 0
    for number, (term, tensor) in enumerate(zip(terms, tensors, strict=True)):
        if "..." in term:
            hidden = tensor.dim() - len(term) + 3
            most = max(most, hidden)
            terms[number] = term.replace("...", _LETTERS[26 - hidden :] if hidden else "")
    wanted = wanted.replace("...", _LETTERS[26 - most :] if most else "")
    if any(
        len(set(term)) != len(term) or len(term) != each.dim()
        for term, each in zip(terms, tensors, strict=True)
    ):
        raise NotTranslated
    return terms, wanted


def _ordered(tensor: Tensor, letters: str, order: list[str]) -> Tensor:
    return torch.permute(tensor, [letters.index(letter) for letter in order])
