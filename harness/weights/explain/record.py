"""What a run keeps of the explanations of its network; without NumPy, which listing does not need."""

import msgspec


class MapsOfMethod(msgspec.Struct, frozen=True):
    """The maps of one method on the same test samples in every run, as ranks, and what they are worth.

    ``ranks`` are twice the ranks of the positions of each sample, little-endian uint16 ``(rows, positions)``;
    twice, because those of equal values are means. ``deletion`` and ``insertion`` are mean outputs by the
    share of positions that was removed or restored, the most relevant first. ``randomised`` are the layers in
    the order in which they were re-initialised, from the last to the first, with the mean rank correlation of
    the maps before and after; None where a map is constant.
    """

    ranks: bytes
    deletion: list[float]
    insertion: list[float]
    randomised: list[tuple[str, float | None]]


class ExplainedNetwork(msgspec.Struct, frozen=True):
    """Maps of the best epoch's network on ``rows`` test samples, of the logit of the right class, by method.

    ``chance_deletion`` and ``chance_insertion`` are the curves of a random order.
    """

    rows: int
    positions: int
    methods: dict[str, MapsOfMethod]
    chance_deletion: list[float]
    chance_insertion: list[float]

    def __post_init__(self) -> None:
        """Refuse a damaged record, whose parts have other lengths."""
        length = 2 * self.rows * self.positions
        if any(len(maps.ranks) != length for maps in self.methods.values()):
            raise ValueError(f"the maps have another length than {self.rows} rows of {self.positions}")
