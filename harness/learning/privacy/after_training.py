"""Work after a training that concerns privacy: the claim of DP-SGD, and the losses of training samples."""

from collections.abc import Iterator
from pathlib import Path

from harness.core.documents.numbers import NOTHING
from harness.core.runs.extensions import AfterTraining
from harness.core.runs.record import Record
from harness.learning.privacy.record import MEMBERSHIP, PRIVACY, privacy_claim
from harness.spec.task import Adversarial, Task


class Claim(AfterTraining):
    """Computes the epsilon that DP-SGD claims of the steps that were made."""

    name = PRIVACY
    title = "Differential privacy"
    phase = "computing epsilon"
    operation = "harness.learning.privacy.accountant:operation"

    def applies(self, task: Task) -> bool:
        """Check whether the task is trained by DP-SGD."""
        return task.privacy is not None

    def require(self, task: Task) -> None:
        """Require dp-accounting where epsilon is finite."""
        from harness.learning.privacy.accountant import require_accountant

        require_accountant(task.privacy)

    def arguments(self, record: Record, last_state: Path) -> dict[str, object]:
        """Return the number of samples and steps, and the expected samples of a step."""
        return {
            "samples": record.dataset.samples["train"],
            "batch_size": record.batch_size,
            "steps": sum(block.steps for block in record.blocks),
        }

    def facts(self, record: Record) -> dict[str, object]:
        """Return the claim, its conditions, and the audits that it has passed."""
        claim = privacy_claim(record)
        if claim is None:
            return {}
        return {
            "epsilon": f"{claim.text} at delta = {claim.delta:g}",
            "by Rényi": "∞" if claim.epsilon_rdp is None else f"{claim.epsilon_rdp:.3g}; {claim.conversion}",
            "of": f"{claim.neighbours}; {claim.steps:,} steps, sampling rate {claim.sampling_rate:.4g}",
            "noise, clip": f"{claim.noise:g}, {claim.clip:g}",
            "accountant": claim.accountant or NOTHING,
            "audit of one step": (record.certificate and record.certificate.audit) or NOTHING,
            "audit of the training": _audit_of_canaries(record),
            "warning": claim.warning or None,
        }

    def remarks(self, record: Record) -> Iterator[str]:
        """Yield the claim, and a warning if it is worthless."""
        claim = privacy_claim(record)
        if claim is None:
            return
        yield (
            f"DP-SGD of {record.task.name}: epsilon = {claim.text} at delta = {claim.delta:g} (noise "
            f"{claim.noise:g}, clip {claim.clip:g}, {claim.steps:,} steps at sampling rate "
            f"{claim.sampling_rate:.4g})."
        )
        if claim.warning:
            yield f"Warning: {claim.warning}"


def _audit_of_canaries(record: Record) -> str | None:
    """Return the lower bound that the canaries of the run give; None without canaries."""
    from harness.learning.privacy.membership import audit  # NumPy is behind it

    bound = audit(record)
    if bound is None:
        return None
    guesses = f"{bound.right} of {bound.guesses} guesses which canaries took part were right"
    return f"epsilon is at least {bound.epsilon:.2f}: {guesses}"


class Membership(AfterTraining):
    """Keeps the losses of some training samples, and of canaries, with the weights after the last step."""

    name = MEMBERSHIP
    title = "Membership inference"
    phase = "scoring training samples"
    operation = "harness.learning.privacy.membership:operation"

    def applies(self, task: Task) -> bool:
        """Check whether single samples have scores: those of a generator have none."""
        return not isinstance(task.objective, Adversarial)

    def arguments(self, record: Record, last_state: Path) -> dict[str, object] | None:
        """Return the file of the last state and the limit on scored samples; None if nothing is scored."""
        if not record.epochs:
            return None
        return {"state": str(last_state), "samples": record.evaluation.samples}


CLAIM, LOSSES = Claim(), Membership()
