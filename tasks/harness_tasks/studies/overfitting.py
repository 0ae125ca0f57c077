"""``harness study overfitting``: where it begins, and which remedy of which strength helps."""

from harness.spec import QuickForm, Range, StudyKind, StudyVariant

OVERFITTING = StudyKind(
    name="overfitting",
    question="Does the network overfit, and what stops it?",
    summary="remedies for overfitting, each of a strength found on validation data, and the worth of data",
    noun="remedy",
    tasks=("mlp", "cnn", "resnet", "rnn", "lm", "tabular", "forecast"),
    variants=(
        StudyVariant("plain", (), "The task as it is."),
        StudyVariant(
            "dropout",
            (),
            "Switches off a random share of the units in each training step, so that the network cannot rely "
            "on any single one.",
            (Range("dropout", 0.1, 0.7, log=False),),
        ),
        StudyVariant(
            "l2",
            (),
            "Adds the squared size of the weights to the loss. Large weights become expensive, and the "
            "network changes more gently between samples.",
            (Range("l2", 3e-4, 3e-2),),
        ),
        StudyVariant(
            "augmentation",
            ("flip=true", "crop=4"),
            "Mirrors and shifts the training images at random, so that the network rarely sees exactly the "
            "same image twice.",
        ),
        StudyVariant(
            "smaller network",
            (),
            "Makes every hidden layer narrower. A smaller network has less room to memorise, but may also "
            "learn less.",
            (Range("width", 0.05, 0.7),),
        ),
        StudyVariant(
            "half the data",
            ("train_fraction=0.5",),
            "Trains on half of the samples. This is no remedy: it shows what more data would change.",
            data=True,
        ),
    ),
    quantities=("score", "loss", "gap", "time"),
    decisive=("loss", "score"),
    sections=("onset", "effects", "curves", "variants", "more data", "tuning"),
    title="What overfitting is",
    meaning=(
        (
            "A network learns from training samples, but it has to work on new ones. Some samples are "
            "therefore held out: validation samples, which show during training how well the network does "
            "on new data, and test samples, which are used once, at the end."
        ),
        (
            "At first the network gets better on both. Later it may begin to memorise the training samples, "
            "with their noise: the training loss falls further, and the validation loss rises. That is "
            "overfitting. The difference between the two is the generalisation gap."
        ),
        (
            "The loss measures how wrong the network is and how sure it is of it; the accuracy counts only "
            "how many answers are right. A network that becomes more and more sure of the same mistakes "
            "shows it in the loss first. A remedy helps if one of the two certainly improves and the other "
            "does not certainly get worse."
        ),
    ),
    terms={
        "overfitting begins": (
            "The first epoch from which the validation loss stays at least 5 % above its lowest value to the "
            "end, while the training loss keeps below what it was there."
        ),
    },
    ask_next=(
        (
            "Does a remedy still help with twice the data? Compare `--set train_fraction=0.5` with the study "
            "as it is."
        ),
        "Which remedies work together? Train one with the options of another, by `--set`.",
        "Does a wider network overfit earlier? Repeat the study with `--set width=2`.",
    ),
    exercise=(
        "In the picture, find the epoch at which you would stop the training of plain, without the test "
        "data. How much test accuracy is lost by training on to the end?"
    ),
    solution=(
        "Stop where the validation loss is lowest: its epoch is marked by a diamond. The row of early "
        "stopping in the table has the change of the test scores; if its interval contains 0, nothing is "
        "certainly lost."
    ),
    criterion="loss",
    early_stopping=True,
    trials=8,
    quick=QuickForm(epochs=0.4, variants=("plain", "dropout", "l2", "smaller network")),
)
