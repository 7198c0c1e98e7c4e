"""Chaotic systems: the order of their integrators, what they conserve, and their exponents."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from rnnlab import systems
from rnnlab.cells import HiddenState
from rnnlab.errors import UsageError
from rnnlab.gradients import lyapunov_exponents
from rnnlab.systems import KuramotoSivashinsky, Lorenz, MackeyGlass, run, trajectory
from rnnlab.systems.kuramoto_sivashinsky import coefficients
from rnnlab.systems.lorenz import flow
from rnnlab.systems.mackey_glass import Past
from rnnlab.systems.runge_kutta import rk4


def orders(errors):
    """Of errors at steps that are halved each time, the order between each two."""
    return np.log2(np.array(errors[:-1]) / np.array(errors[1:]))


def integrated(f, x, time, steps):
    for _ in range(steps):
        x = rk4(f, x, time / steps)
    return np.array(x)


def exact(f, x, time):
    """By another library, to 12 digits."""
    found = solve_ivp(lambda t, y: f(y), (0, time), x, "DOP853", rtol=1e-12, atol=1e-12)
    return found.y[:, -1]


def exponents(system, *, batch, steps, settling, discard):
    """The largest exponent of several trajectories, for each unit of time."""
    state, _ = run(system, system.started(jax.random.key(0), batch), settling)
    nothing = jnp.zeros((steps, batch, 1))
    measured = lyapunov_exponents(system, {}, nothing, state, count=1, discard=discard)
    return np.asarray(measured.exponents)[:, 0] / system.interval


# --- Runge and Kutta, Lorenz ---


def test_the_error_of_runge_and_kutta_is_of_order_four():
    start = (1.0, 2.0, 20.0)
    want = exact(flow, start, 0.5)
    errors = [np.abs(integrated(flow, start, 0.5, n) - want).max() for n in (20, 40, 80, 160)]
    np.testing.assert_allclose(orders(errors), 4, atol=0.15)


@pytest.mark.slow
def test_a_step_of_lorenz_is_that_of_its_equations():
    system = Lorenz(interval=0.05, substeps=2)
    state = HiddenState(jnp.array([[1.0, 2.0, 20.0], [-3.0, 1.0, 15.0]]))
    after, y = system.step({}, jnp.zeros((2, 1)), state)
    for row in range(2):
        want = integrated(flow, tuple(np.asarray(state.h[row])), 0.05, 2)
        np.testing.assert_allclose(after.h[row], want, rtol=1e-13)
    np.testing.assert_array_equal(y, after.h)
    fixed = np.sqrt(72.0)  # x = y = √(β (ρ - 1)), z = ρ - 1
    still = HiddenState(jnp.array([fixed, fixed, 27.0]))
    np.testing.assert_allclose(system.step({}, jnp.zeros(1), still)[1], still.h, rtol=1e-12)


@pytest.mark.slow
def test_the_exponents_of_lorenz_are_the_published_ones():
    system = Lorenz(substeps=2)
    state, _ = run(system, system.started(jax.random.key(0), 8), 1000)
    measured = lyapunov_exponents(system, {}, jnp.zeros((6000, 8, 1)), state, discard=200)
    each = np.asarray(measured.exponents) / system.interval
    np.testing.assert_allclose(each.mean(axis=0), [0.9056, 0, -14.5723], atol=0.02)
    assert each.sum(axis=1) == pytest.approx(-(10 + 1 + 8 / 3), abs=1e-3)  # the divergence


# --- Mackey and Glass ---


@pytest.mark.slow
def test_the_fixed_point_of_mackey_and_glass():
    system = MackeyGlass(substeps=1)
    past = Past(jnp.ones((2, 18)), jnp.zeros((2, 17)))
    after, y = system.step({}, jnp.zeros((2, 1)), past)  # 0.2 / (1 + 1) = 0.1
    np.testing.assert_allclose(after.values, 1, rtol=1e-15)
    np.testing.assert_allclose(after.slopes, 0, atol=1e-16)
    assert y.shape == (2, 1)


@pytest.mark.slow
def test_the_error_of_the_delay_equation_is_of_order_four():
    """From a past that is smooth: a constant one has a kink, which the delay hands on."""
    finest = MackeyGlass(substeps=64)
    start, _ = run(finest, finest.initial_state((1,)), 17 * 6)
    want = np.asarray(run(finest, start, 40)[1])[-1]
    errors = []
    for substeps in (2, 4, 8, 16):
        stride = 64 // substeps
        past = Past(start.values[:, ::stride], start.slopes[:, ::stride])
        found = run(MackeyGlass(substeps=substeps), past, 40)[1]
        errors.append(np.abs(np.asarray(found)[-1] - want).max())
    np.testing.assert_allclose(orders(errors), 4, atol=0.3)
    assert errors[-1] < 1e-7


@pytest.mark.slow
def test_the_exponent_of_mackey_and_glass():
    each = exponents(MackeyGlass(substeps=2), batch=64, steps=8000, settling=3000, discard=1000)
    assert each.mean() == pytest.approx(MackeyGlass.EXPONENT, rel=0.03)
    assert divergence() == pytest.approx(MackeyGlass.EXPONENT, rel=0.03)


def divergence(h=0.1, batch=128, settling=30_000, stretch=1000, stretches=100):
    """The same by Heun's steps and two trajectories, brought together again after each stretch."""
    delay, rng = round(17 / h), np.random.default_rng(0)
    past = np.tile(rng.uniform(0.9, 1.5, batch), (delay + 1, 1))  # a ring, whose oldest is at `at`
    at = 0

    def slope(x, delayed):
        return 0.2 * delayed / (1 + delayed**10) - 0.1 * x

    def advance(ring, at):
        after = (at + 1) % (delay + 1)
        x = ring[at - 1]
        first = slope(x, ring[at])
        ring[at] = x + h / 2 * (first + slope(x + h * first, ring[after]))
        return after

    for _ in range(settling):
        at = advance(past, at)
    apart = 1e-8
    both = np.concatenate([past, past + apart * rng.normal(size=past.shape)], axis=1)
    logs = []
    for _ in range(stretches):
        for _ in range(stretch):
            at = advance(both, at)
        gap = both[:, batch:] - both[:, :batch]
        norm = np.linalg.norm(gap, axis=0)
        logs.append(np.log(norm / apart))
        both[:, batch:] = both[:, :batch] + gap * (apart / norm)
    return np.mean(logs[10:]) / (stretch * h)


def test_a_delay_is_a_whole_number_of_steps():
    with pytest.raises(UsageError, match=r"delay=17\.3: must be a whole number"):
        MackeyGlass(delay=17.3, substeps=2)


# --- Kuramoto and Sivashinsky ---


def test_a_small_wave_grows_as_the_linear_equation_says():
    """`exp((k² - k⁴) t)`, where the quadratic part of the equation is too small to be seen."""
    system = KuramotoSivashinsky(points=16, substeps=1)
    x = np.arange(16) * 2 * np.pi / 16
    wave = 1e-9 * np.cos(2 * x)
    k = 2 * 2 * np.pi / 22
    after = system.step({}, jnp.zeros(1), HiddenState(jnp.asarray(wave)))[1]
    np.testing.assert_allclose(after, wave * np.exp((k**2 - k**4) * 0.25), rtol=1e-6, atol=1e-16)


def test_coefficients_of_slow_waves_are_those_of_runge_and_kutta():
    """As `h L → 0`: h/2 within the step, and h/6, h/6 (twice), h/6 at its end."""
    slow = coefficients(1e-3, 1e6, 8)
    for found, want in zip(slow[2:6], (1 / 2, 1 / 6, 1 / 6, 1 / 6), strict=True):
        np.testing.assert_allclose(found, 1e-3 * want, rtol=1e-9)


@pytest.mark.slow
def test_the_error_of_the_ring_is_of_order_four():
    """Against another library on the same equation in Fourier space, without its splitting."""
    start = trajectory(KuramotoSivashinsky(points=32), 1)[0, 0]
    k = 2 * np.pi / 22 * np.arange(17)

    def slope(u):
        v = np.fft.rfft(u)
        square = np.fft.rfft(u**2) * -0.5j * k
        square[-1] = 0
        return np.fft.irfft((k**2 - k**4) * v + square, 32)

    found = solve_ivp(lambda t, u: slope(u), (0, 2), start, "Radau", rtol=1e-10, atol=1e-11)

    def after(steps):
        system = KuramotoSivashinsky(interval=2 / steps, substeps=1, points=32)
        return np.asarray(run(system, HiddenState(jnp.asarray(start)[None]), steps)[1])[-1, 0]

    finest = after(2048)
    assert np.abs(finest - found.y[:, -1]).max() < 1e-7
    errors = [np.abs(after(steps) - finest).max() for steps in (128, 256, 512)]
    np.testing.assert_allclose(orders(errors), 4, atol=0.25)  # from 3 at long steps
    assert abs(finest.mean()) < 1e-12  # the mean is kept


@pytest.mark.slow
def test_the_exponent_of_the_ring():
    each = exponents(
        KuramotoSivashinsky(substeps=1), batch=8, steps=8000, settling=2000, discard=1000
    )
    assert 0.040 < each.mean() < 0.050


# --- all ---


def test_trajectories_are_in_float64_on_the_attractor_and_repeatable():
    ys = trajectory(Lorenz(substeps=2), 50, batch=2, seed=3)
    assert ys.shape == (50, 2, 3) and ys.dtype == np.float64
    assert np.abs(ys).max() < 60 and ys[..., 2].min() > 0
    np.testing.assert_array_equal(ys, trajectory(Lorenz(substeps=2), 50, batch=2, seed=3))


def test_systems_by_name():
    for name in systems.SYSTEMS:
        system = systems.by_name(name)
        assert system.features_out == len(system.names) and system.steps_per_exponent > 1
    assert systems.by_name("lorenz").steps_per_exponent == pytest.approx(44.17, abs=0.01)
    with pytest.raises(UsageError, match="system='roessler': unknown, choose one of lorenz"):
        systems.by_name("roessler")
    with pytest.raises(UsageError, match="interval=0"):
        Lorenz(interval=0)
    with pytest.raises(UsageError, match="substeps=0"):
        Lorenz(substeps=0)
    with pytest.raises(UsageError, match="points=7"):
        KuramotoSivashinsky(points=7)
