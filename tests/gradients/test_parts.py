import jax
import pytest

from rnnlab.cells import LSTM, Elman
from rnnlab.combinators import Dropout, Stack
from rnnlab.errors import UsageError
from rnnlab.gradients import parts

STACK = Stack((LSTM(2), Dropout(0.1), Stack((Elman(3), LSTM(4)))))


def state_of(cell):
    return jax.eval_shape(lambda: cell.initial_state((5,)))


def test_names_of_leaves_and_parts():
    state = state_of(STACK)
    assert parts.leaf_names(state) == ("0.h", "0.c", "2.0.h", "2.1.h", "2.1.c")
    assert parts.part_names(state) == (*parts.leaf_names(state), "c", "h")
    assert parts.part_names(state_of(LSTM(2))) == ("h", "c")
    assert parts.widths(state) == (2, 2, 3, 4, 4)


@pytest.mark.parametrize(
    "part, found",
    [(None, (0, 1, 2, 3, 4)), ("h", (0, 2, 3)), ("2", (2, 3, 4)), ("2.1", (3, 4)), ("0.c", (1,))],
)
def test_a_part_is_a_path_its_beginning_or_its_end(part, found):
    assert parts.find(state_of(STACK), part, "of") == found


def test_groups_are_layers():
    assert parts.groups(state_of(STACK)) == ((0, 1), (2,), (3, 4))


def test_unknown_part():
    with pytest.raises(
        UsageError, match=r"of='1': not in this state, which has 0\.h, 0\.c, 2\.0\.h"
    ):
        parts.find(state_of(STACK), "1", "of")
