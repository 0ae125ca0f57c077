"""The page of a study: it explains the question, says what was trained, and what each variant did."""

import dataclasses
import re

import msgspec
import pytest
from support.made_records import made_record
from support.made_runs import study_findings_of
from support.made_study import RISES, STUDY, made_study, made_study_records
from support.outline import outline

from harness.core.documents.document import Figures, Folded, Section
from harness.learning.runs.grouping import grouped
from harness.learning.runs.rows import rows_of
from harness.learning.runs.run_curves import Run
from harness.learning.study.answer import changes_text, headline, ranked, study_sentence, study_table
from harness.learning.study.effects import study_findings
from harness.learning.study.page import study_document
from harness.learning.study.parts import parts_of
from harness.learning.study.parts.comparison import effect_charts
from harness.learning.study.parts.curves import more_data
from harness.learning.study.parts.tuning import edge_sentences
from harness.learning.study.plan import StudyOptions, StudyPlan
from harness.learning.study.record import Trial, Variant
from harness_tasks.studies import STUDIES as KINDS

JARGON = re.compile(r"\b(GL|PQ|Pareto|Prechelt)\b")


def test_the_page_explains_itself_without_jargon():
    assert not JARGON.search(outline(study_document([made_study()])))


def without_certificates():
    records = (msgspec.structs.replace(record, certificate=None) for record in made_study_records())
    (finding,) = study_findings_of(*records, studies=[STUDY])
    return finding


STUDIES = {
    "overfits": made_study(),
    "one seed": made_study(seeds=1),
    "not certified": without_certificates(),
}


@pytest.mark.parametrize("name", STUDIES)
def test_sentences(name, snapshot):
    study = STUDIES[name]
    assert [study_sentence(study), more_data(study)] == snapshot


def test_one_seed_has_no_intervals():
    study = STUDIES["one seed"]
    assert {effect.verdict for effect in study.effects[1:]} == {"few", "control"}
    assert not any("95 %" in figure.caption for figure in effect_charts(study, "part-1"))
    assert "[" not in " ".join(changes_text(study, effect) for effect in study.effects[1:])


def test_a_setting_at_the_end_of_its_range_says_where_to_search(snapshot):
    variants = [
        msgspec.structs.replace(each, assignments=["l2=0.03"]) if each.name == "l2" else each
        for each in STUDY.variants
    ]
    trials = [Trial("l2", ["l2=0.03"], "9" * 64, 1.0)] * 4
    assert edge_sentences(msgspec.structs.replace(STUDY, variants=variants, trials=trials)) == snapshot


def _titles(nodes):
    """The titles of sections and folded parts, in order; folded ones in brackets."""
    for node in nodes:
        if isinstance(node, Section):
            yield node.title
            yield from _titles(node.nodes)
        elif isinstance(node, Folded):
            yield f"({node.title})"


def test_the_page_of_a_short_form_fits_a_lesson():
    study = msgspec.structs.replace(STUDY, quick=True)
    (finding,) = study_findings_of(*made_study_records(), studies=[study])
    document = study_document([finding])
    assert list(_titles(document.nodes)) == [
        *("What was trained", "Terms", "What to ask next", "Exercise", "(Solution)"),
        *("(What overfitting is)", "(All parts of the study)", "(Method, as a paragraph for a paper)"),
    ]
    pictures = [node for node in document.nodes if isinstance(node, Figures)]
    assert [len(each.make()) for each in pictures] == [1]
    assert not any("[" in text for text in document.headline)  # brackets stand in the table
    assert study.id == STUDY.id


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_every_included_kind_has_an_exercise_with_a_solution(kind):
    assert kind.ask_next
    assert kind.exercise
    assert kind.solution


def _optimizers(losses, *, diverged=(), seeds=range(4)):
    """The finding of a study of optimizers with these test accuracies, in points, and validation losses."""
    kind, names = KINDS["optimizers"], list(losses)
    variants = [Variant(name, [], f"{number}" * 64, 4) for number, name in enumerate(names)]
    study = msgspec.structs.replace(STUDY, kind=kind, epochs=4, variants=variants, reference=names[-1])
    records = [
        made_record(
            seed=seed,
            accuracy=(accuracy + 0.1 * ((seed * (number + 2)) % 4)) / 100,
            task=msgspec.structs.replace(made_record().task, sha256=f"{number}" * 64),
            held_out=held_out,
            train=(1.0,) * len(held_out),
        )
        for number, (accuracy, held_out) in enumerate(losses.values())
        for seed in seeds
    ]
    ended = [
        msgspec.structs.replace(each, status="diverged")
        for each in records
        if (names[int(each.task.sha256[0])], each.seed) in diverged
    ]
    left = [each for each in records if (names[int(each.task.sha256[0])], each.seed) not in diverged]
    (finding,) = study_findings(study, grouped(rows_of(map(Run.of, left)).rows), ended)
    return finding


_FALLING = (3.0, 2.0, 1.5, 1.4)


def test_the_headline_names_the_set_that_may_be_the_best_whatever_validation_data_preferred():
    finding = _optimizers({"adam": (90.0, _FALLING), "sgd": (90.2, _FALLING), "gd": (57.15, _FALLING)})
    assert finding.study.reference == "gd"
    assert headline(finding) == "cnn on digits: sgd and adam are equally good; gd is worse by 33.2 points"
    table = {row[0]: row for row in study_table(finding).rows}
    column = study_table(finding).headers.index("test accuracy: from the best")
    assert (table["gd"][3].text, table["gd"][column].text[:6]) == ("▼ worse", "−33.2 ")
    best = _optimizers({"adam": (90.0, _FALLING), "gd": (57.0, _FALLING)})
    assert headline(best) == "cnn on digits: adam is the best optimizer"


@pytest.mark.parametrize(
    ("seeds", "said"), [({0}, "gd diverged with 1 of 4 seeds"), (set(range(4)), "gd diverged")]
)
def test_a_variant_that_diverged_is_named_and_not_ranked(seeds, said):
    losses = {"adam": (90.0, _FALLING), "sgd": (80.0, _FALLING), "gd": (95.0, _FALLING)}
    finding = _optimizers(losses, diverged={("gd", seed) for seed in seeds})
    assert headline(finding) == f"cnn on digits: adam is the best optimizer; {said}"
    assert [effect.variant.name for effect, _ in ranked(finding)] == ["adam", "sgd"]
    assert "gd" in [row[0] for row in study_table(finding).rows]


def test_a_curve_that_leaves_the_range_of_the_others_is_cut_and_named():
    rising = (3.0, 100.0, 450.0, 300.0)
    finding = _optimizers({"adam": (90.0, _FALLING), "sgd": (89.0, _FALLING), "gd": (50.0, rising)})
    (part,) = [each for each in parts_of(finding.study.kind) if each.name == "curves"]
    figure = next(iter(part.charts(finding, "part")))
    assert "gd rose to 450" in figure.caption
    assert max(row["mean"] for row in figure.chart["data"]["values"]) == 3.0


def test_a_caption_says_that_curves_turn_upwards_only_where_they_do():
    (part,) = [each for each in parts_of(STUDY.kind) if each.name == "curves"]
    steady = made_study(rises=RISES | {"plain": (0.0, 1.0, 0.6)})
    captions = {
        name: next(iter(part.charts(study, "part"))).caption
        for name, study in (("overfits", STUDIES["overfits"]), ("does not overfit", steady))
    }
    assert "plain and l2 turn upwards" in captions["overfits"]
    assert "l2 turns upwards" in captions["does not overfit"]


def _memorisation(ratios):
    kind = KINDS["memorisation"]
    variants = [Variant(each.name, [], f"{number}" * 64, 4) for number, each in enumerate(kind.variants)]
    study = msgspec.structs.replace(STUDY, kind=kind, epochs=4, variants=variants)
    records = [
        made_record(
            seed=seed,
            task=msgspec.structs.replace(made_record().task, sha256=f"{number}" * 64),
            test_at_last={
                "loss": 1.0,
                "memorization_ratio": ratio + seed / 100,
                "memorization_ratio_error": 0.05,
            },
            held_out=_FALLING,
            train=_FALLING,
        )
        for number, ratio in enumerate(ratios)
        for seed in range(3)
    ]
    (finding,) = study_findings_of(*records, studies=[study])
    return finding


@pytest.mark.parametrize(
    ("ratio", "verdict"), [(0.0, "yes"), (0.5, "yes"), (0.8, "undecided"), (0.98, "no"), (3.0, "no")]
)
def test_whether_a_generator_copies_is_answered_for_each_variant(ratio, verdict):
    finding = _memorisation((1.0, ratio))
    assert [effect.verdict for effect in finding.effects] == ["no", verdict]
    assert finding.effects[1].levels["memorisation ratio"].low >= 0
    words = {"yes": "few images: the generator copies", "undecided": "few images: undecided"}
    assert words.get(verdict, "all images and few images: no sign of copies") in headline(finding)


def test_variants_of_memorisation_make_the_same_number_of_steps():
    options = StudyOptions(
        kind=KINDS["memorisation"], task="gan", backends=["torch"], dataset="digits", seeds=1
    )
    whole, few = StudyPlan(options, lambda *_: None).runs({})
    samples = 1293  # of digits
    assert whole.task.epochs * (samples // 64) == few.task.epochs * (round(0.05 * samples) // 64)


def _headline_of(verdicts):
    """The headline of a study whose variants have these verdicts, the reference first."""
    study = made_study()
    judged = [
        dataclasses.replace(effect, verdict=verdict)
        for effect, verdict in zip(study.effects, verdicts, strict=False)
    ]
    return headline(dataclasses.replace(study, study=_without_onset(study), effects=judged))


def _without_onset(study):
    kind = msgspec.structs.replace(study.study.kind, sections=("effects",))
    return msgspec.structs.replace(study.study, kind=kind)


def test_the_headline_names_equal_variants_and_one_that_is_left_alone():
    assert _headline_of([None, "equal", "equal"]).endswith("dropout and l2 are as good as plain")
    alone = _headline_of([None, "diverged", "diverged"])
    assert alone.partition(": ")[2].startswith("there is nothing to compare plain with")


def _of_two_quantities(signs):
    """A study that two quantities decide, of which variants are certainly better (1) or worse (-1)."""
    words = {(): None, (1,): "better", (-1,): "worse", (-1, 1): "mixed"}
    study = made_study()
    judged = [
        dataclasses.replace(
            effect,
            verdict=words[tuple(sorted({*found} - {0}))],
            signs=dict(zip(study.study.kind.decisive, found, strict=True)),
        )
        for effect, found in zip(study.effects, [(0, 0), *signs], strict=False)
    ]
    return dataclasses.replace(study, study=_without_onset(study), effects=judged)


@pytest.mark.parametrize(
    ("signs", "said", "pictured"),
    [
        ([(1, 0), (0, 0)], "dropout helps (better in test loss)", "loss"),
        ([(0, 1), (0, 0)], "dropout helps (better in test accuracy)", "score"),
        (
            [(0, -1), (0, 0)],
            "no remedy is certainly better than plain; dropout is worse in test accuracy",
            "score",
        ),
        (
            [(1, -1), (1, -1)],
            (
                "no remedy is certainly better than plain; dropout and l2 are better in test loss and worse "
                "in test accuracy"
            ),
            "loss",
        ),
    ],
)
def test_the_headline_names_the_quantity_from_which_it_follows_and_the_picture_shows_it(
    signs, said, pictured
):
    study = _of_two_quantities(signs)
    assert headline(study) == f"cnn on digits: {said}"
    figure = next(iter(effect_charts(study, "part")))
    assert figure.name == f"part-effects-{pictured}"
