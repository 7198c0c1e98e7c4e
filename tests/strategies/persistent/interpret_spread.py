"""Runs the kernels of `spread` in Pallas' interpreter and compares with `autodiff`: `CELL ...`.

In a process of its own: the interpreter runs every CTA in a thread, each of which waits for the
others, and XLA's pool has only as many threads as there are cores unless `NPROC` says otherwise.
"""

import os
import pathlib
import sys

os.environ |= {"NPROC": "64", "JAX_PLATFORMS": "cpu"}
sys.path.insert(0, str(pathlib.Path(__file__).parents[3]))

import importlib

import jax
import numpy as np

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")

from rnnlab import precision  # noqa: E402
from rnnlab.cells import CELLS  # noqa: E402
from rnnlab.strategies.persistent.chip import Chip  # noqa: E402
from rnnlab.strategies.persistent.fragments import SEQUENCES, UNITS  # noqa: E402
from rnnlab.strategies.persistent.plan import parts_of  # noqa: E402
from rnnlab.strategies.persistent.spread import Spread  # noqa: E402
from rnnlab.strategies.persistent.spread_plan import cut  # noqa: E402
from tests.strategies.persistent.test_kernels import CALLS, TOLERANCES, H, check  # noqa: E402

#: Of a launch; further ones take another.
TILES = 1
#: A batch of three launches.
MANY = 2 * SEQUENCES + 1


def choose(units, narrow, batch, flags, chip):
    """The spread kernels, even for so few units that no GPU would run them so."""
    hidden = -(-units.hidden // UNITS) * UNITS
    plan = cut(units, hidden, TILES, narrow, parts_of(narrow), Chip(processors=999), flags.count)
    assert not isinstance(plan, str), plan
    return Spread(units, flags, narrow, parts_of(narrow), plan, chip.interpret)


if __name__ == "__main__":
    precision.use("float32")
    importlib.import_module("rnnlab.strategies.persistent.blocks").choose = choose
    for name in sys.argv[1:]:
        for dtype, call in (("float32", "reverse"), ("bfloat16", "plain"), ("float16", "lengths")):
            check(CELLS[name](H), dtype, CALLS[call], TOLERANCES[dtype])
            print("agrees:", name, dtype, call, flush=True)
    lengths = np.arange(MANY) % 5
    check(CELLS[sys.argv[1]](H), "float32", {"lengths": lengths}, TOLERANCES["float32"], MANY)
    print("agrees: three launches", flush=True)
