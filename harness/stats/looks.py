"""When a test is made while pairs come in, and which share of the error each of these looks may use.

Testing after every pair and stopping at the first success would call equal configurations different far too
often. So the error is spent: every look uses a share of it, and the shares add up to one. By the union bound
(Bonferroni) the error over all looks stays below the level, whatever the dependence between them.
"""

from harness.stats.sign_flip import Alternative, smallest_p_value

#: The most pairs of two configurations; with the last one all error is spent.
MOST_PAIRS = 40
#: Looks are made at these numbers of pairs and at the end. More looks would find little sooner and leave less
#: error for each. With 10 pairs an exact test can reach a level of 0.001.
_AT = (10, 14, 20, 28)
_POWER = 4


class Looks:
    """The looks made so far by one test, and the share of the error that each may use.

    The error used up to a look depends on the elapsed time, not on the data (Lan and DeMets 1983). It is the
    fourth power of the time (the family of Kim and DeMets 1987), so that most is left for the end, where
    there are most pairs; from the first look on it is at least ``soon``, so that a large difference is found
    early. The first look is after ``first`` pairs.
    """

    def __init__(self, first: int = _AT[0], soon: float = 0.2) -> None:
        self._at = {first, *_AT}
        self._soon = soon
        self._ended = False
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
        if not last and pairs not in self._at:
            return
        self._ended = last
        due = 1.0 if last else max(self._soon, min(1.0, progress) ** _POWER)
        more = max(0.0, due - sum(self.shares.values()))
        self.shares[pairs] = self.shares.get(pairs, 0.0) + more

    def levels(
        self, total: float, alternative: Alternative = "two-sided", *, planned: float | None = None
    ) -> dict[int, float]:
        """The level at each look, by its pairs, of a test whose error over all looks is at most ``total``.

        A share that a look cannot use, because no p-value of so few pairs is that small, goes to the next
        one. If the total was raised meanwhile, the looks before the last remain those of the ``planned``
        total: what a lower level rejected, a higher one rejects too.
        """
        levels, carried = {}, 0.0
        for number, (pairs, share) in enumerate(self.shares.items(), 1):
            carried += share
            last = self._ended and number == len(self.shares)
            reached_at = total if last else planned or total
            if carried * reached_at >= smallest_p_value(pairs, alternative):
                levels[pairs], carried = carried * total, 0.0
        return levels


def fewest_pairs(total: float, alternative: Alternative = "two-sided") -> int:
    """The fewest pairs with which an exact test can reach this level if all of it is used at once.

    ``MOST_PAIRS + 1`` if no number of pairs suffices.
    """
    enough = (pairs for pairs in range(2, MOST_PAIRS + 1) if total >= smallest_p_value(pairs, alternative))
    return next(enough, MOST_PAIRS + 1)


def next_look(pairs: int) -> int:
    """The first look at this number of pairs or more; the number itself if there is none."""
    return next((look for look in (*_AT, MOST_PAIRS) if look >= pairs), pairs)
