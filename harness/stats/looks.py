"""When evidence is looked at while it comes in, and how much of the error allowed each look may use.

Whoever tests after every pair and stops at the first success calls equal sides different far too often.
So the error is spent: every look may use a share of it, and the shares add up to one. By the union bound
(Bonferroni) the error over all looks then stays below what is allowed, whatever the dependence between
them.
"""

from harness.stats.sign_flip import Alternative, smallest_p_value

#: Of one side against another; by the last of them all error is spent.
MOST_PAIRS = 40
#: Looks come at these numbers of pairs and at the end: more of them would find little sooner, and leave
#: less to each. With 10 pairs a level of a thousandth is within an exact test's reach.
_AT = (10, 14, 20, 28)
_POWER = 4


class Looks:
    """The looks that one test has come to, and the share of the error that each may use.

    What may have been used by then follows the time, not what was seen (Lan and DeMets 1983): its fourth
    power (of the family of Kim and DeMets 1987), so that most is left for the end, when there are most
    pairs; and from the first look on at least ``soon``, so that a large difference need not wait. The
    first comes after ``first`` pairs.
    """

    def __init__(self, first: int = _AT[0], soon: float = 0.2) -> None:
        self._at = {first, *_AT}
        self._soon = soon
        self._ended = False
        self.shares: dict[int, float] = {}

    @classmethod
    def single(cls, pairs: int) -> "Looks":
        """One look alone, at a number of pairs that was fixed beforehand."""
        looks = cls()
        looks.come_to(pairs, 1.0, last=True)
        return looks

    def come_to(self, pairs: int, progress: float, *, last: bool) -> None:
        """So many pairs are there when ``progress``, from 0 to 1, of the time is over.

        The ``last`` look, after which no more will come, may be at any number of pairs, so long as not
        what was seen made it the last.
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
        """The level at each look, by its pairs, of a test that errs with at most ``total`` over all of them.

        What a look could not use, because with so few pairs no p-value is that small, is the next one's.
        Where the total was raised on the way, looks before the last are those of the ``planned`` one that it
        was at first: what a lower level has rejected, a higher one then rejects too.
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
    """The fewest with which an exact test can reach its level, were all of it used at once.

    One more than there can be, where none can.
    """
    enough = (pairs for pairs in range(2, MOST_PAIRS + 1) if total >= smallest_p_value(pairs, alternative))
    return next(enough, MOST_PAIRS + 1)


def next_look(pairs: int) -> int:
    """The first look at this many pairs or more; without one the number itself."""
    return next((look for look in (*_AT, MOST_PAIRS) if look >= pairs), pairs)
