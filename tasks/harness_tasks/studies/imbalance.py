"""``harness study imbalance``: rare classes, and what helps."""

from harness.spec import StudyKind, StudyVariant

_THINNED = "imbalance=0.1"

IMBALANCE = StudyKind(
    name="imbalance",
    question="Are rare classes recognised, and what helps?",
    summary="half of the classes thinned to a tenth, and class weights or oversampling against it",
    noun="remedy",
    tasks=("tabular", "mlp", "cnn", "resnet", "rnn"),
    variants=(
        StudyVariant("thinned", (_THINNED,), "Half of the classes keep a tenth of their training samples."),
        StudyVariant(
            "class weights",
            (_THINNED, "rebalance=weights"),
            "Counts each sample of a rare class more in the loss.",
        ),
        StudyVariant(
            "oversampling",
            (_THINNED, "rebalance=oversample"),
            "Draws the samples of rare classes more often.",
        ),
        StudyVariant(
            "all data",
            (),
            "Trains on the data before any class was thinned. This is no remedy: it shows what is lost.",
            data=True,
        ),
    ),
    quantities=("balanced_accuracy", "rare recall", "rare precision", "time"),
    decisive=("balanced_accuracy",),
    sections=("effects", "recalls", "trade-off", "curves", "variants"),
    title="What imbalance does",
    meaning=(
        (
            "Here half of the classes were thinned to a tenth of their training samples. A network that "
            "hardly ever sees a class can ignore it and still be right most of the time."
        ),
        (
            "The balanced accuracy shows it: the share of right answers is computed for each class, and the "
            "mean over the classes is taken, so that a rare class counts as much as a frequent one."
        ),
        (
            "A remedy makes the network name rare classes more often. It then finds more of their samples "
            "(recall), but more of its answers may be wrong (precision)."
        ),
    ),
    terms={
        "balanced accuracy": "The mean of the recalls of all classes: a rare one counts as much as another.",
        "recall": "Of the samples of a class, the share that the network recognises.",
        "precision": "Of the samples that the network takes for a class, the share that belong to it.",
    },
    ask_next=(
        "What does a remedy cost the frequent classes? Compare their recall with and without it.",
        (
            "How rare may a class be? Repeat the study with `--task cnn`, or with another imbalance in a "
            "study of your own."
        ),
    ),
    exercise=(
        "A data set has 950 samples of class A and 50 of class B. A network answers A always. What are "
        "its accuracy and its balanced accuracy? Which of the two would you report?"
    ),
    solution=(
        "The accuracy is 95 %; the balanced accuracy is the mean of the recalls 100 % and 0 %, 50 %, as "
        "good as guessing. Only the second shows that B is never found."
    ),
    at="best",
)
