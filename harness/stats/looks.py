"""When a test is made while pairs come in, and which share of the error each of these looks may use.

Testing after every pair and stopping at the first success would call equal configurations different far too
often. So the error is spent: every look uses a share of it, and the shares add up to one. By the union bound
(Bonferroni) the error over all looks stays below the level, whatever the dependence between them.
"""

from harness.stats.sign_flip import smallest_p_value

#: The most pairs of two configurations; with the last one all error is spent.
MOST_PAIRS = 40
#: Looks are made at these numbers of pairs and at the end. More looks would find little sooner and leave less
#: error for each. With 10 pairs an exact test can reach a level of 0.001.
_AT = (10, 14, 20, 28)
_POWER = 4
#: The share of the error that the first look may use.
_SOON = 0.2


class Looks:
    """The looks made so far by one test, and the share of the error that each may use.

    The error used up to a look depends on the elapsed time, not on the data (Lan and DeMets 1983). It is the
    fourth power of the time (the family of Kim and DeMets 1987), so that most is left for the end, where
    there are most pairs; from the first look on it is at least a fifth, so that a verdict on pairs that
    hardly vary comes early.
    """

    def __init__(self) -> None:
        self.shares: dict[int, float] = {}

    @classmethod
    def single(cls, pairs: int) -> "Looks":
        """A single look, at a number of pairs that was fixed in advance."""
        looks = cls()
        looks.come_to(pairs, 1.0, last=True)
        return looks

    def come_to(self, pairs: int, progress: float, *, last: bool) -> None:
        """Report the number of pairs after a share ``progress`` (0 to 1) of the time.

        The ``last`` look may be at any number of pairs, provided that the data did not determine that it is
        the last.
        """
        if not last and pairs not in _AT:
            return
        due = 1.0 if last else max(_SOON, min(1.0, progress) ** _POWER)
        more = max(0.0, due - sum(self.shares.values()))
        self.shares[pairs] = self.shares.get(pairs, 0.0) + more

    def levels(self, total: float) -> dict[int, float]:
        """The level at each look, by its pairs, of a one-sided test whose error over all looks is ``total``.

        A share that a look cannot use, because no p-value of so few pairs is that small, goes to the next.
        """
        levels, carried = {}, 0.0
        for pairs, share in self.shares.items():
            carried += share
            if carried * total >= smallest_p_value(pairs, "less"):
                levels[pairs], carried = carried * total, 0.0
        return levels


def next_look(pairs: int) -> int:
    """The first look at this number of pairs or more; the number itself if there is none."""
    return next((look for look in (*_AT, MOST_PAIRS) if look >= pairs), pairs)
