"""Learning rates of a population: drawn as they should be, and used as if trained alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from rnnlab.training import devices, optimisers
from rnnlab.training.optimisers import Clip
from rnnlab.training.search import RandomRate, learning_rate, scaled_optimiser
from rnnlab.training.update import Learner, updates
from tests import quick

STEPS = 7
KEYS = jax.random.split(jax.random.key(3), 3)
FACTOR = optimisers.schedule("cosine", 1.0, STEPS)
TARGET = jnp.array([1.0, -2.0], jnp.float32)


def loss(params, carry, batch, key):
    del key
    return jnp.sum(jnp.square(params["w"] - TARGET * batch)), (carry, {})


def settings():
    return {
        "init": lambda key: {"w": jax.random.normal(key, (2,), jnp.float32)},
        "loss": loss,
        "clip": Clip(norm=1.0),
        "sample": lambda key: jax.random.uniform(key, dtype=jnp.float32),
    }


def test_rates_are_even_in_logarithms():
    keys = jax.random.split(jax.random.key(0), 4000)
    rates = np.asarray(jax.vmap(lambda key: learning_rate(key, 1e-3, 1e-1))(keys), float)
    assert rates.min() >= 1e-3 * (1 - 1e-6) and rates.max() <= 1e-1 * (1 + 1e-6)
    shares = np.sort((np.log10(rates) + 3) / 2)
    apart = np.abs(shares - (np.arange(4000) + 0.5) / 4000).max()
    assert apart < 1.63 / np.sqrt(4000)  # of Kolmogorov and Smirnov, at 1 %


@pytest.mark.parametrize("name", ["adam", pytest.param("momentum", marks=pytest.mark.slow)])
def test_each_member_learns_as_if_alone_with_its_rate(name):
    """Side by side, and one by one with optax's own schedule of that learning rate."""
    learner = RandomRate(
        **settings(), optimiser=scaled_optimiser(name, FACTOR), lowest=0.01, highest=0.5
    )
    programs = devices.Programs(learner, KEYS, quick.known_options())
    state = programs.start()
    together, _ = programs.updates(STEPS, state, None)(state, None)
    for member, key in enumerate(KEYS):
        rate = learning_rate(key, 0.01, 0.5)
        schedule = lambda count, rate=rate: rate * FACTOR(count)  # noqa: E731
        alone = Learner(**settings(), optimiser=optimisers.OPTIMISERS[name](schedule))
        with jax.numpy_dtype_promotion("standard"):
            final, _ = updates(alone, STEPS, alone.start(key))
        np.testing.assert_allclose(together.params["w"][member], final.params["w"], rtol=2e-5)
    rates = together.opt_state.hyperparams["learning_rate"]
    assert len(set(np.asarray(rates).tolist())) == 3
    assert isinstance(together.opt_state, optax.InjectStatefulHyperparamsState)


def test_the_rate_follows_from_the_key_alone():
    one, other = (
        RandomRate(**settings(), optimiser=scaled_optimiser(name, FACTOR))
        for name in ("adam", "sgd")
    )
    rates = [
        float(learner.start(KEYS[0]).opt_state.hyperparams["learning_rate"])
        for learner in (one, other)
    ]
    assert rates[0] == rates[1] == pytest.approx(float(learning_rate(KEYS[0], 1e-3, 1e-1)))
