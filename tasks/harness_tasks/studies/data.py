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
    ask_next=(
        (
            "Is it cheaper to collect more data or to find a better network? Compare with the study of "
            "optimizers or overfitting."
        ),
        "Does a larger network use data better? Repeat the study with `--set width=2`.",
    ),
    exercise=(
        "The loss is 0.50 with 1,000 samples and 0.40 with 2,000. Suppose that it has no floor and "
        "follows a power law. What do you expect with 4,000, and what if the floor is 0.30?"
    ),
    solution=(
        "Without a floor each doubling multiplies the loss by 0.8: 0.32. With a floor of 0.30 the part "
        "above it halves from 0.20 to 0.10, and again to 0.05: 0.35. So a floor makes more data worth "
        "less."
    ),
    at="best",
    quick=QuickForm(epochs=0.1),
)
