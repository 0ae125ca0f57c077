"""``harness study explanations``: whether maps of networks trained apart agree, and what they depend on."""

from harness.spec import QuickForm, StudyKind, StudyVariant

EXPLANATIONS = StudyKind(
    name="explanations",
    question="Do explanations agree between frameworks as much as between seeds?",
    summary="maps of networks trained apart: agreement, randomised layers, deletion and insertion",
    noun="recipe",
    tasks=("mlp", "cnn", "rnn", "tabular", "resnet"),
    variants=(
        StudyVariant("plain", (), "The task as it is."),
        StudyVariant(
            "weight decay",
            ("weight_decay=0.1",),
            "Decoupled weight decay keeps kernels small, so that the network follows fewer details of its "
            "inputs.",
        ),
    ),
    quantities=("score", "deletion gain", "insertion gain", "survival", "time"),
    decisive=("score", "insertion gain"),
    sections=("explanations", "effects", "variants"),
    title="What an explanation can say",
    meaning=(
        (
            "A map says which inputs an answer depends on. It is computed from gradients, and with the same "
            "weights it is the same in every framework: harness explain proves that. But who trains a "
            "network again gets other weights, and another map."
        ),
        (
            "So the study trains networks apart, with several seeds in each framework, and explains the same "
            "test samples with each. If maps of two frameworks differ as much as those of two seeds of one "
            "framework, the framework does not matter. If maps of two seeds hardly agree, a single map says "
            "more about the seed than about the data."
        ),
        (
            "A map must depend on what the network has learned. So layers are re-initialised, from the last "
            "to the first: a map that stays as it was shows the picture, as an edge detector does, and "
            "explains nothing (Adebayo et al. 2018)."
        ),
        (
            "Last, the positions that a map calls relevant are removed first, or restored first: the output "
            "should fall, or rise, faster than in a random order (Petsiuk et al. 2018)."
        ),
    ),
    terms={
        "map": "A number for each position of a sample, such as a pixel, a step, a feature or a character.",
        "rank correlation": (
            "Spearman's: 1 where two maps put all positions in the same order, 0 where they have none in "
            "common."
        ),
        "insertion gain": (
            "The mean distance between the curve of the output, when relevant positions are restored first, "
            "and that of a random order; above 0 the map says more than chance."
        ),
        "deletion gain": "The same where relevant positions are removed first.",
    },
    ask_next=(
        "Does another method agree more between seeds? See the table of agreement.",
        "Do maps agree more after longer training? Repeat the study with more `--epochs`.",
    ),
    exercise=(
        "Two networks with the same accuracy explain the same image by different maps. What does one map "
        "say about the image, and how could you find a statement that does not depend on the seed?"
    ),
    solution=(
        "One map says what this one network uses. A statement about the data needs several seeds: average "
        "their maps, and keep only what most of them share."
    ),
    at="best",
    quick=QuickForm(epochs=0.1, dataset="digits"),
)
