"""The type of losses in records and messages; imports nothing, so that records can be listed fast."""

#: For each step its loss, or the discriminator's and the generator's; None for a loss that is not finite.
Losses = list[list[float | None]]
