"""Gates for tests of their formats, and parsers of those formats as CI systems have them."""

import re
from xml.etree import ElementTree as ET

import msgspec

from harness.timing.gate import ci_formats
from harness.timing.gate.reasons import MORE_EVIDENCE, Reason
from harness.timing.gate.record import QualityResult
from support.made_gates import failed, made_benchmark, made_gate

#: What ends lines, XML, table cells, code spans, workflow commands and labels; colour; invalid characters.
HOSTILE = 'a\n::error::b ]]></failure><b>&amp;|c|`d`, e: 100% "f" \\g #h {i="j"} \x1b[31mred\x1b[0m\x00\ud800'


SHOWN = 'a ::error::b ]]></failure><b>&amp;|c|`d`, e: 100% "f" \\g #h {i="j"} red'


def hostile_gate(text=HOSTILE):
    """A gate with this text wherever a record has text."""
    reason = Reason(kind="not comparable", text=text, command="run head")
    quality = QualityResult(verdict="FAIL", reasons=[reason], worst=float("inf"))
    benchmark = made_benchmark(
        text, step=1.2, confirmed=8, verdicts={"step": "FAIL"}, quality=quality,
        reasons=[reason],
        mode=text, task=text, backend=text, options={text: text},
    )  # fmt: skip
    gate = made_gate(benchmark, suite=text, command=["gate", text])
    python = msgspec.structs.replace(gate.head, python=text, variables={text: text}, commit=None)
    return msgspec.structs.replace(gate, head=python)


def interrupted_gate():
    return made_gate(made_benchmark(), verdict="INVALID", status="interrupted", failure="interrupted")


def invalid_benchmark(name="cnn", metric="step", **changes):
    """A benchmark with a metric that lost all its pairs to other work."""
    benchmark = made_benchmark(name, verdicts={metric: "INVALID"}, **changes)
    text = "other work on the machine disturbed 4 of 4 pairs"
    reason = Reason(kind="not trusted", text=text, hint=MORE_EVIDENCE, command="doctor")
    lost = {"ratio": None, "pairs": 0, "reasons": [reason]}
    benchmark.metrics = [
        msgspec.structs.replace(each, **lost) if each.metric == metric else each for each in benchmark.metrics
    ]
    return benchmark


def crashed(label="head", **changes):
    verdict = "FAIL" if label == "head" else "INVALID"
    reasons = [failed("exited with code 9", label)]
    return made_benchmark(verdict=verdict, metrics=[], quality=None, reasons=reasons, **changes)


def failed_quality(*causes):
    quality = QualityResult(verdict="FAIL", reasons=list(causes), worst=0.0)
    return made_benchmark("cnn", verdict="FAIL", quality=quality)


class Report:
    """What GitLab and Jenkins take from a JUnit file: of each case its name and status, and the counts."""

    def __init__(self, content):
        self.root = ET.fromstring(content)  # noqa: S314  our own
        assert self.root.tag == "testsuites"
        (self.suite,) = self.root.findall("testsuite")
        self.cases = {
            (case.get("classname"), case.get("name")): case for case in self.suite.findall("testcase")
        }
        assert len(self.cases) == len(self.suite.findall("testcase")), "cases of one name hide each other"

    def status(self, name, metric):
        (*deciding,) = [
            child.tag for child in self.cases["gate." + name, metric] if child.tag != "properties"
        ]
        return deciding[0] if deciding else "passed"

    def failure(self, name, metric):
        return self.cases["gate." + name, metric].find("failure")


COMMAND = re.compile(r"::(?P<kind>error|warning) title=(?P<title>[^:,\n\r]*)::(?P<message>[^\n\r]*)")


def commands(record, inconclusive=None):
    """The commands as the runner parses them (actions/runner, ActionCommand): unescaped, one per line."""
    read = []
    for line in ci_formats.annotations(record, inconclusive):
        deciding = COMMAND.fullmatch(line)
        assert deciding, line
        assert not re.search("%(?!25|3A|2C|0A|0D)", line), "the runner would decode it differently"
        title, message = (
            deciding[part].replace("%3A", ":").replace("%2C", ",").replace("%0A", "\n").replace("%25", "%")
            for part in ("title", "message")
        )
        read.append((deciding["kind"], title, message))
    return read
