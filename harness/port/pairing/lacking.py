"""Parameters that only one side has, and values for them with which both sides may be the same."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness.core.models.messages import Description
from harness.port.pairing.matching import Matching

#: An array of fewer numbers is no table that two layers may share.
_LEAST_TIED = 4


class Lacking(NamedTuple):
    """Arrays of A and of B without counterpart, by name, and the names of all trained parameters."""

    a: dict[str, np.ndarray]
    b: dict[str, np.ndarray]
    trained: frozenset[str]

    @classmethod
    def of(cls, matching: Matching, a: Description, b: Description) -> "Lacking":
        """Collect the parameters of both sides that are in no pair."""
        sides = ((matching.unmatched_a, a), (matching.unmatched_b, b))
        of_a, of_b = ({name: side.parameters[name] for name in names} for names, side in sides)
        return cls(of_a, of_b, frozenset({*a.trained, *b.trained}))

    def that_train(self, changed_a: set[str], changed_b: set[str]) -> "Lacking":
        """Leave out constants, such as tables of positions, which do not train or change on either side."""
        of_a, of_b = (
            {name: array for name, array in own.items() if name in self.trained | changed}
            for own, changed in ((self.a, changed_a), (self.b, changed_b))
        )
        return self._replace(a=of_a, b=of_b)

    def candidates(self) -> dict[str, list[str]]:
        """List, for each trained array of A, the arrays of B with as many numbers; B's if only B has any."""
        of_a = {
            name: [other for other, each in self.b.items() if each.size == array.size]
            for name, array in self.a.items()
            if name in self.trained
        }
        own = [name for name in self.b if name in self.trained]
        return of_a or ({"NAME": own} if own else {})

    def trials(self, values_a: Mapping[str, np.ndarray]) -> Iterator["Trial"]:
        """Yield values that may make both sides equal: neutral values, and values of A for arrays of B."""
        own, other = (", ".join(each) or "none" for each in (self.a, self.b))
        one_sided = not (self.a and self.b)
        for value, kind in ((0.0, "missing bias"), (1.0, "missing scale")) if one_sided else ():
            neutral_a, neutral_b = (
                {name: np.full(array.shape, value) for name, array in held.items()}
                for held in (self.a, self.b)
            )
            yield Trial(kind, own, other, neutral_a, neutral_b)
        for kind, sources in (
            ("shape", {name: values_a.get(name, array) for name, array in self.a.items()}),
            ("untied", values_a),
        ):
            if len(self.b) != 1 or (self.a and kind == "untied"):
                continue
            ((name_b, array_b),) = self.b.items()
            for name_a, array in sources.items():
                for made in _spread(array, array_b.shape, tied=kind == "untied"):
                    text_a = f"{name_a} {_shape_text(array.shape)}"
                    text_a += " in both places" if kind == "untied" else ""
                    yield Trial(kind, text_a, f"{name_b} {_shape_text(array_b.shape)}", {}, {name_b: made})


class Trial(NamedTuple):
    """A kind of cause, both sides as text, and values for the arrays without counterpart."""

    kind: str
    a: str
    b: str
    values_a: dict[str, np.ndarray]
    values_b: dict[str, np.ndarray]


def _spread(array: np.ndarray, shape: tuple[int, ...], *, tied: bool) -> Iterator[np.ndarray]:
    """Yield ``array`` in ``shape``: plain or transposed if ``tied``, else repeated along axes."""
    if tied:
        if array.ndim == 2 and array.size > _LEAST_TIED:  # noqa: PLR2004  a matrix
            yield from (each for each in (array, array.T) if each.shape == shape)
        return
    flat = array.reshape([size for size in array.shape if size != 1])
    if flat.ndim != 1:
        return
    for axis, size in enumerate(shape):
        if size == flat.size:
            made = flat.reshape([-1 if each == axis else 1 for each in range(len(shape))])
            yield np.array(np.broadcast_to(made, shape))


def _shape_text(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
