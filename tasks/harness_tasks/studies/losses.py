"""``harness study losses``: each with a learning rate of its own, then compared on fresh seeds."""

from harness.spec import QuickForm, Range, StudyKind, StudyVariant

_RATE = Range("learning_rate", 3e-4, 1e-1)
_CLASSES = ("classification",)
_TWO_CLASSES = ("binary_classification",)
_NUMBERS = ("regression",)

LOSSES = StudyKind(
    name="losses",
    question="Which loss trains best?",
    summary="losses, each with a learning rate tuned for it: score, calibration, gradients at wrong answers",
    noun="loss",
    tasks=("mlp", "cnn", "resnet", "rnn", "tabular", "forecast"),
    variants=(
        StudyVariant(
            "cross-entropy",
            (),
            "The negative logarithm of the probability that the network gives to the right class. A sure "
            "mistake costs much, and its gradient is as large as it gets.",
            (_RATE,),
            objectives=(*_CLASSES, *_TWO_CLASSES),
        ),
        StudyVariant(
            "label smoothing",
            (),
            "Cross-entropy against a target that is a little unsure itself, so that the network is not "
            "driven to probabilities of 0 and 1 (Szegedy et al. 2016).",
            (_RATE, Range("label_smoothing", 0.02, 0.3)),
            objectives=_CLASSES,
        ),
        StudyVariant(
            "MSE of the softmax",
            ("loss=mse_softmax",),
            "The squared difference between the probabilities and the right answer. At a sure mistake its "
            "gradient vanishes, so that the network learns little from it.",
            (_RATE,),
            objectives=_CLASSES,
        ),
        StudyVariant(
            "MSE of the logits",
            ("loss=mse_logits",),
            "The squared difference between the outputs themselves and 1 or 0, as if it were regression.",
            (_RATE,),
            objectives=_CLASSES,
        ),
        StudyVariant(
            "MSE of the sigmoid",
            ("loss=mse_sigmoid",),
            "The squared difference between the probability and the right answer. At a sure mistake its "
            "gradient vanishes.",
            (_RATE,),
            objectives=_TWO_CLASSES,
        ),
        StudyVariant(
            "MSE",
            (),
            "Mean squared error: large errors count most. The best forecast under it is the mean.",
            (_RATE,),
            objectives=_NUMBERS,
        ),
        StudyVariant(
            "MAE",
            ("loss=mae",),
            "Mean absolute error: each unit of error counts the same. The best forecast under it is the "
            "median.",
            (_RATE,),
            objectives=_NUMBERS,
        ),
        StudyVariant(
            "Huber",
            ("loss=huber",),
            "Squared for small errors, absolute for large ones, so that outliers count less (Huber 1964).",
            (_RATE,),
            objectives=_NUMBERS,
        ),
    ),
    quantities=("score", "calibration error", "mean_absolute_error", "time"),
    decisive=("score",),
    sections=("effects", "reliability", "curves", "tuning", "variants"),
    title="What a loss does",
    meaning=(
        (
            "The loss says how wrong an answer is, and training makes it small. Two losses can agree on "
            "which answer is best and still teach differently: what counts is the gradient, how hard a "
            "mistake pushes the weights."
        ),
        (
            "The values of different losses cannot be compared with one another, and each needs its own "
            "learning rate. So each gets the same number of trials to find one, and all are compared by a "
            "score that none of them is: the share of right answers, or the squared and the absolute error "
            "of a forecast."
        ),
        (
            "A classifier is calibrated if it is right as often as it is sure: of the answers with 80 % "
            "confidence, 80 % should be right."
        ),
    ),
    terms={
        "calibration error": (
            "The mean difference between confidence and the share of right answers, over 15 bins of "
            "confidence (Guo et al. 2017)."
        ),
    },
    ask_next=(
        "Which loss has the best calibrated confidence, and is it also the one with the best score?",
        (
            "What happens if all losses get the same learning rate? Repeat the study with --set "
            "learning_rate=0.01."
        ),
    ),
    exercise=(
        "A network is wrong and sure of it: p = 0.001 for the right class. Compute the gradient of the "
        "cross-entropy and of the squared error of the sigmoid with respect to the logit. Which one "
        "learns from the mistake?"
    ),
    solution=(
        "The gradient of the cross-entropy is p - 1 = -0.999; that of (p - 1)² is 2 (p - 1) p (1 - p) = "
        "-0.002. The squared error hardly moves the weights at a sure mistake."
    ),
    reference="best",
    at="best",
    trials=8,
    quick=QuickForm(epochs=0.15),
)
