"""Draw the figures of the page on calibration: ``python docs/record/calibration.py``.

Reads ``results/trials/*.jsonl``, where a line is a trial or a row of a table, and writes an SVG file for each
table to ``docs/images/``. Needs the extra ``report``.
"""

import json
from pathlib import Path

import altair as alt
import pandas as pd
import vl_convert

ROOT = Path(__file__).parents[2]
TRIALS = ROOT / "results" / "trials"
IMAGES = ROOT / "docs" / "images"
#: Okabe and Ito (2008): distinguishable with every common form of colour blindness.
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#999999"
DUELS = {"duel, today": "duels-short-blocks", "duel, long blocks": "duels"}
BEFORE_AFTER = "medians before and after"
GATES = {
    "today": "gates-short-blocks",
    "long blocks, one thread": "gates",
    "long blocks, two threads": "gates-two-threads",
    "plain means": "earlier/gates",
    "weighted": "earlier/gates-weighted",
}
FAULTS = {
    "nothing": "nothing",
    "slower": "5 % more time per step",
    "hungrier": "20 % more memory",
    "pausing": "12 % in pauses",
    "half-rate": "learning rate halved",
    "no-bias": "bias dropped",
    "dropout-on": "dropout left on",
}


def trials(name: str) -> pd.DataFrame:
    """The lines of a file as a frame."""
    return pd.DataFrame([json.loads(line) for line in (TRIALS / f"{name}.jsonl").read_text().splitlines()])


def duels() -> alt.FacetChart:
    """The change that duels and plain comparisons measured, for each change that was planted."""
    frames = []
    for rule, name in DUELS.items():
        frame = trials(name)
        frames.append(frame.assign(way=rule, change=100 * (frame["ratio"] - 1)))
    plain = trials("duels")
    change = 100 * (plain["plain_ratio"] - 1)
    frames.append(plain.assign(way=BEFORE_AFTER, change=change.clip(-30, 30), verdict="no verdict"))
    data = pd.concat(frames)[["kind", "way", "change", "verdict"]]
    data["verdict"] = data["verdict"].replace("cannot tell yet", "undecided")
    data["truth"] = data["kind"].map({"nothing": 0, "5 %": 5, "3 %": 3})
    data["kind"] = data["kind"].replace("nothing", "no change") + " planted"
    verdicts = ["same", "slower", "faster", "undecided", "no verdict"]
    ways = [*DUELS, BEFORE_AFTER]
    points = (
        alt.Chart()
        .mark_circle(size=36, opacity=0.7)
        .encode(
            x=alt.X(
                "change:Q", title="measured change of the step time (%)", scale=alt.Scale(domain=[-30, 30])
            ),
            y=alt.Y("way:N", title=None, sort=ways),
            yOffset=alt.YOffset("jitter:Q", scale=alt.Scale(domain=[-1, 1])),
            color=alt.Color(
                "verdict:N",
                title="verdict",
                sort=verdicts,
                scale=alt.Scale(domain=verdicts, range=[GREEN, RED, BLUE, ORANGE, GREY]),
            ),
        )
        .transform_calculate(jitter="sin(datum.change * 12.9898) * 0.5")
    )
    truth = alt.Chart().mark_rule(color="black", strokeDash=[4, 3]).encode(x="mean(truth):Q")
    return (
        alt.layer(truth, points, data=data)
        .properties(width=520, height=90)
        .facet(row=alt.Row("kind:N", title=None, sort=["no change planted", "3 % planted", "5 % planted"]))
    )


def gates() -> alt.FacetChart:
    """The share of verdicts, for each fault that was planted and each rule."""
    data = pd.concat([trials(name).assign(rule=rule) for rule, name in GATES.items()])
    data = data[["kind", "rule", "verdict"]].assign(fault=data["kind"].map(FAULTS))
    counts = data.groupby(["fault", "rule", "verdict"]).size().rename("gates").reset_index()
    verdicts = ["PASS", "FAIL", "INCONCLUSIVE"]
    return (
        alt.Chart(counts)
        .mark_bar()
        .encode(
            x=alt.X("gates:Q", title="gates"),
            y=alt.Y("rule:N", title=None, sort=list(GATES)),
            color=alt.Color(
                "verdict:N", sort=verdicts, scale=alt.Scale(domain=verdicts, range=[GREEN, RED, ORANGE])
            ),
        )
        .properties(width=420, height=alt.Step(16))
        .facet(
            row=alt.Row(
                "fault:N",
                title=None,
                sort=list(FAULTS.values()),
                header=alt.Header(labelAngle=0, labelAlign="left"),
            )
        )
        .resolve_scale(y="independent")
    )


def pair_noise() -> alt.Chart:
    """The error of a pair of equal processes, by the number of turns."""
    return (
        alt.Chart(trials("pair-noise"))
        .mark_line(point=True)
        .encode(
            x=alt.X(
                "turns:O",
                title="turns of a pair (more turns have shorter blocks)",
                axis=alt.Axis(labelAngle=0),
            ),
            y=alt.Y("rms_percent:Q", title="error of a pair (%, root mean square)"),
            color=alt.Color("task:N", scale=alt.Scale(range=[BLUE, ORANGE, GREEN, RED])),
        )
        .properties(width=420, height=220)
    )


def frameworks() -> alt.LayerChart:
    """Step times relative to PyTorch, eager."""
    base = alt.Chart(trials("frameworks")).encode(y=alt.Y("configuration:N", title=None, sort=None))
    domain = alt.Scale(type="log", domain=[0.2, 2])
    axis = alt.Axis(values=[0.2, 0.25, 0.5, 1, 1.5, 2], format="~g")
    title = "step time relative to PyTorch, eager (left: faster)"
    return (
        base.mark_rule(size=2).encode(x=alt.X("low:Q", scale=domain, axis=axis, title=title), x2="high:Q")
        + base.mark_point(filled=True, size=70, color=BLUE).encode(x=alt.X("ratio:Q", scale=domain))
        + alt.Chart(pd.DataFrame({"one": [1]})).mark_rule(strokeDash=[4, 3]).encode(x="one:Q")
    ).properties(width=420, height=alt.Step(34))


def upgrade() -> alt.FacetChart:
    """The changes from JAX 0.5.0 to 0.10.2 beside their limits."""
    data = trials("upgrade")
    data["verdict"] = ["FAIL" if row.percent > row.limit_percent else "PASS" for row in data.itertuples()]
    bars = (
        alt.Chart()
        .mark_bar(size=14)
        .encode(
            x=alt.X("percent:Q", title="change from JAX 0.5.0 to 0.10.2 (%)"),
            y=alt.Y("metric:N", title=None, sort=["step", "first step", "memory"]),
            color=alt.Color("verdict:N", scale=alt.Scale(domain=["PASS", "FAIL"], range=[GREEN, RED])),
        )
    )
    intervals = (
        alt.Chart()
        .mark_rule()
        .encode(x="low:Q", x2="high:Q", y=alt.Y("metric:N", sort=["step", "first step", "memory"]))
    )
    limits = (
        alt.Chart()
        .mark_tick(color="black", thickness=2, size=22)
        .encode(x="limit_percent:Q", y=alt.Y("metric:N", sort=["step", "first step", "memory"]))
    )
    return (
        alt.layer(bars, intervals, limits, data=data)
        .properties(width=420, height=alt.Step(26))
        .facet(row=alt.Row("task:N", title=None))
    )


def hand_written_loops() -> alt.FacetChart:
    """Time through the harness relative to a loop written by hand, with the range over pairs."""
    base = alt.Chart().encode(y=alt.Y("framework:N", title=None, sort=None))
    x = alt.X(
        "ratio:Q",
        title="time through the harness ÷ time of a loop by hand (left: the harness is faster)",
        scale=alt.Scale(domain=[0.3, 1.1]),
    )
    return (
        alt.layer(
            alt.Chart().mark_rule(strokeDash=[4, 3]).encode(x=alt.datum(1)),
            base.mark_rule(size=2).encode(
                x="smallest:Q",
                x2="largest:Q",
                color=alt.Color("framework:N", legend=None, scale=alt.Scale(range=[GREEN, ORANGE, BLUE])),
            ),
            base.mark_point(filled=True, size=60).encode(x=x, color="framework:N"),
            data=trials("hand-written-loops"),
        )
        .properties(width=420, height=alt.Step(20))
        .facet(row=alt.Row("task:N", title=None, sort=None))
    )


FIGURES = {
    "calibration-duels": duels,
    "calibration-gates": gates,
    "calibration-pair-noise": pair_noise,
    "calibration-frameworks": frameworks,
    "calibration-upgrade": upgrade,
    "calibration-hand-written-loops": hand_written_loops,
}


def main() -> None:
    """Write every figure."""
    IMAGES.mkdir(exist_ok=True)
    for name, draw in FIGURES.items():
        chart = (
            draw()
            .configure(background="white", padding=12, font="sans-serif")
            .configure_view(stroke="#dddddd")
        )
        (IMAGES / f"{name}.svg").write_text(vl_convert.vegalite_to_svg(chart.to_json()) + "\n")
        print(f"docs/images/{name}.svg")


if __name__ == "__main__":
    main()
