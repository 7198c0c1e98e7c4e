"""Widths for a number of parameters, against trying them one by one."""

import pytest

from rnnlab import cells
from rnnlab.errors import UsageError
from rnnlab.training.sizing import count_parameters, widest


@pytest.mark.parametrize("most", [9, 10, 57, 58, 1000, 12345])
def test_the_widest_of_all_that_fit(most):
    def parameters(hidden):
        return 3 * hidden**2 + 5 * hidden + 1

    expected = max(n for n in range(1, 100) if parameters(n) <= most)
    assert widest(parameters, most) == expected


def test_one_unit_that_is_too_many():
    with pytest.raises(UsageError, match="parameters=8: the smallest network has 9 already"):
        widest(lambda hidden: 9 * hidden, 8)


def test_parameters_are_counted_without_drawing_them():
    cell = cells.by_name("lstm_peephole", 5)
    assert count_parameters(lambda key: cell.init(key, 3)) == 4 * 5 * (3 + 5 + 1) + 3 * 5
