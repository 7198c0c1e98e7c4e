"""The peers of the benchmark compute what we do, in versions that are known to."""

from __future__ import annotations

import pytest

from experiments.benchmark import config, peers
from experiments.benchmark.agreement import difference
from experiments.benchmark.comparison import gather
from experiments.benchmark.notation import Shape
from experiments.benchmark.peers import NNX, PEERS, Linen, check_version, chosen
from experiments.benchmark.peers import torch as torch_peer
from experiments.benchmark.problem import FORWARD, GRADIENT_INPUTS, Problem
from rnnlab.errors import UsageError
from tests import own_cell

#: What the peers compute: a stack where the peer itself stacks and for one that does not, and the
#: GRU for one that has not all of its biases.
BOTH_WAYS = Problem("lstm:bi", Shape(2, 3, 4, 5), "float32")
STACKED = Problem("lstm:bi:2", Shape(2, 3, 4, 5), "float32")
PROBLEMS = {
    "Flax Linen": STACKED,
    "PyTorch": STACKED,
    "cuDNN (jax.experimental.rnn)": STACKED,
    "Flax NNX": Problem("gru", Shape(2, 3, 4, 5), "float32"),
}


@pytest.mark.peers
def test_flags_choose_peers_by_the_names_that_the_configuration_knows():
    assert tuple(PEERS) == config.PEERS + config.TORCH_PEERS
    assert [peer.name for peer in chosen(("torch", "linen"))] == ["PyTorch", "Flax Linen"]
    assert chosen(()) == chosen(("none",)) == []


def test_on_a_gpu_pytorch_is_a_candidate_in_each_arithmetic(monkeypatch):
    """A CPU takes the place of the GPU here."""
    pytest.importorskip("torch")
    problem = Problem("lstm", Shape(2, 3, 4, 5), "bfloat16")
    with pytest.raises(
        UsageError, match="needs a GPU with cuDNN, this is a cpu: torch is the peer"
    ):
        PEERS["torch_fp16"].candidate(problem)
    for module in (peers, torch_peer):
        monkeypatch.setattr(module, "on_gpu", lambda: True)
    monkeypatch.setattr(torch_peer, "device_of", lambda torch: "cpu")
    found = chosen(("torch", "linen", "torch_bf16"))
    names = [f"PyTorch {each}" for each in ("fp32", "tf32", "bf16", "fp16")]
    assert [peer.name for peer in found] == [*names, "Flax Linen"]
    candidates, left_out = gather(problem, ("autodiff",), found[:4])
    assert [each.name for each in candidates] == ["rnnlab autodiff", *names[2:]] and not left_out
    half = candidates[-1]
    result = half.program(FORWARD).result
    assert half.dtype == "float16" and difference(problem, half, FORWARD, result) < 0.1
    full, _ = gather(Problem("tanh", Shape(2, 3, 4, 5), "float32"), ("autodiff",), found[:4])
    assert [each.name for each in full] == ["rnnlab autodiff", *names[:2]]


@pytest.mark.parametrize("peer", PEERS.values(), ids=lambda peer: peer.name)
def test_peers_compute_gradients_of_our_parameters(peer, monkeypatch, tmp_path):
    """And of the inputs, in a layer in which order and direction matter."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    problem = PROBLEMS.get(peer.name, BOTH_WAYS)
    try:
        check_version(peer)
        candidate = peer.candidate(problem)
    except UsageError as error:
        pytest.skip(str(error))
    result = candidate.program(GRADIENT_INPUTS).result
    assert difference(problem, candidate, GRADIENT_INPUTS, result) < 1e-4


@pytest.mark.parametrize(("name", "peer"), [("MyNNX", NNX()), ("MyLinen", Linen())])
@pytest.mark.parametrize("arrangement", ["", pytest.param(":bi:2", marks=pytest.mark.slow)])
def test_flax_unrolls_its_own_cells(name, peer, arrangement, tmp_path, monkeypatch):
    """The same module on both sides, on the same weights."""
    own_cell.write(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    problem = Problem(f"my_package.my_module:{name}{arrangement}", Shape(2, 3, 4, 5), "float32")
    candidate = peer.candidate(problem)
    result = candidate.program(GRADIENT_INPUTS).result
    assert difference(problem, candidate, GRADIENT_INPUTS, result) < 1e-4


def test_a_cell_that_no_peer_has_is_compared_with_itself(tmp_path, monkeypatch):
    own_cell.write(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    problem = Problem("my_package.my_module:MyCell", Shape(2, 3, 4, 5), "float32")
    candidates, left_out = gather(problem, ("autodiff", "hoisted"), list(PEERS.values()))
    assert [each.name for each in candidates] == ["rnnlab autodiff", "rnnlab hoisted"]
    assert len(left_out) == sum(peer.applies(problem) for peer in PEERS.values())
    for each in candidates:
        result = each.program(GRADIENT_INPUTS).result
        assert difference(problem, each, GRADIENT_INPUTS, result) < 1e-4


def test_a_peer_of_another_version_is_refused(monkeypatch):
    linen = Linen()
    for version in ("0.9.0", "0.13.0", "9"):
        monkeypatch.setattr("importlib.metadata.version", lambda package, v=version: v)
        with pytest.raises(UsageError, match=rf"flax {version} is not among .* >=0.10,<0.13"):
            check_version(linen)
    monkeypatch.undo()
    linen.package = "no-such-package"
    with pytest.raises(UsageError, match=r"is not installed; pip install 'rnnlab\[peers\]'"):
        check_version(linen)
