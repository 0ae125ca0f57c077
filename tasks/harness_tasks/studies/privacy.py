"""``harness study privacy``: what a network betrays of its training samples, and what protects them."""

from harness.spec import QuickForm, StudyKind, StudyVariant


def _private(noise: float, meaning: str) -> StudyVariant:
    return StudyVariant(f"DP-SGD noise {noise:g}", (f"dp_noise={noise:g}", "dp_clip=1.0"), meaning)


PRIVACY = StudyKind(
    name="privacy",
    question="What does the network betray of its training samples, and what does protection cost?",
    summary="accuracy and membership inference against epsilon of DP-SGD; dropout and L2 beside it",
    noun="protection",
    tasks=("mlp", "cnn", "tabular"),
    variants=(
        StudyVariant("none", (), "The task as it is."),
        StudyVariant("dropout", ("dropout=0.5",), "Regularises. It proves nothing, and may betray less."),
        StudyVariant("l2", ("l2=0.003",), "Regularises. It proves nothing, and may betray less."),
        _private(0.5, "Each sample's gradient is clipped to a norm of 1, and a little noise is added."),
        _private(1.0, "As much noise as one sample can change."),
        _private(2.0, "Twice as much noise as one sample can change."),
    ),
    quantities=("score", "membership AUC", "gap", "epsilon"),
    decisive=("membership AUC", "score"),
    sections=("effects", "privacy", "curves", "variants"),
    title="What privacy of training data means",
    meaning=(
        (
            "A network that has learned its training samples by heart has a lower loss on them than on new "
            "ones. Who sees the losses can then tell who was in the training data: membership inference. The "
            "area under its curve (AUC) is the chance of telling a training sample from a test sample; 0.5 "
            "is guessing."
        ),
        (
            "DP-SGD bounds what any attack can find, also attacks that nobody has thought of. The gradient "
            "of each sample is clipped, so that none has more influence than the others, and noise hides "
            "what is left. Epsilon is the bound: with epsilon the odds of any conclusion about one sample "
            "change at most by the factor e^epsilon, but for a probability of about delta."
        ),
        (
            "Protection costs accuracy: noise makes steps worse. Dropout and L2 make the network memorise "
            "less. They may do as well against this attack, and prove nothing about others."
        ),
    ),
    terms={
        "membership AUC": (
            "The chance that a training sample has a lower loss than a test sample, ties counted half: 0.5 "
            "for a network that betrays nothing to this attack."
        ),
        "epsilon": (
            "An upper bound, by dp-accounting, on what any attack can conclude about one sample. Variants "
            "without DP-SGD have none: it is infinite."
        ),
    },
    ask_next=(
        "How does epsilon fall with more noise, and what does the last step cost?",
        "Does a larger network betray more? Repeat the study with `--set width=2`.",
    ),
    exercise=(
        "An attack tells training from test samples with an AUC of 0.52. Does that prove that the network "
        "is private? Which row of the table proves something, and what?"
    ),
    solution=(
        "No: another attack may find more. Only DP-SGD bounds every attack: with its epsilon, the odds of "
        "any conclusion about one sample change at most by the factor e^epsilon, but for a probability of "
        "about delta."
    ),
    at="last",
    quick=QuickForm(epochs=0.12),
)
