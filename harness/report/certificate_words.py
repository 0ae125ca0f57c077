"""What a certificate is called in tables and sentences: the one place that renders its state."""

from harness.certify.certificate import Certificate
from harness.runs.record import Record

#: What a label and a cell add where the dropout of a task was not tested.
WITHOUT_DROPOUT = "without dropout"


def certificate_label(certificate: Certificate | None) -> str:
    """``certified``, ``certified without dropout`` or ``not certified``."""
    if certificate is None or not certificate.certified:
        return "not certified"
    return f"certified {WITHOUT_DROPOUT}" if certificate.lacks_dropout else "certified"


def certificate_cell(record: Record) -> str:
    """``yes``, ``without dropout`` or ``no``, for a column with the heading *certified*.

    The work of a run that failed is not certified, whatever its certificate says.
    """
    label = certificate_label(None if record.status == "failed" else record.certificate)
    return {"certified": "yes", "not certified": "no"}.get(label, label.removeprefix("certified "))
