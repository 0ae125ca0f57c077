"""``harness study memorisation``: whether a generator copies its training images."""

from harness.spec import QuickForm, StudyKind, StudyVariant

MEMORISATION = StudyKind(
    name="memorisation",
    question="Does the generator copy its training images?",
    summary="a generator trained on all images beside one trained longer on few: are its images copies?",
    noun="recipe",
    tasks=("gan",),
    variants=(
        StudyVariant("all images", (), "The task as it is."),
        StudyVariant(
            "few images",
            ("train_fraction=0.05",),
            "A twentieth of the images, in five times as many steps: the generator can make its "
            "discriminator content by repeating them.",
            data=True,
            epochs=100,
        ),
    ),
    quantities=("distance ratio", "copying", "called real", "score", "time"),
    decisive=("distance ratio",),
    sections=("samples", "effects", "frechet", "variants"),
    title="What copying is",
    meaning=(
        (
            "A generator should make new images that look as if they came from the source of its training "
            "images. One that repeats training images also looks good, and has learned nothing."
        ),
        (
            "The test: each generated image is compared with the nearest training image, and so is each "
            "image that was held out. If generated images are nearer to training images than new real ones "
            "are, the generator copies. The distance ratio is the median of the one divided by the median "
            "of the other: about 1 for new images, below 1 for copies."
        ),
        (
            "Distances are taken between principal components of the images, as for the Fréchet distance: in "
            "pixels, noise would hide copies. Blurred images are near to everything: so the nearest held-out "
            "image is shown beside the nearest training image."
        ),
    ),
    terms={
        "Fréchet distance": (
            "How far the distribution of generated images is from that of real ones, in mean and covariance. "
            "Lower is better; the epoch with the lowest one on validation images is the best epoch."
        ),
        "copying statistic": (
            "A standardised rank test of the same distances (Meehan et al. 2020). Below about −3 the "
            "generated images are certainly nearer to training images than new real ones are."
        ),
        "called real": "The share of generated images that the discriminator takes for real ones.",
    },
    at="last",
    quick=QuickForm(
        seeds=3, epochs=0.15, dataset="digits", assignments=("width=0.25", "learning_rate=0.002")
    ),
)
