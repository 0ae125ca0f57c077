"""``harness study data``: the score against the number of training samples."""

from harness.spec import QuickForm, StudyKind, StudyVariant


def _share(divisor: int) -> StudyVariant:
    return StudyVariant(
        f"1/{divisor} of the data",
        (f"train_fraction={1 / divisor:g}",),
        f"Trains on 1 of {divisor} samples, for {divisor} times as many epochs: as many steps as with all.",
        data=True,
        epochs=divisor,
    )


DATA = StudyKind(
    name="data",
    question="Would more data help, and how much?",
    summary="the test loss against the number of training samples, with a fitted power law",
    noun="share of the data",
    tasks=("mlp", "cnn", "resnet", "rnn", "lm", "tabular", "forecast"),
    variants=(StudyVariant("all data", (), "The task as it is."), *map(_share, (2, 4, 8, 16))),
    quantities=("loss", "score", "time"),
    decisive=("loss",),
    sections=("scaling", "effects", "curves"),
    title="What data are worth",
    meaning=(
        (
            "The loss on new samples falls as the training data grow, at first fast, then more and more "
            "slowly. Over a wide range it follows a power law: each doubling of the data removes the same "
            "share of the loss that more data can remove at all (Hestness et al. 2017)."
        ),
        (
            "Here the task is trained on smaller and smaller shares of its data, each with the same number "
            "of steps. The weights of the best epoch count, so that overfitting on little data is not "
            "mistaken for the want of data. The fitted law says what twice the data would bring."
        ),
    ),
    terms={
        "power law": "loss = floor + factor × samples^(−exponent). More data do not remove the floor.",
    },
    at="best",
    quick=QuickForm(seeds=3, epochs=0.1),
)
