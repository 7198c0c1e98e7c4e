"""Compiles the kernels of every cell for an H100, on a machine without a GPU: `DTYPE`.

What does not fit on the chip is an error here, and does not go to `hoisted`.

Needs `jax-cuda13-plugin`, `jax-cuda13-pjrt` and `nvidia-cuda-nvcc`, `nvidia-nvvm`,
`nvidia-cuda-runtime` of the same versions as jax; `pip install --no-deps` is enough.
"""

import dataclasses
import importlib.util
import os
import pathlib
import sys
import time
import warnings

found = importlib.util.find_spec("nvidia")
assert found is not None and found.submodule_search_locations
CUDA = pathlib.Path(next(iter(found.submodule_search_locations))) / "cu13"
os.environ |= {
    "JAX_PLATFORMS": "cpu",
    "JAX_SKIP_CUDA_CONSTRAINTS_CHECK": "1",  # no cuDNN is needed
    "CUDA_ROOT": str(CUDA),
    "PATH": f"{CUDA / 'bin'}:{os.environ['PATH']}",
}
ROOT = pathlib.Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from jax.experimental import topologies  # noqa: E402

from rnnlab import unroll  # noqa: E402
from rnnlab.cells import CELLS  # noqa: E402
from rnnlab.strategies import Persistent, StrategyWarning  # noqa: E402

#: An H100 SXM, as XLA describes it.
H100 = """
gpu_device_info {
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: 233472 threads_per_core_limit: 2048 core_count: 132 fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: 3352320000000 l2_cache_size: 52428800 clock_rate_ghz: 1.98
  device_memory_size: 84929347584 shared_memory_per_block_optin: 232448
  cuda_compute_capability { major: 9 } registers_per_core_limit: 65536
  registers_per_block_limit: 65536
}
runtime_version: { major: 13 } platform_name: "CUDA" dnn_version_info { major: 9 minor: 15 }
device_description_str: "NVIDIA H100 80GB HBM3"
"""
T, D = 64, 64
#: Batch and units of each cell, and of those whose units many CTAs share, in several launches.
SIZE, LARGE, SHARED = (32, 64), (256, 512), ("tanh", "gru", "gru_reset_before", "lstm")


@dataclasses.dataclass(frozen=True)
class OnHopper(Persistent):
    """The strategy as on a GPU with Hopper's instructions."""

    def _reason(self):
        return None


def main(dtype):
    """Compiles the gradient of each cell."""
    warnings.simplefilter("error", StrategyWarning)
    topology = topologies.get_topology_desc(platform="cuda", target_config=H100, topology="1x1x1")
    device = jax.sharding.SingleDeviceSharding(topology.devices[0])

    def shape(a):
        return jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=device)

    sizes = [(name, SIZE) for name in CELLS] + [(name, LARGE) for name in SHARED]
    for name, (batch, hidden) in sizes:
        if name == "lstm_cell_norm":  # whose normalisation mixes the units
            continue
        cell = CELLS[name](hidden)
        params = jax.eval_shape(lambda cell=cell: cell.init(jax.random.key(0), D, dtype))
        xs = jax.ShapeDtypeStruct((T, batch, D), dtype)

        def loss(params, xs, cell=cell):
            return unroll(cell, params, xs, strategy=OnHopper())[1].astype(jnp.float32).sum()

        start = time.perf_counter()
        jax.jit(jax.grad(loss)).trace(*jax.tree.map(shape, (params, xs))).lower().compile()
        seconds = time.perf_counter() - start
        print("compiled", name, f"with {hidden} units in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(jnp.dtype(sys.argv[1]))
