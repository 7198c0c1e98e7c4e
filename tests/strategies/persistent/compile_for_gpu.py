"""Compiles the kernels of every cell for a GPU, on a machine without one: `NAME DTYPE`.

What does not fit on the chip does not go to `hoisted` here, but is said.

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
from rnnlab.strategies.persistent.chip import Chip, chip_of  # noqa: E402

#: Compute capability; multiprocessors, the threads and bytes of shared memory of each, and those of
#: a CTA; bytes of the L2 cache and of memory, bytes a second, GHz: as XLA's target configurations.
FIELDS = ("major", "minor", "cores", "threads", "shared", "of_cta", "l2", "memory", "rate", "clock")
GPUS = {
    "H100": (9, 0, 132, 2048, 233472, 232448, 52428800, 84929347584, 3352320000000, 1.98),
    "B200": (10, 0, 148, 2048, 233472, 232448, 132644864, 191514411008, 7672320000000, 1.965),
    "B300": (10, 3, 158, 2048, 233472, 232448, 135528448, 297021865984, 7936000000000, 1.965),
    "RTX PRO 6000": (12, 0, 188, 1536, 131072, 101376, 134217728, 103079215104, 1792000000000, 2.6),
}
#: A GPU as XLA describes it, with what these have in common.
DESCRIPTION = """
gpu_device_info {{
  threads_per_block_limit: 1024 threads_per_warp: 32 shared_memory_per_block: 49152
  shared_memory_per_core: {shared} threads_per_core_limit: {threads} core_count: {cores}
  fpus_per_core: 128
  block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
  memory_bandwidth: {rate} l2_cache_size: {l2} clock_rate_ghz: {clock}
  device_memory_size: {memory} shared_memory_per_block_optin: {of_cta}
  cuda_compute_capability {{
    major: {major} minor: {minor} feature_extension: ACCELERATED_FEATURES
  }}
  registers_per_core_limit: 65536 registers_per_block_limit: 65536
}}
runtime_version: {{ major: 13 }} platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 15 }}
device_description_str: "NVIDIA {name}"
"""
T, D = 64, 64
#: Batch and units of each cell, and of those whose units many CTAs share, in several launches.
SIZE, LARGE, SHARED = (32, 64), (256, 512), ("tanh", "gru", "gru_reset_before", "lstm")


@dataclasses.dataclass(frozen=True)
class OnGpu(Persistent):
    """The strategy as on a GPU that it runs on."""

    chip: Chip = dataclasses.field(default_factory=Chip)

    def _reason(self):
        return None

    def _chip(self):
        return self.chip


def main(gpu, dtype):
    """Compiles the gradient of each cell."""
    warnings.simplefilter("error", StrategyWarning)
    target = DESCRIPTION.format(name=gpu, **dict(zip(FIELDS, GPUS[gpu], strict=True)))
    topology = topologies.get_topology_desc(platform="cuda", target_config=target, topology="1x1x1")
    device = jax.sharding.SingleDeviceSharding(topology.devices[0])
    strategy = OnGpu(chip=chip_of(topology.devices[0], False))

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
            return unroll(cell, params, xs, strategy=strategy)[1].astype(jnp.float32).sum()

        start = time.perf_counter()
        try:
            traced = jax.jit(jax.grad(loss)).trace(*jax.tree.map(shape, (params, xs)))
        except StrategyWarning as warning:
            print("not compiled:", name, f"with {hidden} units: {warning}", flush=True)
            continue
        traced.lower().compile()
        seconds = time.perf_counter() - start
        print("compiled", name, f"with {hidden} units in {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], jnp.dtype(sys.argv[2]))
