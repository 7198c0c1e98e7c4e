"""A user's cell and cells of Flax, in a file of the user's own.

`SOURCE` is such a file; `write` puts it into a folder as the module `my_package.my_module`.
"""

SOURCE = '''
import dataclasses
import functools
import jax, jax.numpy as jnp
from flax import linen, nnx
from rnnlab import HiddenState
from rnnlab.interop import LinenCell, NNXCell

def MyLinen(hidden):
    return LinenCell(linen.GRUCell(hidden))

def MyNNX(hidden):
    return NNXCell(functools.partial(nnx.LSTMCell, hidden_features=hidden))

@dataclasses.dataclass(frozen=True)
class MyCell:
    """h' = a h + (1 - a) tanh(x @ wx + h @ wh), a leaky network."""
    hidden: int
    leak: float = 0.5

    def init(self, key, features_in, dtype=jnp.float32):
        shapes = {"wx": (features_in, self.hidden), "wh": (self.hidden, self.hidden)}
        keys = dict(zip(shapes, jax.random.split(key)))
        return {n: jax.random.normal(keys[n], s, dtype) / s[0] ** 0.5 for n, s in shapes.items()}

    def initial_state(self, batch_shape=(), dtype=jnp.float32):
        return HiddenState(jnp.zeros((*batch_shape, self.hidden), dtype))

    def step(self, params, x, state):
        z = x @ params["wx"] + state.h @ params["wh"]
        h = self.leak * state.h + (1 - self.leak) * jnp.tanh(z)
        return HiddenState(h), h
'''


def write(folder):
    """Writes the file, and returns what flags call the two cells."""
    package = folder / "my_package"
    package.mkdir()
    (package / "my_module.py").write_text(SOURCE)
    return "my_package.my_module:MyCell", "my_package.my_module:MyNNX"
