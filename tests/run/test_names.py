"""Names of work directories: readable, safe, short, and the same for the same configuration."""

import dataclasses
import math
import re

import pytest

from rnnlab.run import names


@dataclasses.dataclass(frozen=True)
class Network:
    rate: float = 0.1
    cell: str = "lstm"


@dataclasses.dataclass(frozen=True)
class Config:
    hidden: int = 4
    lengths: tuple[int, ...] = (10, 20)
    warm: bool = False
    corpus: str = "made"
    network: Network = Network()
    other: Network = Network()
    seed: int = 0


PRESETS = {
    "tiny": Config(hidden=2, lengths=(3,), corpus="toy"),
    "large": Config(hidden=64, lengths=(100,), corpus="big"),
}


@pytest.mark.parametrize(
    ("config", "readable"),
    [
        (Config(), "toy"),
        (Config(hidden=8, seed=3), "toy-hidden=8-seed=3"),
        (Config(lengths=(5, 6), warm=True), "toy-lengths=5+6-warm=true"),
        (Config(corpus="/data/My text.txt"), "toy-corpus=My_text.txt"),
        (Config(network=Network(rate=1e-05)), "toy-network.rate=1e-05"),
        (Config(other=Network(cell="my.module:Cell")), "toy-other.cell=my.module_Cell"),
        (PRESETS["tiny"], "toy-tiny"),
        (dataclasses.replace(PRESETS["large"], seed=1), "toy-large-seed=1"),
        (Config(lengths=()), "toy-lengths="),
    ],
)
def test_a_name_says_what_was_changed(config, readable):
    name = names.of_run("toy", config, PRESETS)
    assert re.fullmatch(re.escape(readable) + "-[0-9a-f]{8}", name)


def test_a_name_is_short_whatever_is_changed():
    config = Config(9, tuple(range(100)), True, "x" * 500, Network(3.0, "y" * 99), Network(4.0), 5)
    name = names.of_run("z" * 300, config)
    assert len(name) <= names.LONGEST and re.search(r"-\+\d_more-[0-9a-f]{8}$", name)


@pytest.mark.parametrize("text", ["a/b\\c", "..", "*?[x]", "é\n\t\0", "-", " ", "$HOME;`ls`", "~"])
def test_a_name_is_safe(text):
    name = names.of_run("toy", Config(corpus=text))
    assert re.fullmatch(r"toy-[A-Za-z0-9._=+-]+", name)


def test_different_configurations_have_different_names():
    configs = [Config(corpus=corpus) for corpus in ("a/x", "b/x", "x", "X", "x ")]
    configs += [Config(network=Network(rate)) for rate in (math.nan, 0.1, 0.2)]
    configs += [Config(lengths=lengths) for lengths in ((1,), (1, 2), ())]
    assert len({names.of_run("toy", config).lower() for config in configs}) == len(configs)
    assert names.of_run("toy", Config()) != names.of_run("toy_2", Config())
