"""Parity, which no feedforward network of a fixed window can tell, by a recurrent network."""

import jax
import jax.numpy as jnp
import optax

from rnnlab import GRU, Elman, unroll


def bits(key: jax.Array, steps: int, rows: int) -> tuple[jax.Array, jax.Array]:
    """Random bits `[T, B, 1]`, and after each whether the number of ones so far is odd `[T, B]`."""
    xs = jax.random.bernoulli(key, 0.5, (steps, rows, 1)).astype(jnp.float32)
    return xs, xs[..., 0].cumsum(axis=0).astype(jnp.int32) % 2


def by_hand(steps: int = 1000, steep: float = 20.0) -> float:
    """Share of right answers of two units with weights that were thought up, not learned.

    Let `p` be the parity so far. One unit is on if `x + p > 0.5`, the other if `x + p > 1.5`; the
    new parity is the first without the second, which is what both read as `p`.
    """
    params = {
        "wx": steep * jnp.array([[1.0, 1.0]]),
        "wh": steep * jnp.array([[1.0, 1.0], [-1.0, -1.0]]),
        "b": steep * jnp.array([-0.5, -1.5]),
    }
    xs, odd = bits(jax.random.key(0), steps, 100)
    _, hs = unroll(Elman(2, activation="sigmoid"), params, xs)
    return float(jnp.mean((hs[..., 0] - hs[..., 1] > 0.5) == odd))


def trained(updates: int = 300, steps: int = 12, longer: int = 1000) -> dict[str, float]:
    """Share of right answers of a GRU that learned on short sequences: there, and on long ones."""
    cell, tell = GRU(16), optax.adam(0.02)
    params = {"cell": cell.init(jax.random.key(1), 1), "w": jnp.zeros(16), "b": jnp.zeros(())}

    def logits(params: dict, xs: jax.Array) -> jax.Array:
        return unroll(cell, params["cell"], xs)[1] @ params["w"] + params["b"]

    def loss(params: dict, key: jax.Array) -> jax.Array:
        xs, odd = bits(key, steps, 64)
        labels = odd.astype(jnp.float32)
        return optax.sigmoid_binary_cross_entropy(logits(params, xs), labels).mean()

    @jax.jit
    def update(params: dict, state: optax.OptState, key: jax.Array) -> tuple:
        change, state = tell.update(jax.grad(loss)(params, key), state)
        return optax.apply_updates(params, change), state

    state = tell.init(params)
    for key in jax.random.split(jax.random.key(2), updates):
        params, state = update(params, state, key)
    shares = {}
    for length in (steps, longer):
        xs, odd = bits(jax.random.key(3), length, 100)
        shares[f"T = {length}"] = float(jnp.mean((logits(params, xs) > 0) == odd))
    return shares
