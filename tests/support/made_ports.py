"""A comparison of two models, as it is stored after its end."""

from harness.port.record import (
    Cause,
    Compared,
    Findings,
    ParameterPair,
    Parameters,
    PortOptions,
    PortRecord,
    SideRecord,
)
from support.records import MACHINE


def made_port() -> PortRecord:
    """A dropout that B lacks, which decides, and another epsilon, which is harmless."""
    a, b = (
        SideRecord(target=f"my_{name}.py:make", framework=name, versions={name: version})
        for name, version in (("torch", "2.9"), ("keras", "3.15"))
    )
    causes = [
        Cause(kind="epsilon", path_a="norm", path_b="norm_1", a="1e-5", b="1e-3", before=1e-3, harmless=True),
        Cause(
            kind="dropout",
            path_a="drop",
            path_b="",
            function_a="dropout",
            line_a="my_torch.py:12",
            a="rate 0.5",
            before=0.5,
            after=1e-12,
            mode="steps",
            more=["drop_2"],
        ),
    ]
    return PortRecord(
        id="20260104-000000-port",
        machine=MACHINE,
        started_at="2026-01-04T00:00:00+00:00",
        command=["port", "my_torch.py:make", "my_keras.py:make"],
        inputs=[],
        options=PortOptions(),
        findings=Findings(
            a=a,
            b=b,
            verdict="different",
            parameters=Parameters(
                10, 12, [ParameterPair("head.weight", "dense/kernel", "kernel", (4, 2))], [], ["dense/bias"]
            ),
            compared=[Compared("outputs", 0.5, 1e-9, "head"), Compared("losses", 1e-15, 1e-9)],
            causes=causes,
            notes=["The order of the batches could not be seen."],
            not_compared=["mixed precision"],
        ),
        seconds=1.0,
    )
