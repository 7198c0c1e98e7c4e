"""The peers: other libraries' layers on the same weights, converted with `rnnlab.interop`.

Each peer says how it runs one cell over a sequence; stacks run layer after layer, and bidirectional
layers join a forward and a backward run, as the wrappers of these libraries do. Data are put in the
layout that the peer wants before the clock starts. Whatever a peer cannot do raises an error whose
first line is the reason that the tables give.
"""

from collections.abc import Sequence

from experiments.benchmark.peers.base import Peer, check_version
from experiments.benchmark.peers.cudnn import CuDNN
from experiments.benchmark.peers.equinox import Equinox
from experiments.benchmark.peers.flax import NNX, Linen
from experiments.benchmark.peers.haiku import Haiku
from experiments.benchmark.peers.keras import Keras
from experiments.benchmark.peers.torch import ARITHMETICS, TORCH, Torch, TorchOnGPU, on_gpu

#: The peers by the names that flags use.
PEERS: dict[str, Peer] = {
    "linen": Linen(),
    "nnx": NNX(),
    "haiku": Haiku(),
    "equinox": Equinox(),
    "keras": Keras(),
    "cudnn": CuDNN(),
    "torch": Torch(),
    **{f"torch_{name}": TorchOnGPU(name) for name in ARITHMETICS},
}
#: Those that are PyTorch in one arithmetic.
TORCH_PEERS = tuple(f"torch_{name}" for name in ARITHMETICS)


def chosen(names: Sequence[str]) -> list[Peer]:
    """The peers of these names; no peer for `none`, and on a GPU all arithmetics for `torch`."""
    meant = [
        each
        for name in names
        if name != "none"
        for each in (TORCH_PEERS if name == "torch" and on_gpu() else (name,))
    ]
    return [PEERS[name] for name in dict.fromkeys(meant)]


__all__ = [
    "NNX",
    "PEERS",
    "TORCH",
    "TORCH_PEERS",
    "CuDNN",
    "Equinox",
    "Haiku",
    "Keras",
    "Linen",
    "Peer",
    "Torch",
    "check_version",
    "chosen",
]
