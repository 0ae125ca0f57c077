"""A model of a user's own whose code has changed since its task was saved."""

import numpy as np
import pytest

from harness.backend_support.feeding import refuse_changed
from harness.layers import Native, NativeArray, NativeModel
from harness.spec import Unsupported
from harness.tracing.calls import Stored

COMMAND = "harness port net.py:make --dataset digits --save-task own.py"


def array(name, shape, **stored):
    return NativeArray(name, shape, 0.1, {"one": Stored(name.replace("/", "."), **stored)})


LAYER = Native(
    models=(NativeModel("one", "net.py:make"),),
    trained=(
        array("1/kernel", (4, 3), axes=(1, 0)),
        array("2/kernel", (4, 4)),
        NativeArray("q/kernel", (2, 4), 0.1, {"one": Stored("qv", axis=0, start=0, stop=2)}),
        NativeArray("v/kernel", (2, 4), 0.1, {"one": Stored("qv", axis=0, start=2, stop=4)}),
    ),
    held=(array("norm/mean", (4,)),),
    outputs=(3,),
    saved_by=COMMAND,
)


def arrays(**changes):
    own = {"1.kernel": (3, 4), "2.kernel": (4, 4), "qv": (4, 4), "norm.mean": (4,)}
    made = {name: np.zeros(shape) for name, shape in own.items()}
    made |= {name.replace("_", "."): np.zeros(shape) for name, shape in changes.items()}
    return made


def test_the_arrays_of_the_task_are_accepted_under_any_of_their_names():
    own = arrays()
    own["alias"] = own["1.kernel"]  # shared
    refuse_changed(LAYER, "one", own, ["alias", "2.kernel", "qv"])
    refuse_changed(LAYER, "one", arrays(counter=(1,)), ["1.kernel"])  # which nothing trains


def test_what_is_new_missing_or_of_another_shape_is_named_with_the_command():
    own = arrays(**{"1_kernel": (5, 4), "new": (7,)})
    del own["2.kernel"]
    with pytest.raises(Unsupported) as raised:
        refuse_changed(LAYER, "one", own, ["1.kernel", "qv", "new"])
    assert str(raised.value) == (
        "net.py:make has other parameters than the task that was saved of it (new: new (7,); "
        f"missing: 2.kernel; of another shape: 1.kernel (5, 4)). Write the task again: {COMMAND}"
    )


def test_a_part_that_is_not_there_is_another_shape_and_long_lists_are_cut():
    more = {f"more{number}": (2,) for number in range(9)}
    with pytest.raises(Unsupported, match=r"more3 \(2,\) and 5 more; of another shape: qv \(3, 4\)\)"):
        refuse_changed(LAYER, "one", arrays(qv=(3, 4), **more), [*more])
