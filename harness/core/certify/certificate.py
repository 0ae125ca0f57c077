"""The certificate of a configuration and a task: the result of comparing it with the reference."""

import msgspec


class Certificate(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the configuration did the reference's work in float64; if not, ``reason`` says why.

    ``worst`` is the largest relative deviation over all cases; ``worst_as_timed`` that of the first losses
    in the run's own precision, whose tolerance is far larger. None where nothing was compared.
    """

    certified: bool
    reason: str = ""
    worst: float | None = None
    worst_as_timed: float | None = None
    dropout: bool | None = None
    """Whether the dropout of the task was tested, by statistics; None where the task uses none."""
    agrees_in_float32: bool = False
    """Whether the backend, which has no float64, reproduces the first losses of the cases in float32.

    That is weaker than a certificate: it is shown, and nothing is ranked by it.
    """
    cases: tuple[str, ...] = ()
    """The names of the cases that were compared: those of the rules that the run uses. Empty in old ones."""
    possible: bool = True
    """False if the task's model is written for one framework alone, so that nothing can be compared."""
    audit: str = ""
    """What an audit by canaries found of the noise of DP-SGD; empty for other trainings."""

    @property
    def lacks_dropout(self) -> bool:
        """Whether the configuration is certified, but not for the dropout that its task uses."""
        return self.certified and self.dropout is False


# The type of losses in records and messages; imports nothing, so that records can be listed fast.

#: For each step its loss, or the discriminator's and the generator's; None for a loss that is not finite.
Losses = list[list[float | None]]
