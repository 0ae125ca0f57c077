"""What a worker's death by a signal says about the call that it was carrying out."""

from harness.worker import protocol
from harness.worker.errors import WorkerLost

#: The call of a program, or of its backend, of which a request mostly consists.
_CALLS: dict[type, str] = {
    protocol.Build: "build()",
    protocol.Train: "train()",
    protocol.Evaluate: "predict()",
    protocol.KeepWeights: "weights()",
    protocol.RestoreWeights: "load()",
}
#: What the kernel sends a process that writes where it may not.
_FORBIDDEN_WRITE = {"SIGSEGV", "SIGBUS"}


def explained(lost: WorkerLost, request: protocol.Request | None) -> WorkerLost:
    """The same death, with the call and the likely cause where the signal suggests one."""
    call = _CALLS.get(type(request))
    if call is None or lost.signal_name not in _FORBIDDEN_WRITE:
        return lost
    return WorkerLost(
        f"{lost} in {call}; writing into the data that the harness provides does that, because it is mapped "
        "read-only: copy what you change",
        lost.worker_exit_code,
        lost.signal_name,
    )
