"""What displays say of certificates that are being made."""

from collections.abc import Iterator, Sequence

from harness.plugins.configuration import Configuration
from harness.report.certificate_words import certificate_label
from harness.runs.certification import Made

COMPARING = "comparing with the reference in float64"
#: A certificate that takes longer was not in the cache: its time is worth a line on a terminal.
_CACHED_SECONDS = 1.0


def certifying_text(configurations: Sequence[Configuration], task: str) -> str:
    """``certifying torch:eager, jax:jit on mlp``."""
    return f"certifying {', '.join(configuration.label for configuration in configurations)} on {task}"


def made_lines(task: str, made: Sequence[Made]) -> Iterator[str]:
    """``torch:eager on mlp: certified in 4 s``, of each that was not in the cache."""
    for configuration, certificate, seconds in made:
        if seconds > _CACHED_SECONDS:
            yield f"{configuration.label} on {task}: {certificate_label(certificate)} in {seconds:.0f} s"
