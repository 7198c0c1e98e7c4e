"""Checks of the fields of a configuration: what they accept, and how they name what they refuse."""

import dataclasses
import math

import pytest

from rnnlab.errors import UsageError
from rnnlab.run import checks


@dataclasses.dataclass(frozen=True)
class Config:
    count: int = 1
    rates: tuple[float, ...] = (0.5, 2.0)
    word: str = "tanh"
    words: tuple[str, ...] = ("tanh", "gru")


def test_good_values_pass():
    config = Config()
    checks.at_least(config, count=1, rates=0.5)
    checks.seed(Config(count=2**32 - 1), "count")
    checks.positive(config, "count", "rates")
    checks.non_negative(Config(rates=(0.0,)), "rates")
    checks.finite(Config(rates=(-1.0,)), "rates")
    checks.increasing(config, "rates")
    checks.distinct(config, "words")
    checks.not_empty(config, "words")
    checks.one_of(config, "word", ("tanh", "relu"))
    checks.known(config, "words", "cell", ("tanh", "gru"))


@pytest.mark.parametrize(
    ("config", "check", "message"),
    [
        (Config(count=0), lambda c: checks.at_least(c, count=1), "count=0: must be at least 1"),
        (
            Config(rates=(1.0, math.nan)),
            lambda c: checks.positive(c, "rates"),
            "rates=(1.0, nan)",
        ),
        (
            Config(rates=(math.inf,)),
            lambda c: checks.non_negative(c, "rates"),
            "rates=(inf,): ",
        ),
        (Config(rates=(math.inf,)), lambda c: checks.finite(c, "rates"), "rates=(inf,): must be"),
        (
            Config(rates=(1e300,)),
            lambda c: checks.positive(c, "rates"),
            "rates=(1e+300,): must be at most 3.4e+38",
        ),
        (Config(rates=(2.0, 1.0)), lambda c: checks.increasing(c, "rates"), "rates=(2.0, 1.0): "),
        (Config(rates=()), lambda c: checks.increasing(c, "rates"), "rates=(): must be at least"),
        (
            Config(count=2**31),
            lambda c: checks.at_least(c, count=1),
            "count=2147483648: must be at most 2147483647",
        ),
        (Config(count=-1), lambda c: checks.seed(c, "count"), "count=-1: must be within 0 .. 42"),
        (Config(count=2**32), lambda c: checks.seed(c, "count"), "count=4294967296: must be wit"),
        (Config(words=("a", "a")), lambda c: checks.distinct(c, "words"), "words=('a', 'a'): must"),
        (Config(words=()), lambda c: checks.not_empty(c, "words"), "words=(): must be at least"),
        (
            Config(word="half"),
            lambda c: checks.one_of(c, "word", ("float32", "float64")),
            "word=half: must be float32 or float64",
        ),
        (
            Config(words=("gruu",)),
            lambda c: checks.known(c, "words", "cell", ("tanh", "gru")),
            "words=gruu: no such cell; did you mean gru?",
        ),
    ],
)
def test_bad_values_are_named_with_their_field(config, check, message):
    with pytest.raises(UsageError) as refused:
        check(config)
    assert str(refused.value).startswith(message)
