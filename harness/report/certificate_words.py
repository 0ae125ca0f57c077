"""What a certificate is called in tables and sentences: the one place that renders its state."""

from harness.certify.certificate import Certificate
from harness.runs.record import Record

#: What a label and a cell add where the dropout of a task was not tested.
WITHOUT_DROPOUT = "without dropout"
#: The label of a backend without float64 whose first losses agree. It is not certified, so nothing ranks it.
IN_FLOAT32 = "agrees in float32"


def certificate_label(certificate: Certificate | None) -> str:
    """``certified``, ``certified without dropout``, ``agrees in float32`` or ``not certified``."""
    if certificate is None or not certificate.certified:
        return IN_FLOAT32 if certificate is not None and certificate.agrees_in_float32 else "not certified"
    return f"certified {WITHOUT_DROPOUT}" if certificate.lacks_dropout else "certified"


def certificate_cell(record: Record) -> str:
    """``yes``, ``without dropout``, ``in float32`` or ``no``, for a column with the heading *certified*.

    The work of a run that failed is not certified, whatever its certificate says.
    """
    label = certificate_label(None if record.status == "failed" else record.certificate)
    short = {"certified": "yes", "not certified": "no", IN_FLOAT32: "in float32"}
    return short.get(label, label.removeprefix("certified "))
