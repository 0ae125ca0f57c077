"""How the texts of a language model were sampled, as a sentence."""

from harness.training.outcome_records import SampledTexts


def sampling(sampled: SampledTexts) -> str:
    """``Continued from a line end at temperature 0.8``."""
    start = "a line end" if sampled.start == "\n" else repr(sampled.start)
    return f"Continued from {start} at temperature {sampled.temperature:g}"
