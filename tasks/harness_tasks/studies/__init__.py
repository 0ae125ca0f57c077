"""The kinds of study that come with the harness, one file each: pure data."""

from harness.spec import StudyKind
from harness_tasks.studies.data import DATA
from harness_tasks.studies.explanations import EXPLANATIONS
from harness_tasks.studies.federated import FEDERATED
from harness_tasks.studies.imbalance import IMBALANCE
from harness_tasks.studies.losses import LOSSES
from harness_tasks.studies.memorisation import MEMORISATION
from harness_tasks.studies.optimizers import OPTIMIZERS
from harness_tasks.studies.overfitting import OVERFITTING
from harness_tasks.studies.privacy import PRIVACY

STUDIES: dict[str, StudyKind] = {
    kind.name: kind
    for kind in (
        OPTIMIZERS,
        LOSSES,
        OVERFITTING,
        IMBALANCE,
        MEMORISATION,
        DATA,
        FEDERATED,
        EXPLANATIONS,
        PRIVACY,
    )
}
