"""What a plugin prints never reaches standard output, even where threads load plugins at the same time."""

import os
import threading

from harness.plugins.faults import nothing_on_stdout


def test_standard_output_is_restored_when_the_last_thread_has_left(capfd):
    inside, leave = threading.Event(), threading.Event()

    def load():
        with nothing_on_stdout():
            inside.set()
            leave.wait(30)
            os.write(1, b"second plugin\n")

    with nothing_on_stdout():
        other = threading.Thread(target=load)
        other.start()
        assert inside.wait(30)
        os.write(1, b"first plugin\n")
    leave.set()
    other.join()
    os.write(1, b"the document\n")
    printed = capfd.readouterr()
    assert printed.out == "the document\n"
    assert printed.err == "first plugin\nsecond plugin\n"
