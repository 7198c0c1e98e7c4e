"""What `unroll` and `step` say to calls that do not fit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.combinators import Bidirectional
from rnnlab.errors import UsageError
from rnnlab.unroll import step, unroll

T, B, D, H = 5, 2, 3, 4
LSTM = cells.LSTM(H)
SHAPES = jax.eval_shape(lambda key: LSTM.init(key, D, jnp.float64), jax.random.key(0))
PARAMS = jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), SHAPES)
STATE = LSTM.initial_state((B,), jnp.float64)


def unfit(**changes):
    """A good call of `unroll` with something changed."""
    call = {"cell": LSTM, "params": PARAMS, "xs": jnp.zeros((T, B, D)), "state": STATE}
    return call | changes


def without(params, name):
    return {key: value for key, value in params.items() if key != name}


BAD_CALLS = {
    "inputs without time": ({"xs": jnp.zeros(3)}, r"^xs has shape \(3,\): must be \[T"),
    "inputs in a list": (
        {"xs": [[[1.0]]]},
        r"^xs is a list: must be an array .*jnp\.asarray makes",
    ),
    "unequal lists": ({"xs": [[[1.0]], [[]]]}, "^xs is a list: must be an array"),
    "a list for a weight": (
        {"params": PARAMS | {"b": [1.0] * 16}},
        r"^params\['b'\] is a l",
    ),
    "a list for a state": ({"state": [[0.0]]}, "^state is a list: must be an array"),
    "other features": ({"xs": jnp.zeros((T, B, 7))}, r"^params\['wx'\] is float64\[3, 16\].*7 in"),
    "other dtype": ({"xs": jnp.zeros((T, B, D), jnp.float32)}, r"^xs is float32 but params are"),
    "integers": ({"xs": jnp.zeros((T, B, D), int)}, r"^xs is int64 but params are float64"),
    "a cell of another size": ({"cell": cells.LSTM(9)}, r"^params\['b'\] is float64\[16\].*36"),
    "another cell": ({"cell": cells.GRU(H)}, "^params has the structure"),
    "no parameters": ({"params": {}}, "^params has the structure"),
    "a parameter missing": ({"params": without(PARAMS, "b")}, "^params has the struc"),
    "a number for an array": ({"params": PARAMS | {"b": 1.0}}, r"^params\['b'\] is flo"),
    "another state": ({"state": jnp.zeros((B, H))}, "^state has the structure"),
    "a state of another batch": (
        {"state": LSTM.initial_state((7,), jnp.float64)},
        r"^state\.h is float64\[7, 4\]: LSTM with batch \(2,\) needs float64\[2, 4\]",
    ),
    "a state of another dtype": (
        {"state": LSTM.initial_state((B,))},
        r"^state\.h is float32",
    ),
    "a length beyond T": ({"lengths": np.array([6, 1])}, r"^lengths contains 6: must lie in 0"),
    "a negative length": ({"lengths": [0, -1]}, r"^lengths contains -1: must lie"),
    "lengths of another batch": ({"lengths": [1, 2, 3]}, r"^lengths is int64\[3\]"),
    "lengths of unequal lists": ({"lengths": [[1], []]}, "^lengths is a list of unequal lists"),
    "lengths with a fraction": ({"lengths": [1.0, 2.0]}, "^lengths is float64"),
    "resets of another shape": ({"resets": np.zeros((T, 7), bool)}, r"^resets is bool\[5, 7\]"),
    "resets of another type": ({"resets": np.zeros((T, B))}, r"^resets is float64"),
    "lengths show the batch first": (
        {"xs": jnp.zeros((B, T, D)), "state": None, "lengths": [1] * B},
        r"^lengths is int64\[2\].*; xs\[2, 5, 3\] seems to have the batch first, its",
    ),
    "a state shows the batch first": (
        {"xs": jnp.zeros((B, T, D))},
        r"^state\.\w is float64\[2, 4\].* needs float64\[5, 4\]; xs\[2, 5, 3\] seems to have the b",
    ),
    "resets with the batch first": (
        {"resets": np.zeros((B, T), bool)},
        r"^resets is bool\[2, 5\].*; either xs or resets has the batch first",
    ),
    "an unknown strategy": ({"strategy": "magic"}, "^strategy='magic': unknown, choose"),
    "a strategy that is none": ({"strategy": ["hoisted"]}, r"^strategy=\['hoisted'\]: unknown"),
}


@pytest.mark.parametrize("case", BAD_CALLS)
def test_a_call_that_does_not_fit_is_refused_in_one_line(case):
    changes, message = BAD_CALLS[case]
    with pytest.raises(UsageError, match=message) as refusal:
        unroll(**unfit(**changes))
    assert "\n" not in str(refusal.value)


def test_known_lengths_are_checked_under_jit_too():
    call = unfit()
    with pytest.raises(UsageError, match="lengths contains 9"):
        jax.jit(lambda xs: unroll(**call | {"xs": xs}, lengths=np.array([9, 0])))(call["xs"])


def test_step_refuses_what_does_not_fit():
    x = jnp.zeros((B, D))
    both = Bidirectional(cells.LSTM(H), cells.LSTM(H))
    with pytest.raises(UsageError, match=r"^cell=Bidirectional: .*cannot stream; use unroll"):
        step(both, {}, x, None)
    with pytest.raises(UsageError, match=r"^state\.h is float64\[2, 4\]: LSTM with batch \(1,\)"):
        step(LSTM, PARAMS, x[:1], STATE)
    with pytest.raises(UsageError, match=r"^params\['wx'\]"):
        step(LSTM, PARAMS, x[:, :2], STATE)
