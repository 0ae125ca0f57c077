"""How every conversation with a worker begins: import the framework once, then build programs."""

from harness.errors import HarnessError
from harness.spec.backend import Plan
from harness.worker import protocol
from harness.worker.session import Session


class Conversation:
    """Imports a backend's framework in a worker, once, and builds programs there.

    Every method raises what :meth:`Session.receive` raises.
    """

    def __init__(self, session: Session, backend: str, threads: int) -> None:
        self.session = session
        self._question = protocol.Describe(backend, threads)
        self._asked = False
        self._described: protocol.Described | None = None

    def describe(self) -> protocol.Described:
        """Import the framework, at the first call, and return what the backend reports about itself.

        Raises:
            HarnessError: the worker's harness speaks another protocol.
        """
        if self._described is None:
            self._ask()
            described = self.session.receive(protocol.Described)
            if described.protocol != protocol.VERSION:
                raise HarnessError(
                    f"its dl-harness speaks protocol {described.protocol}, this one {protocol.VERSION}; "
                    "install the same dl-harness for its interpreter"
                )
            self._described = described
        return self._described

    def request_program(self, plan: Plan, dataset: str) -> None:
        """Have the worker import and build without waiting; :meth:`receive_program` waits."""
        self._ask()
        self.session.send(protocol.Build(plan, dataset))

    def receive_program(self) -> protocol.Built:
        """Wait for the program of :meth:`request_program`."""
        self.describe()
        return self.session.receive(protocol.Built)

    def build(self, plan: Plan, dataset: str) -> protocol.Built:
        """Build a program of this plan on a data set, in place of any before it."""
        self.describe()
        return self.session.call(protocol.Build(plan, dataset), protocol.Built)

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self.session.send(self._question)
