"""Pairs whose bodies are called in loops: the factory of A, B's framework and factory, the input, the faults.

A fault maps to a pattern that a cause must fit.
"""

SEQUENCE, VECTOR = (6, 3), (4,)
#: Of A's factory: B's framework, B's factory, the input, and what names each fault.
LOOPS = [
    (
        "minimal_gate",
        "jax",
        "minimal_gate",
        SEQUENCE,
        {"ungated": r"missing call.*\*", "exchanged": "exchange|order"},
    ),
    (
        "minimal_gate",
        "keras",
        "minimal_gate",
        SEQUENCE,
        {"ungated": r"missing call.*\*", "exchanged": "exchange|order"},
    ),
    (
        "normal_gru",
        "jax",
        "normal_gru",
        SEQUENCE,
        {"epsilon": "epsilon|constant.*1e-05", "gates": "exchange"},
    ),
    ("normal_gru", "keras", "normal_gru", SEQUENCE, {"epsilon": "epsilon", "gates": "exchange"}),
    (
        "leaky",
        "jax",
        "leaky",
        SEQUENCE,
        {
            "leak": "constant.*0\\.3 against 0\\.7|0\\.7 against 0\\.3",
            "activation": "activation.*tanh against relu",
        },
    ),
    (
        "leaky",
        "keras",
        "leaky",
        SEQUENCE,
        {
            "leak": "constant.*0\\.3 against 0\\.7|0\\.7 against 0\\.3",
            "activation": "activation.*tanh against relu",
        },
    ),
    (
        "state_space",
        "jax",
        "state_space",
        SEQUENCE,
        {"euler": "exp|divide|subtract|multiply", "skip": "missing call|skip"},
    ),
    (
        "state_space",
        "jax",
        "state_space_steps",
        SEQUENCE,
        {"late": "exchange|multiply|add|extra|missing|other function", "gelu": "GELU"},
    ),
    (
        "runge_kutta",
        "jax",
        "runge_kutta",
        VECTOR,
        {"whole step": "constant.*0\\.125 against 0\\.25", "weight": "missing call.*2|constant.*2"},
    ),
    (
        "recursive_filter",
        "jax",
        "recursive_filter",
        SEQUENCE,
        {"sign": "arithmetic|subtract|add|negative|constant", "stale": "exchange|slice|other function|zero"},
    ),
    (
        "coverage",
        "jax",
        "coverage",
        (5, 4),
        {
            "axis": "softmax axis",
            "forgotten": "again",
            "largest": "arithmetic.*add against maximum|maximum",
        },
    ),
    (
        "coverage",
        "keras",
        "coverage",
        (5, 4),
        {"forgotten": "again", "largest": "arithmetic.*add against maximum|maximum"},
    ),
    (
        "dilated",
        "keras",
        "dilated",
        (9, 3),
        {"centred": "padding", "rate": "dilation", "linear": "activation|missing call.*relu"},
    ),
    (
        "equilibrium",
        "jax",
        "equilibrium",
        VECTOR,
        {"order": "^order|norm.*tanh", "count": "missing call|step|other function"},
    ),
    (
        "equilibrium",
        "keras",
        "equilibrium",
        VECTOR,
        {"order": "^order|norm.*tanh", "count": "missing call|step|other function"},
    ),
    (
        "stacked",
        "jax",
        "stacked",
        SEQUENCE,
        {"epsilon": "epsilon|constant.*1e-0", "second layer": "silu|gelu|activation"},
    ),
    (
        "fused_gru",
        "jax",
        "fused_gru",
        SEQUENCE,
        {"reset first": "reset gate|multiply|order", "update": "exchange"},
    ),
    ("fused_gru", "keras", "fused_gru", SEQUENCE, {"reset first": "reset gate"}),
    (
        "fused_lstm",
        "jax",
        "fused_lstm",
        SEQUENCE,
        {"forget bias": "add 1|constant", "no tanh": "tanh", "first": "^part"},
    ),
    (
        "fused_lstm",
        "keras",
        "fused_lstm",
        SEQUENCE,
        {"hard": "activation.*sigmoid against hard_sigmoid|hard"},
    ),
    ("cell_loop", "keras", "cell_loop", SEQUENCE, {"forwards": "direction|slice|revers|order"}),
    ("per_sample", "jax", "per_sample", (6, 4), {"scale": "scale|constant.*2 against 4"}),
]
