"""Initialisers against linear algebra and distributions computed with NumPy and SciPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from rnnlab.errors import RunError, UsageError
from rnnlab.initializers import (
    INITIALIZERS,
    GateBlocks,
    Gaussian,
    Identity,
    Orthogonal,
    Rescaled,
    Sparse,
    Uniform,
    by_name,
    draw_chrono_bias,
    gate_blocks,
    rescale_to_radius,
    singular_values,
    spectral_radius,
    uniform_like,
)

KEY = jax.random.key(7)
H, K = 16, 3  # one size wherever it does not matter, so that JAX compiles each operation once
SHAPE = (H, K * H)
EVERY = [
    Orthogonal(),
    Identity(),
    Gaussian(),
    Uniform(),
    GateBlocks(Orthogonal()),
    Rescaled(Gaussian(), 0.9),
    Sparse(Gaussian(), 5),
]


def numpy_radius(w):
    return np.abs(np.linalg.eigvals(np.asarray(w, np.float64))).max()


def tolerance(dtype):
    return 1e-12 if dtype == jnp.float64 else 1e-5


# --- every initialiser ---


@pytest.mark.parametrize("init", EVERY, ids=repr)
@pytest.mark.parametrize(
    "dtype", [jnp.float32, jnp.float64, jnp.bfloat16], ids=lambda d: d.__name__
)
def test_shape_type_bits_and_hash(init, dtype):
    first, again = init(KEY, SHAPE, dtype), init(KEY, SHAPE, dtype)
    assert first.shape == SHAPE and first.dtype == dtype
    np.testing.assert_array_equal(first, again)
    assert hash(init) == hash(dataclasses.replace(init)) and init == dataclasses.replace(init)


@pytest.mark.parametrize("init", [Uniform(), Rescaled(GateBlocks(Orthogonal()), 0.9)], ids=repr)
def test_other_keys_other_bits_and_vmap(init):
    keys = jax.random.split(KEY, 3)
    draws = jax.jit(jax.vmap(lambda key: init(key, SHAPE, jnp.float64)))(keys)
    assert not np.array_equal(draws[0], draws[1])
    for key, draw in zip(keys, draws, strict=True):
        np.testing.assert_allclose(init(key, SHAPE, jnp.float64), draw, rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [jnp.int32, jnp.complex64], ids=lambda d: d.__name__)
def test_type_must_be_floating(dtype):
    with pytest.raises(UsageError, match="dtype="):
        Gaussian()(KEY, (2, 2), dtype)


def test_float64_needs_64_bit_types():
    with jax.enable_x64(False), pytest.raises(UsageError, match=r"dtype=float64.*jax_enable_x64"):
        Orthogonal()(KEY, (2, 2), jnp.float64)


@pytest.mark.parametrize("init", EVERY, ids=repr)
def test_works_without_64_bit_types(init):
    with jax.enable_x64(False):
        assert init(KEY, SHAPE).dtype == jnp.float32


# --- single matrices ---


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("shape", [(H, H), SHAPE, SHAPE[::-1], (1, 1)])
def test_orthogonal_has_equal_singular_values(shape, dtype):
    w = np.asarray(Orthogonal(gain=1.5)(KEY, shape, dtype), np.float64)
    gram = w @ w.T if shape[0] <= shape[1] else w.T @ w
    np.testing.assert_allclose(gram, 1.5**2 * np.eye(min(shape)), atol=tolerance(dtype))


def test_orthogonal_is_haar():
    """E tr Q = 0, E (tr Q)² = 1, and rotations are as frequent as reflections.

    Diaconis & Evans 2001: moments of the trace. Without its sign fix QR fails: E tr Q < 0.
    """
    keys = jax.random.split(KEY, 4000)
    q = np.asarray(jax.vmap(lambda key: Orthogonal()(key, (4, 4), jnp.float64))(keys))
    trace = np.trace(q, axis1=1, axis2=2)
    error = 1 / np.sqrt(len(trace))
    assert abs(trace.mean()) < 4 * error
    assert abs((trace**2).mean() - 1) < 4 * np.sqrt(2) * error
    assert abs((np.linalg.det(q) > 0).mean() - 0.5) < 2 * error


def test_orthogonal_gates_without_blocks_have_half_the_radius():
    """Życzkowski & Sommers 2000: a corner of a Haar matrix, one k-th of its size, has ρ = 1/√k."""
    w = Orthogonal()(KEY, (128, 512), jnp.float64)
    np.testing.assert_allclose(spectral_radius(gate_blocks(w)), 0.5, atol=0.05)


def test_identity():
    np.testing.assert_array_equal(Identity(0.5)(KEY, (3, 3)), 0.5 * np.eye(3))
    np.testing.assert_array_equal(Identity()(KEY, (2, 4)), np.eye(2, 4))


@pytest.mark.parametrize("fan_in", [50, 200])
def test_gaussian_and_uniform_follow_their_distribution(fan_in):
    shape, gain = (fan_in, 200), 1.7
    deviation = gain / np.sqrt(fan_in)
    normal = np.asarray(Gaussian(gain)(KEY, shape, jnp.float64)).ravel()
    flat = np.asarray(Uniform(gain)(KEY, shape, jnp.float64)).ravel()
    edge = np.sqrt(3) * deviation
    assert stats.kstest(normal, stats.norm(0, deviation).cdf).pvalue > 1e-3
    assert stats.kstest(flat, stats.uniform(-edge, 2 * edge).cdf).pvalue > 1e-3
    for sample in (normal, flat):
        np.testing.assert_allclose(sample.var(), gain**2 / fan_in, rtol=6 / np.sqrt(sample.size))


def test_every_number_of_a_tree_is_uniform():
    tree = {"w": jnp.zeros((50, 400), jnp.float32), "b": (jnp.ones(20_000, jnp.float64), {})}
    drawn = uniform_like(KEY, tree, 0.1)
    assert jax.tree.map(lambda a: (a.shape, a.dtype), drawn) == jax.tree.map(
        lambda a: (a.shape, a.dtype), tree
    )
    a, b = (np.ravel(leaf) for leaf in jax.tree.leaves(drawn))
    for values in (a, b):
        assert stats.kstest(values, stats.uniform(-0.1, 0.2).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(a, b)[0, 1]) < 0.03
    again = uniform_like(KEY, jax.eval_shape(lambda: tree), 0.1)
    np.testing.assert_array_equal(again["w"], drawn["w"])
    with pytest.raises(UsageError, match=r"bound=-0\.1"):
        uniform_like(KEY, tree, -0.1)


@pytest.mark.parametrize("gain", [float("nan"), float("inf"), -1.0, 1e300, "1", None])
@pytest.mark.parametrize("name", INITIALIZERS)
def test_bad_gain(name, gain):
    with pytest.raises(UsageError, match="gain="):
        by_name(name, gain)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3), (3, -1)])
@pytest.mark.parametrize(
    "init", [Orthogonal(), Identity(), Gaussian(), Uniform(), GateBlocks(Gaussian())]
)
def test_bad_shape(init, shape):
    with pytest.raises(UsageError, match="shape="):
        init(KEY, shape)


def test_sparse_keeps_so_many_incoming_weights_of_each_unit():
    w = np.asarray(Sparse(Gaussian(gain=2.0), 15)(KEY, (50, 400), jnp.float64))
    assert set((w != 0).sum(axis=0)) == {15}
    assert stats.kstest(w[w != 0], stats.norm(scale=2 / np.sqrt(50)).cdf).pvalue > 0.01
    # Each input is as likely as another: 400 · 15 places over 50 rows.
    assert stats.chisquare((w != 0).sum(axis=1)).pvalue > 0.01


def test_sparse_needs_as_many_inputs():
    with pytest.raises(UsageError, match=r"^connections=0: must be a positive integer$"):
        Sparse(Gaussian(), 0)
    with pytest.raises(UsageError, match=r"^connections=5: there are only 4 inputs$"):
        Sparse(Gaussian(), 5)(KEY, (4, 8))


# --- blocks and radii ---


def test_gate_blocks_are_the_column_blocks():
    w = np.arange(2 * 3 * 9, dtype=np.float32).reshape(2, 3, 9)
    blocks = gate_blocks(w)
    assert blocks.shape == (2, 3, 3, 3)
    for gate in range(3):
        np.testing.assert_array_equal(blocks[:, gate], w[:, :, 3 * gate : 3 * gate + 3])


def test_blocks_makes_every_gate_orthogonal_and_different():
    blocks = np.split(np.asarray(GateBlocks(Orthogonal(0.7))(KEY, SHAPE, jnp.float64)), K, axis=1)
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, 0.49 * np.eye(H), atol=1e-12)
    assert np.abs(blocks[0] - blocks[1]).max() > 0.1


@pytest.mark.parametrize("measure", [gate_blocks, lambda w: rescale_to_radius(w, 1.0)])
def test_columns_must_divide_into_blocks(measure):
    with pytest.raises(UsageError, match=r"shape=\(4, 6\)"):
        measure(jnp.ones((4, 6)))
    with pytest.raises(UsageError, match=r"shape=\(4, 6\)"):
        Rescaled(Gaussian(), 1.0)(KEY, (4, 6))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=lambda d: d.__name__)
def test_spectral_radius_and_singular_values_against_numpy(dtype):
    wide = np.random.default_rng(0).standard_normal((K, 2, H, H)).astype(dtype).astype(float)
    rho = spectral_radius(jnp.asarray(wide, dtype))
    sigma = singular_values(jnp.asarray(wide[..., :5], dtype))
    assert rho.dtype == dtype and rho.shape == (K, 2) and sigma.shape == (K, 2, 5)
    expected = np.abs(np.linalg.eigvals(wide)).max(-1)
    np.testing.assert_allclose(rho, expected, rtol=tolerance(dtype))
    expected = np.linalg.svd(wide[..., :5], compute_uv=False)
    np.testing.assert_allclose(sigma, expected, rtol=tolerance(dtype))


def test_radius_and_largest_singular_value_differ():
    """A Jordan block [[a, 1], [0, a]] has ρ = a, and σ = √(a² + 1/4) ± 1/2."""
    jordan = jnp.array([[0.5, 1.0], [0.0, 0.5]], jnp.float64)
    assert spectral_radius(jordan) == 0.5
    expected = np.sqrt(0.5) + np.array([0.5, -0.5])
    np.testing.assert_allclose(singular_values(jordan), expected, rtol=1e-14)


def test_rotation_has_complex_eigenvalues():
    turn = 0.8 * np.array([[np.cos(1), -np.sin(1)], [np.sin(1), np.cos(1)]])
    np.testing.assert_allclose(spectral_radius(turn), 0.8, rtol=1e-15)


@pytest.mark.parametrize("base", [Gaussian(), Uniform(3.0), Orthogonal(), GateBlocks(Orthogonal())])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64], ids=lambda d: d.__name__)
def test_rescaled_meets_the_radius_in_every_block(base, dtype):
    radii = (0.5, 1.0, 1.3)
    for radius, expected in ((0.9, [0.9] * 3), (radii, radii)):
        w = np.asarray(Rescaled(base, radius)(KEY, SHAPE, dtype), np.float64)
        measured = [numpy_radius(block) for block in np.split(w, K, axis=1)]
        np.testing.assert_allclose(measured, expected, rtol=tolerance(dtype))


def test_rescaled_keeps_the_direction_of_the_draw():
    draw = np.asarray(Gaussian()(KEY, SHAPE, jnp.float64))[:, :H]
    w = np.asarray(Rescaled(Gaussian(), 2.0)(KEY, SHAPE, jnp.float64))[:, :H]
    np.testing.assert_allclose(w / draw, 2.0 / numpy_radius(draw), rtol=1e-12)


def test_rescaled_bfloat16_is_measured_in_float32_and_rounded_last():
    narrow = Rescaled(Gaussian(), 0.9)(KEY, SHAPE, jnp.bfloat16)
    wide = Rescaled(Gaussian(), 0.9)(KEY, SHAPE, jnp.float32)
    np.testing.assert_array_equal(narrow, wide.astype(jnp.bfloat16))
    assert spectral_radius(gate_blocks(narrow)).dtype == jnp.float32
    assert rescale_to_radius(narrow, 0.5).dtype == jnp.bfloat16


def test_rescale_under_jit_and_vmap_with_traced_radii():
    w = np.random.default_rng(1).standard_normal((2, *SHAPE))
    radii = np.array([0.5, 1.5])
    out = jax.jit(jax.vmap(rescale_to_radius))(w, radii)
    for matrix, radius in zip(np.asarray(out), radii, strict=True):
        for block in np.split(matrix, K, axis=1):
            np.testing.assert_allclose(numpy_radius(block), radius, rtol=1e-12)
    np.testing.assert_allclose(rescale_to_radius(w, radii[:, None]), out, rtol=1e-12)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("nan"), float("inf"), (1.0, 0.0)])
def test_bad_radius(radius):
    with pytest.raises(UsageError, match="radius="):
        Rescaled(Gaussian(), radius)
    with pytest.raises(UsageError, match="radius="):
        rescale_to_radius(jnp.ones((2, 4)), radius)


def test_radii_must_match_the_blocks():
    with pytest.raises(UsageError, match="radius of shape"):
        rescale_to_radius(jnp.ones((3, 6)), jnp.array([1.0, 2.0, 3.0]))
    with pytest.raises(UsageError, match="radius of shape"):
        rescale_to_radius(jnp.ones((3, 3)), jnp.array([1.0, 2.0]))


@pytest.mark.parametrize("entry", [1.0, np.nan])
def test_a_draw_without_radius_cannot_be_rescaled(entry):
    nilpotent = jnp.array([[0.0, entry], [0.0, 0.0]], jnp.float64)
    with pytest.raises(UsageError, match=r"block \(0,\) has spectral radius"):
        rescale_to_radius(nilpotent, 1.0)
    with pytest.raises(UsageError, match=r"block \(1,\).*GateBlocks"):
        Rescaled(Identity(), 1.0)(KEY, SHAPE)


@pytest.mark.parametrize("shape", [(3,), ()])
def test_measures_need_matrices(shape):
    for measure in (spectral_radius, singular_values):
        with pytest.raises(UsageError, match="shape="):
            measure(jnp.ones(shape))
    with pytest.raises(UsageError, match="gate_blocks"):
        spectral_radius(jnp.ones((2, 4)))


# --- chrono ---


def test_chrono_bias_is_the_log_of_a_uniform_time():
    bias = np.asarray(draw_chrono_bias(KEY, 4000, 101.0, jnp.float64))
    assert bias.shape == (4000,) and bias.min() >= 0 and bias.max() <= np.log(100)
    assert stats.kstest(np.exp(bias), stats.uniform(1, 99).cdf).pvalue > 1e-3


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16], ids=lambda d: d.__name__)
def test_chrono_bias_types_and_bits(dtype):
    first = draw_chrono_bias(KEY, 16, 50, dtype)
    assert first.dtype == dtype
    np.testing.assert_array_equal(first, draw_chrono_bias(KEY, 16, 50, dtype))


@pytest.mark.parametrize("t_max", [2, 1.0, -5, float("nan"), float("inf")])
def test_chrono_bad_input(t_max):
    with pytest.raises(UsageError, match="t_max="):
        draw_chrono_bias(KEY, 4, t_max)
    with pytest.raises(UsageError, match="hidden=0"):
        draw_chrono_bias(KEY, 0, 100)


# --- names ---


def test_by_name():
    assert by_name("orthogonal", 0.5) == Orthogonal(0.5)
    assert by_name("uniform") == Uniform()
    assert set(INITIALIZERS) == {"orthogonal", "identity", "gaussian", "uniform"}
    with pytest.raises(UsageError, match=r"init='xavier'.*orthogonal, identity, gaussian, uniform"):
        by_name("xavier")


def test_names_and_functions_stand_for_initialisers():
    shape = (6, 12)
    for given, want in (("orthogonal", Orthogonal()), ("gaussian", Gaussian())):
        assert GateBlocks(given) == GateBlocks(want) and Sparse(given, 2) == Sparse(want, 2)
        assert Rescaled(given, 0.5) == Rescaled(want, 0.5)
        np.testing.assert_array_equal(GateBlocks(given)(KEY, shape), GateBlocks(want)(KEY, shape))
    own = GateBlocks(jax.nn.initializers.ones)(KEY, shape)
    assert own.shape == shape and (own == 1).all()
    for wrong in ("orthogonl", 3, None, Orthogonal):
        with pytest.raises(UsageError, match=r"^base=.*: must be one of orthogonal, identity, ga"):
            GateBlocks(wrong)


def test_sizes_of_numpy_are_integers():
    sparse = Sparse(Gaussian(), np.int64(2))
    assert type(sparse.connections) is int and sparse == Sparse(Gaussian(), 2)
    assert draw_chrono_bias(KEY, np.int32(5), 9.0).shape == (5,)


def test_a_matrix_that_no_memory_holds_is_refused_before_it_is_drawn():
    with pytest.raises(RunError, match=r"^out of memory: an array of shape \(10000000, "):
        jax.eval_shape(lambda: Orthogonal()(KEY, (10**7, 10**7)))
    with pytest.raises(RunError, match=r"takes 1,490,116 GiB, and this machine has [\d.,]+ GiB"):
        jax.eval_shape(lambda: Gaussian()(KEY, (10**7, 4 * 10**7)))
