"""``harness study optimizers``: each tuned with equal effort, then compared on fresh seeds."""

from harness.spec import QuickForm, Range, StudyKind, StudyVariant

_MOMENTUM = Range("momentum", 0.5, 0.99, log=False)

OPTIMIZERS = StudyKind(
    name="optimizers",
    question="Which optimizer trains best?",
    summary="optimizers, each tuned with the same number of trials, then compared on fresh seeds",
    noun="optimizer",
    tasks=("mlp", "cnn", "resnet", "rnn", "lm", "tabular", "forecast"),
    variants=(
        StudyVariant(
            "adam",
            ("optimizer=adam",),
            "Divides the mean of recent gradients by the root of their mean square: each weight gets a step "
            "of about the learning rate, however small its gradient (Kingma and Ba 2015).",
            (Range("learning_rate", 1e-4, 1e-1), Range("beta_1", 0.8, 0.99, log=False)),
        ),
        StudyVariant(
            "adamw",
            ("optimizer=adam",),
            "Adam, and each step also shrinks the weights a little (Loshchilov and Hutter 2019).",
            (Range("learning_rate", 1e-4, 1e-1), Range("weight_decay", 1e-3, 1.0)),
        ),
        StudyVariant(
            "rmsprop",
            ("optimizer=rmsprop",),
            "Divides each gradient by the root of its recent mean square (Hinton 2012).",
            (Range("learning_rate", 1e-4, 1e-1),),
        ),
        StudyVariant(
            "momentum",
            ("optimizer=sgd",),
            "Stochastic gradient descent that goes on in the direction of earlier steps, as a ball rolls on.",
            (Range("learning_rate", 1e-3, 1.0), _MOMENTUM),
        ),
        StudyVariant(
            "sgd",
            ("optimizer=sgd", "momentum=0"),
            "Stochastic gradient descent: a step against the gradient of each batch.",
            (Range("learning_rate", 1e-3, 2.0),),
        ),
        StudyVariant(
            "gd",
            # So few steps leave no room for the warm-up that some tasks have.
            ("optimizer=gd", "momentum=0", "warmup_steps=0"),
            "Gradient descent: one step an epoch, against the mean gradient of all training samples. In "
            "equal epochs it makes far fewer steps than the others.",
            (Range("learning_rate", 1e-2, 5.0),),
        ),
    ),
    quantities=("score", "loss", "epochs to target", "time to target", "time"),
    decisive=("score",),
    sections=("ranking", "effects", "curves", "target", "tuning", "variants"),
    title="What is compared",
    meaning=(
        (
            "An optimizer turns gradients into changes of the weights. A comparison of optimizers compares "
            "their settings as well: with a bad learning rate the best optimizer loses against the worst."
        ),
        (
            "So each optimizer gets the same number of trials. A trial is a training with settings drawn "
            "evenly from fixed ranges; validation data, which no training uses, choose the best setting of "
            "each. Only these winners are trained again, on fresh seeds, and compared on the test data."
        ),
        (
            "An equal number of trials does not make the comparison neutral: an optimizer with more "
            "settings has a larger space to search with the same effort, the ranges are a choice, and with "
            "many more trials the order may change. The page shows how much each optimizer depends on being "
            "tuned."
        ),
    ),
    terms={
        "trial": "One training with one setting, to find out how good the setting is.",
        "target": (
            "A validation score that was fixed before the final trainings: half of the optimizers had "
            "reached it in their best trial. The fewer epochs an optimizer needs to reach it, the faster."
        ),
    },
    ask_next=(
        "Would the order change with more trials? Repeat the study with `--trials 24`.",
        "Does it hold for another network? Repeat the study with `--task cnn` or `--task lm`.",
        (
            "How much does each depend on its learning rate? Look at the width of the good range in the "
            "chart of the trials."
        ),
    ),
    exercise=(
        "Before you look at the table: which optimizers do you expect these seeds to distinguish, "
        "and which not? Then add a variant that must be equal, with `--variants adam,again=adam,sgd`, and "
        "read its verdict."
    ),
    solution=(
        "Variants whose means differ by less than they vary between seeds cannot be distinguished. adam and "
        "again are the same optimizer with settings that were drawn apart: a verdict that one is worse "
        "than the other would be an error, which the intervals allow in at most 5 of 100 studies."
    ),
    reference="best",
    at="best",
    criterion="score",
    trials=12,
    quick=QuickForm(epochs=0.15),
)
