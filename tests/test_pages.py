"""The pages that are sessions: every example runs, and prints what the page shows."""

import pathlib

import pytest

from tests import pages

DOCS = pathlib.Path(__file__).resolve().parent.parent / "docs"


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tutorial", "many_runs"])
def test_the_examples_of_a_page_print_what_it_shows(name):
    page = DOCS / f"{name}.md"
    printed, shown = pages.run(page), pages.shown(page)
    assert len(printed) == len(shown) > 0
    for ours, theirs in zip(printed, shown, strict=True):
        between, numbers = pages.pieces(ours)
        expected, values = pages.pieces(theirs)
        assert between == expected
        assert numbers == pytest.approx(values, rel=0.05, abs=0.02)


def test_a_page_is_compared_without_what_differs_in_every_run():
    text = "done in 12.5 s; see runs/toy-tiny-0a1b2c3d:\n  1.25   \n"
    assert pages.masked(text) == "done in … s; see runs/toy-tiny-…:\n  1.25\n"
    assert pages.pieces("loss  -1.5e-3 │ ───── 2\n") == (["loss ", " │ ", " "], [-0.0015, 2.0])
