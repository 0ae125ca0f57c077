"""The sums over products of two values that ``jax.numpy.einsum`` writes with letters."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from jax import lax

from harness_jax.port.products import product
from harness_jax.port.recorder import Recorder

_PAIR = 2
_LETTERS = "ABCDEFGHIJ"


class Contraction(NamedTuple):
    """The letters of both operands and of the result."""

    left: str
    right: str
    result: str


def contraction(text: str, shapes: Sequence[tuple[int, ...]]) -> Contraction | None:
    """Read ``ij,jk->ik``; None for what is no product of two operands, or sums one of them alone."""
    text = text.replace(" ", "")
    terms, arrow, result = text.partition("->")
    parts = terms.split(",")
    if not arrow or len(parts) != _PAIR or len(shapes) != _PAIR:
        return None
    spread = [len(shape) - len(part.replace("...", "")) for part, shape in zip(parts, shapes, strict=True)]
    counts = {count for part, count in zip(parts, spread, strict=True) if "..." in part}
    if len(counts) > 1 or any(count and "..." not in part for part, count in zip(parts, spread, strict=True)):
        return None
    letters = _LETTERS[: next(iter(counts), 0)]
    left, right, result = (part.replace("...", letters) for part in (*parts, result))
    return Contraction(left, right, result) if _is_product(left, right, result, shapes) else None


def _is_product(left: str, right: str, result: str, shapes: Sequence[tuple[int, ...]]) -> bool:
    sizes = dict(zip(left, shapes[0], strict=True))
    fits = all(sizes.get(letter, size) == size for letter, size in zip(right, shapes[1], strict=True))
    once = all(len(set(part)) == len(part) for part in (left, right, result))
    alone = set(left) ^ set(right)
    return fits and once and alone <= set(result)


def contract(recorder: Recorder, operands: Sequence[Any], letters: Contraction) -> Any:
    """Record and evaluate; a parameter goes to the right, as the kernel of a linear layer."""
    first, second = operands
    left, right, result = letters
    if recorder.stored(first) is not None and recorder.stored(second) is None:
        first, second, left, right = second, first, right, left
    both = [letter for letter in left if letter in right]
    batch = [letter for letter in both if letter in result]
    over = [letter for letter in both if letter not in result]
    numbers = tuple(tuple(_places(group, part) for part in (left, right)) for group in (over, batch))
    product_of = product(recorder, first, second, dimension_numbers=numbers)
    free = [letter for letter in (*left, *right) if letter not in both]
    order = _places(result, "".join([*batch, *free]))
    return product_of if order == tuple(range(len(order))) else lax.transpose(product_of, order)


def _places(letters: Sequence[str], part: str) -> tuple[int, ...]:
    return tuple(part.index(letter) for letter in letters)
