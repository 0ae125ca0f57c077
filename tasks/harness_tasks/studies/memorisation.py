"""``harness study memorisation``: whether a generator copies its training images."""

from harness.spec import QuickForm, StudyKind, StudyVariant

MEMORISATION = StudyKind(
    name="memorisation",
    question="Does the generator copy its training images?",
    summary="a generator trained on all images beside one trained on few: are its images copies?",
    noun="recipe",
    tasks=("gan",),
    variants=(
        StudyVariant("all images", (), "The task as it is."),
        StudyVariant(
            "few images",
            ("train_fraction=0.05",),
            "A twentieth of the images, in as many steps: each is seen twenty times as often, and the "
            "generator can make its discriminator content by repeating them.",
            data=True,
            epochs=20,
        ),
    ),
    quantities=("memorisation ratio", "called real", "score", "time"),
    decisive=("memorisation ratio",),
    sections=("effects", "samples", "frechet", "variants"),
    title="What copying is",
    meaning=(
        (
            "A generator should make new images that look as if they came from the source of its training "
            "images. One that repeats training images also looks good, and has learned nothing."
        ),
        (
            "The test: look for the real image nearest to each generated one, among training images and "
            "images that were held out. A generator of new images is as near to the one kind as to the "
            "other. One that copies has training images as its neighbours: the memorisation ratio, the share "
            "of held-out images among these neighbours relative to chance, is about 1 for new images, 0.75 "
            "where a quarter is copied, and 0 where all are."
        ),
        (
            "The answer is yes where the interval of the ratio is below 0.9, otherwise no where it is above "
            "0.75: no sign that a quarter is copied. A bad generator is no copier: its images are far from "
            "both kinds, and the ratio stays about 1. So look at the Fréchet distance and at the images, too."
        ),
    ),
    terms={
        "Fréchet distance": (
            "How far the distribution of generated images is from that of real ones, in mean and covariance. "
            "Lower is better; the epoch with the lowest one on validation images is the best epoch."
        ),
        "memorisation ratio": (
            "Of the real images that are nearest to generated ones, the share that was held out, divided by "
            "the share expected by chance. Distances are taken between principal components of the images, "
            "as for the Fréchet distance: in pixels, noise would hide copies."
        ),
        "called real": "The share of generated images that the discriminator takes for real ones.",
    },
    ask_next=(
        (
            "Does the answer change with still fewer images, or with more steps? Repeat the study with "
            "`--epochs 100`."
        ),
        (
            "Does the discriminator know its training images? Compare the share that it calls real with that "
            "of held-out images."
        ),
    ),
    exercise=(
        "A generator makes grey noise. What is its memorisation ratio, and what is its Fréchet distance? "
        "Why does the page show both?"
    ),
    solution=(
        "Noise is equally far from training and held-out images, so that the ratio is about 1: no copies. "
        "The Fréchet distance is that of noise, the upper dashed line: a bad generator. A ratio of 1 is "
        "good only together with a small distance."
    ),
    at="last",
    quick=QuickForm(epochs=0.3, dataset="digits", assignments=("width=0.25", "learning_rate=0.002")),
)
