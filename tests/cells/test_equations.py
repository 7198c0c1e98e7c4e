"""Every cell against its equations in NumPy, and what all cells have in common."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import rnnlab.cells as cells
from rnnlab.cells.base import gate_slice
from rnnlab.errors import UsageError
from rnnlab.initializers import Gaussian, Identity, Orthogonal
from rnnlab.unroll import unroll
from tests.cells import reference

D, H = 3, 4
NAMES = [*cells.CELLS, "lstm_vanilla"]
FORGET_GATE = ["lstm", "lstm_peephole", "lstm_cell_norm", "lstm_vanilla", "lstm_nig", "lstm_nog"]


def make(name, hidden=H, **settings):
    if name == "lstm_vanilla":  # under its flag it is lstm_peephole
        return cells.GreffLSTM(hidden, "vanilla", **settings)
    cell = cells.by_name(name, hidden, **settings)
    assert isinstance(cell, cells.StandardCell)
    return cell


def make_params(cell, features_in=D, dtype=jnp.float64):
    """Parameters of the cell's shapes, none of them zero, so that each one shows."""
    shapes = jax.eval_shape(lambda key: cell.init(key, features_in, dtype), jax.random.key(0))
    rng = np.random.default_rng(0)
    return {
        name: jnp.asarray(0.7 * rng.normal(size=leaf.shape), leaf.dtype)
        for name, leaf in sorted(shapes.items())
    }


def make_state(cell, batch_shape, dtype=jnp.float64, seed=1):
    rng = np.random.default_rng(seed)
    zeros = cell.initial_state(batch_shape, dtype)
    return jax.tree.map(lambda z: jnp.asarray(rng.normal(size=z.shape), dtype), zeros)


@pytest.mark.parametrize(("batch_shape", "features_in"), [((), H), ((2, 3), D)])
@pytest.mark.parametrize("name", NAMES)
def test_step_follows_the_equations(name, batch_shape, features_in):
    cell = make(name)
    params, state = make_params(cell, features_in), make_state(cell, batch_shape)
    x = np.random.default_rng(2).normal(size=(*batch_shape, features_in))
    after, y = cell.step(params, jnp.asarray(x), state)

    numbers = {key: np.asarray(value) for key, value in params.items()}
    for row in np.ndindex(*batch_shape):
        before = {part: np.asarray(value)[row] for part, value in state._asdict().items()}
        expected = reference.step(cell, numbers, x[row], before)
        for part, value in after._asdict().items():
            np.testing.assert_allclose(value[row], expected[part], rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(y[row], expected["h"], rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_of_some_steps_is_its_finite_difference(name):
    """Every parameter, the input and the initial state, along random directions."""
    cell = make(name)
    rng = np.random.default_rng(3)
    at = {
        "params": make_params(cell),
        "xs": jnp.asarray(rng.normal(size=(4, 2, D))),
        "state": make_state(cell, (2,)),
    }
    w_y = rng.normal(size=(4, 2, H))
    w_s = jax.tree.map(lambda s: rng.normal(size=s.shape), at["state"])

    def loss_of(final, ys):
        terms = [(w * s).sum() for w, s in zip(w_s, final, strict=True)]
        return sum(terms, start=(w_y * ys).sum())

    def loss(at):
        state, ys = at["state"], []
        for x in at["xs"]:
            state, y = cell.step(at["params"], x, state)
            ys.append(y)
        return loss_of(state, jnp.stack(ys))

    def loss_in_numpy(at):
        return loss_of(*reference.run(cell, at["params"], at["xs"], at["state"]))

    leaves, treedef = jax.tree.flatten(at)
    gradients = treedef.flatten_up_to(jax.grad(loss)(at))
    for place, (leaf, gradient) in enumerate(zip(leaves, gradients, strict=True)):
        direction = rng.normal(size=leaf.shape)

        def along(epsilon, place=place, direction=direction):
            moved = [np.asarray(each) for each in leaves]
            moved[place] = moved[place] + epsilon * direction
            return loss_in_numpy(treedef.unflatten(moved))

        difference = (along(1e-5) - along(-1e-5)) / 2e-5
        np.testing.assert_allclose(np.sum(gradient * direction), difference, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
@pytest.mark.parametrize("name", NAMES)
def test_dtype_is_kept(name, dtype):
    """Under strict promotion, and the numbers are those of float64 to the precision of the type."""
    cell = make(name)
    dtype = np.dtype(dtype)
    params, state = make_params(cell, dtype=dtype), make_state(cell, (), dtype)
    assert {leaf.dtype for leaf in params.values()} == {dtype}
    x = jnp.asarray(np.random.default_rng(4).normal(size=D), dtype)
    after, y = cell.step(params, x, state)
    assert {leaf.dtype for leaf in (*after, y)} == {dtype}

    wide = jax.tree.map(lambda a: np.asarray(a, np.float64), (params, x, state._asdict()))
    expected = reference.step(cell, *wide)["h"]
    error = np.abs(np.asarray(y, np.float64) - expected).max()
    assert error < 10 * float(jnp.finfo(dtype).eps)


def elman_layout(k, **more):
    return {"wx": (D, k * H), "wh": (H, k * H), "b": (k * H,)} | more


LAYOUT = {
    "tanh": elman_layout(1),
    "relu": elman_layout(1),
    "sigmoid": elman_layout(1),
    "linear": elman_layout(1),
    "additive": {"wx": (D, H), "b": (H,)},
    "cec": elman_layout(1),
    "lstm1997": elman_layout(3),
    "lstm": elman_layout(4),
    "lstm_peephole": elman_layout(4, p=(3, H)),
    "lstm_coupled": elman_layout(3),
    "lstm_cell_norm": elman_layout(4, c_gain=(H,), c_bias=(H,)),
    "lstm_vanilla": elman_layout(4, p=(3, H)),
    "lstm_nig": elman_layout(3, p=(2, H)),
    "lstm_nfg": elman_layout(3, p=(2, H)),
    "lstm_nog": elman_layout(3, p=(2, H)),
    "lstm_niaf": elman_layout(4, p=(3, H)),
    "lstm_noaf": elman_layout(4, p=(3, H)),
    "lstm_cifg": elman_layout(3, p=(2, H)),
    "lstm_np": elman_layout(4),
    "lstm_fgr": elman_layout(4, p=(3, H), wg=(3 * H, 3 * H)),
    "gru": elman_layout(3, bh=(H,)),
    "gru_reset_before": elman_layout(3),
    "mgu": elman_layout(2),
    "minimal": elman_layout(1, we=(H, H), bh=(H,)),
    "mut1": {"wx": (D, 2 * H), "wh": (H, 2 * H), "b": (3 * H,), "wp": (D, H)},
    "mut2": {"wx": (D, 2 * H), "wh": (H, 3 * H), "b": (3 * H,), "wp": (D, H)},
    "mut3": elman_layout(3),
}


@pytest.mark.parametrize("name", NAMES)
def test_parameter_layout(name):
    cell = make(name)
    params = cell.init(jax.random.key(0), D)
    assert {key: value.shape for key, value in params.items()} == LAYOUT[name]
    assert params["b"].shape == (len(cell.gate_names) * H,)
    if "wh" in params:
        assert params["wh"].shape == (H, len(cell.recurrent_gate_names) * H)
    else:
        assert cell.recurrent_gate_names == ()


@pytest.mark.parametrize("name", NAMES)
def test_each_recurrent_block_is_drawn_by_itself(name):
    """The default is orthogonal block by block, and no two blocks are equal."""
    params = make(name).init(jax.random.key(0), D, jnp.float64)
    recurrent = [params[key] for key in ("wh",) if key in params]
    if "wg" in params:
        recurrent += np.split(params["wg"], 3)
    blocks = [block for w in recurrent for block in np.split(w, w.shape[1] // H, axis=1)]
    for block in blocks:
        np.testing.assert_allclose(block @ block.T, np.eye(H), atol=1e-14)
    for place, block in enumerate(blocks):
        assert all(np.abs(block - other).max() > 1e-3 for other in blocks[:place])


@pytest.mark.parametrize("name", NAMES)
def test_initial_state_is_zero_and_of_any_batch_shape(name):
    state = make(name).initial_state((2, 3), jnp.bfloat16)
    assert all(part.shape == (2, 3, H) and part.dtype == jnp.bfloat16 for part in state)
    assert all(not part.any() for part in state)


@pytest.mark.parametrize("name", NAMES)
def test_cells_are_values(name):
    """Equal settings make equal cells, so that compiled programs are shared."""
    cell = make(name)
    assert cell == make(name) and hash(cell) == hash(make(name))
    assert cell != make(name, H + 1)
    assert cell != make(name, wx_init=Gaussian(2.0))
    with pytest.raises(dataclasses.FrozenInstanceError):
        cell.hidden = 7  # pyright: ignore[reportAttributeAccessIssue]


def test_cells_of_all_names_differ():
    assert len({make(name) for name in NAMES}) == len(NAMES)


def test_every_ablation_has_a_name():
    ablations = {cell.variant for cell in map(make, NAMES) if isinstance(cell, cells.GreffLSTM)}
    assert ablations == set(reference.GREFF)


# The same cell by two ways.


def assert_same_unroll(one, params, other, other_params):
    xs = jnp.asarray(np.random.default_rng(5).normal(size=(6, 2, D)))
    final, ys = unroll(one, params, xs)
    other_final, other_ys = unroll(other, other_params, xs)
    np.testing.assert_allclose(ys, other_ys, atol=1e-15)
    np.testing.assert_allclose(final.c, other_final.c, atol=1e-15)


@pytest.mark.parametrize(
    ("one", "other", "zeroed"),
    [
        ("lstm_peephole", "lstm_vanilla", ()),
        ("lstm_peephole", "lstm", ("p",)),
        ("lstm_np", "lstm", ()),
        ("lstm_cifg", "lstm_coupled", ("p",)),
        ("lstm_fgr", "lstm_vanilla", ("wg",)),
    ],
)
def test_special_cases_agree(one, other, zeroed):
    params = make_params(make(one)) | {key: jnp.zeros(LAYOUT[one][key]) for key in zeroed}
    common = {key: params[key] for key in LAYOUT[other]}
    assert_same_unroll(make(one), params, make(other), common)


def test_a_gate_held_open_is_no_gate():
    """The ablated gates, and those of the history, are the LSTM with a bias at infinity."""
    lstm = cells.LSTM(H)
    params = make_params(lstm)

    def opened(*gates):
        b = params["b"]
        for gate in gates:
            b = b.at[gate_slice(lstm, gate)].set(1e6)
        return params | {"b": b}

    def without(*gates):
        kept = [name for name in lstm.gate_names if name not in gates]
        columns = np.concatenate([np.arange(4 * H)[gate_slice(lstm, name)] for name in kept])
        return {key: value[..., columns] for key, value in params.items()}

    assert_same_unroll(lstm, opened("f"), cells.LSTM1997(H), without("f"))
    carousel = cells.ConstantErrorCarousel(H)
    assert_same_unroll(lstm, opened("i", "f", "o"), carousel, without("i", "f", "o"))
    for variant, gate in [("NIG", "i"), ("NFG", "f"), ("NOG", "o")]:
        cut = without(gate) | {"p": jnp.zeros((2, H))}
        assert_same_unroll(lstm, opened(gate), cells.GreffLSTM(H, variant), cut)


# Biases that remember.


@pytest.mark.parametrize("name", FORGET_GATE)
def test_forget_bias_stands_in_the_forget_gate_alone(name):
    cell = make(name, forget_bias=2.5)
    expected = np.zeros(len(cell.gate_names) * H)
    expected[gate_slice(cell, "f")] = 2.5
    np.testing.assert_array_equal(cell.init(jax.random.key(0), D)["b"], expected)


@pytest.mark.parametrize("name", ["lstm_coupled", "lstm_cifg"])
def test_forget_bias_of_coupled_gates_is_that_of_the_implied_gate(name):
    cell = make(name, forget_bias=2.5)
    b_i = np.asarray(cell.init(jax.random.key(0), D, jnp.float64)["b"][gate_slice(cell, "i")])
    np.testing.assert_allclose(1 - reference.sigmoid(b_i), reference.sigmoid(np.array(2.5)))


@pytest.mark.parametrize("name", ["lstm", "lstm_peephole", "lstm_cell_norm"])
def test_chrono_biases_of_the_forget_and_input_gates(name):
    cell = make(name, 400, chrono=100, wh_init=Gaussian(0.0))
    params = cell.init(jax.random.key(0), 1, jnp.float64)
    b_f = np.asarray(params["b"][gate_slice(cell, "f")])
    assert_uniform_memories(b_f, 100)
    np.testing.assert_array_equal(params["b"][gate_slice(cell, "i")], -b_f)
    assert not params["b"][800:].any()


@pytest.mark.parametrize("name", ["gru", "gru_reset_before"])
def test_chrono_bias_of_the_update_gate(name):
    cell = make(name, 400, chrono=100, wh_init=Gaussian(0.0))
    b = np.asarray(cell.init(jax.random.key(0), 1, jnp.float64)["b"])
    assert_uniform_memories(b[400:800], 100)
    assert not b[:400].any() and not b[800:].any()


def assert_uniform_memories(b, t_max):
    """`exp(b) ~ U(1, T_max - 1)`: range, and quartiles within 5 standard errors of the draws."""
    steps = np.exp(b)
    assert steps.min() >= 1 and steps.max() <= t_max - 1
    width = t_max - 2
    for share in (0.25, 0.5, 0.75):
        error = 5 * width * np.sqrt(share * (1 - share) / len(b))
        assert abs(np.quantile(steps, share) - (1 + share * width)) < error


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_chrono_leaves_the_weights_as_they_are(name):
    plain = make(name).init(jax.random.key(0), D)
    chrono = make(name, chrono=50).init(jax.random.key(0), D)
    assert all((plain[key] == chrono[key]).all() for key in plain if key != "b")


# Wrong use.


@pytest.mark.parametrize("hidden", [0, -1, 2.0, True, "4", None])
@pytest.mark.parametrize("name", ["tanh", "lstm", "lstm_fgr", "minimal", "mut1"])
def test_hidden_must_be_a_positive_integer(name, hidden):
    with pytest.raises(UsageError, match=f"^hidden={hidden!r}: must be a positive integer$"):
        make(name, hidden)


@pytest.mark.parametrize("name", ["tanh", "additive", "lstm", "minimal", "mut1"])
def test_features_in_must_be_positive(name):
    with pytest.raises(UsageError, match=r"^features_in=0: must be a positive integer$"):
        make(name).init(jax.random.key(0), 0)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("lstm", {"forget_bias": float("nan")}, "forget_bias=nan: must be a finite number"),
        ("lstm_coupled", {"forget_bias": "1"}, "forget_bias='1': must be a finite number"),
        ("lstm_cifg", {"forget_bias": float("inf")}, "forget_bias=inf: must be a finite number"),
        ("lstm", {"chrono": 2}, "chrono=2: must be None, or the longest dependency"),
        ("gru", {"chrono": "9"}, "chrono='9': must be None, or the longest dependency"),
        ("gru", {"forget_bias": 1.0}, "forget_bias=1.0: cell 'gru' has no such setting, only"),
        ("relu", {"activation": "tanh"}, "activation='tanh': cell 'relu' has no such setting"),
        ("additive", {"activation": "elu"}, "activation='elu': unknown, choose one of tanh"),
    ],
)
def test_settings_are_checked(name, settings, message):
    with pytest.raises(UsageError) as caught:
        make(name, **settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_unknown_variant():
    with pytest.raises(UsageError, match=r"^variant='nig': unknown, choose one of vanilla, NIG"):
        cells.GreffLSTM(H, "nig")


@pytest.mark.parametrize(
    ("name", "hint"),
    [("LSTM", "'lstm'"), ("grru", "'gru'"), ("lstm_peepholes", "'lstm_peephole'"), ("qq", None)],
)
def test_unknown_name_lists_the_known_ones(name, hint):
    with pytest.raises(UsageError) as caught:
        cells.by_name(name, H)
    message = str(caught.value)
    assert message.startswith(f"cell={name!r}: unknown, ")
    assert (f"did you mean {hint}?" in message) == (hint is not None)
    assert all(known in message for known in cells.CELLS)


def test_names_and_functions_stand_for_initialisers():
    assert cells.LSTM(H, wh_init="orthogonal", wx_init="gaussian") == cells.LSTM(H)
    assert cells.PeepholeLSTM(H, p_init="identity").p_init == Identity()
    assert cells.by_name("tanh", H, wh_init="identity").wh_init == Identity()
    for cell in (
        cells.MUT1(H, wx_init="orthogonal"),
        cells.by_name("lstm_nig", H, p_init="uniform"),
    ):
        assert dataclasses.replace(cell, wh_init=Orthogonal()) == cell
        cell.init(jax.random.key(0), D)
    own = cells.Elman(H, wh_init=jax.nn.initializers.ones).init(jax.random.key(0), D)
    assert (own["wh"] == 1).all()
    for wrong in ("orthogonl", 3, Orthogonal):
        with pytest.raises(UsageError, match=r"^wh_init=.*: must be one of orthogonal, identity, "):
            cells.GRU(H, wh_init=wrong)


def test_numbers_of_numpy_are_numbers():
    for kind in (np.int64, np.int32, np.uint8):
        lstm = cells.LSTM(kind(H), forget_bias=np.float32(2), chrono=kind(9))
        assert lstm == cells.LSTM(H, forget_bias=2.0, chrono=9)
        assert type(lstm.hidden) is int and type(lstm.chrono) is int
        assert cells.by_name("gru", kind(H)) == cells.GRU(H)
    params = cells.LSTM(np.int64(H)).init(jax.random.key(0), np.int64(D))
    assert params["wx"].shape == (D, 4 * H) and params["wx"].dtype == jnp.float32
    for wrong in (np.float64(4), np.bool_(True), 2**31, "4"):
        with pytest.raises(UsageError, match=r"^hidden=.*: must be"):
            cells.LSTM(wrong)
