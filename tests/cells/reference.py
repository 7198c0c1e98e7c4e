"""Every cell once more, as plain NumPy equations in float64, and a Python loop that unrolls them.

Nothing here is shared with the library but the containers of the states: each gate is written with
matrices of its own, cut out of the documented layout, and a batch is a loop over its rows, each cut
into its sequences. `run` is what `rnnlab.unroll` must agree with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Vector = np.ndarray
Step = Callable[[Any, dict[str, Vector], Vector, dict[str, Vector]], dict[str, Vector]]


def run(
    cell: Any,
    params: dict[str, Any],
    xs: Any,
    state: Any = None,
    lengths: Any = None,
    resets: Any = None,
    reverse: bool = False,
) -> tuple[Any, Vector]:
    """Unrolls one cell over `xs [T, *batch, D]`, a row and a sequence at a time.

    Returns the final state, in the type of `cell.initial_state`, and the outputs `[T, *batch, H]`,
    all in float64.
    """
    params = {name: np.asarray(value, np.float64) for name, value in params.items()}
    xs = np.asarray(xs, np.float64)
    steps, batch_shape = xs.shape[0], xs.shape[1:-1]
    kind = type(cell.initial_state())
    zeros = {name: np.zeros((*batch_shape, cell.hidden)) for name in kind._fields}
    given = zeros if state is None else state._asdict()
    final = {name: np.array(part, np.float64) for name, part in given.items()}
    ys = np.zeros((steps, *batch_shape, cell.hidden))
    for row in np.ndindex(*batch_shape):
        length = steps if lengths is None else int(np.asarray(lengths)[row])
        flags = np.zeros(xs.shape[:-1], bool) if resets is None else np.asarray(resets)
        starts = flags[(slice(None), *row)]
        now = {name: part[row] for name, part in final.items()}
        for begin, end, fresh in sequences(starts, length):
            if fresh:
                now = {name: np.zeros(cell.hidden) for name in now}
            times = range(begin, end)
            for time in reversed(times) if reverse else times:
                now = step(cell, params, xs[(time, *row)], now)
                ys[(time, *row)] = now["h"]
        for name, part in now.items():
            final[name][row] = part
    return kind(**final), ys


def sequences(starts: Vector, length: int) -> Iterator[tuple[int, int, bool]]:
    """Begin, end and whether it starts afresh, of each sequence among the first `length` steps."""
    begin = 0
    for time in range(1, length):
        if starts[time]:
            yield begin, time, bool(starts[begin])
            begin = time
    if length:
        yield begin, length, bool(starts[begin])


def step(
    cell: Any, params: dict[str, Vector], x: Vector, state: dict[str, Vector]
) -> dict[str, Vector]:
    """One step of a single row: `x [D]` and parts of the state `[H]`; the output is `h`."""
    return STEPS[type(cell).__name__](cell, params, x, state)


def sigmoid(z: Vector) -> Vector:
    return 0.5 + 0.5 * np.tanh(0.5 * z)


ACTIVATIONS = {
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "sigmoid": sigmoid,
    "identity": lambda z: z,
}


def cut(matrix: Vector, names: str) -> dict[str, Vector]:
    """The equal blocks of the last axis, by the names of their gates."""
    width = matrix.shape[-1] // len(names)
    return {
        name: matrix[..., place * width : (place + 1) * width] for place, name in enumerate(names)
    }


def affine(params: dict[str, Vector], names: str, x: Vector, h: Vector) -> dict[str, Vector]:
    """`x W + h R + b` for each gate, one gate after the other."""
    w, r, b = cut(params["wx"], names), cut(params["wh"], names), cut(params["b"], names)
    return {name: x @ w[name] + h @ r[name] + b[name] for name in names}


def elman(cell, params, x, s):
    z = x @ params["wx"] + s["h"] @ params["wh"] + params["b"]
    return {"h": ACTIVATIONS[cell.activation](z)}


def additive_identity(cell, params, x, s):
    return {"h": s["h"] + ACTIVATIONS[cell.activation](x @ params["wx"] + params["b"])}


def carousel(cell, params, x, s):
    c = s["c"] + np.tanh(x @ params["wx"] + s["h"] @ params["wh"] + params["b"])
    return {"h": np.tanh(c), "c": c}


def lstm_1997(cell, params, x, s):
    a = affine(params, "igo", x, s["h"])
    c = s["c"] + sigmoid(a["i"]) * np.tanh(a["g"])
    return {"h": sigmoid(a["o"]) * np.tanh(c), "c": c}


def lstm(cell, params, x, s):
    a = affine(params, "ifgo", x, s["h"])
    c = sigmoid(a["f"]) * s["c"] + sigmoid(a["i"]) * np.tanh(a["g"])
    return {"h": sigmoid(a["o"]) * np.tanh(c), "c": c}


def cell_norm_lstm(cell, params, x, s):
    a = affine(params, "ifgo", x, s["h"])
    c = sigmoid(a["f"]) * s["c"] + sigmoid(a["i"]) * np.tanh(a["g"])
    normal = (c - np.mean(c)) / np.sqrt(np.mean((c - np.mean(c)) ** 2) + 1e-5)
    return {"h": sigmoid(a["o"]) * np.tanh(params["c_gain"] * normal + params["c_bias"]), "c": c}


def peephole_lstm(cell, params, x, s):
    a = affine(params, "ifgo", x, s["h"])
    p_i, p_f, p_o = params["p"]
    i, f = sigmoid(a["i"] + p_i * s["c"]), sigmoid(a["f"] + p_f * s["c"])
    c = f * s["c"] + i * np.tanh(a["g"])
    return {"h": sigmoid(a["o"] + p_o * c) * np.tanh(c), "c": c}


def coupled_lstm(cell, params, x, s):
    a = affine(params, "igo", x, s["h"])
    i = sigmoid(a["i"])
    c = (1 - i) * s["c"] + i * np.tanh(a["g"])
    return {"h": sigmoid(a["o"]) * np.tanh(c), "c": c}


def greff_lstm(cell, params, x, s):
    return GREFF[cell.variant](params, x, s)


def greff_vanilla(params, x, s):
    return peephole_lstm(None, params, x, s)


def greff_nig(params, x, s):
    a = affine(params, "fgo", x, s["h"])
    p_f, p_o = params["p"]
    c = sigmoid(a["f"] + p_f * s["c"]) * s["c"] + np.tanh(a["g"])
    return {"h": sigmoid(a["o"] + p_o * c) * np.tanh(c), "c": c}


def greff_nfg(params, x, s):
    a = affine(params, "igo", x, s["h"])
    p_i, p_o = params["p"]
    c = s["c"] + sigmoid(a["i"] + p_i * s["c"]) * np.tanh(a["g"])
    return {"h": sigmoid(a["o"] + p_o * c) * np.tanh(c), "c": c}


def greff_nog(params, x, s):
    a = affine(params, "ifg", x, s["h"])
    p_i, p_f = params["p"]
    i, f = sigmoid(a["i"] + p_i * s["c"]), sigmoid(a["f"] + p_f * s["c"])
    c = f * s["c"] + i * np.tanh(a["g"])
    return {"h": np.tanh(c), "c": c}


def greff_niaf(params, x, s):
    a = affine(params, "ifgo", x, s["h"])
    p_i, p_f, p_o = params["p"]
    i, f = sigmoid(a["i"] + p_i * s["c"]), sigmoid(a["f"] + p_f * s["c"])
    c = f * s["c"] + i * a["g"]
    return {"h": sigmoid(a["o"] + p_o * c) * np.tanh(c), "c": c}


def greff_noaf(params, x, s):
    a = affine(params, "ifgo", x, s["h"])
    p_i, p_f, p_o = params["p"]
    i, f = sigmoid(a["i"] + p_i * s["c"]), sigmoid(a["f"] + p_f * s["c"])
    c = f * s["c"] + i * np.tanh(a["g"])
    return {"h": sigmoid(a["o"] + p_o * c) * c, "c": c}


def greff_cifg(params, x, s):
    a = affine(params, "igo", x, s["h"])
    p_i, p_o = params["p"]
    i = sigmoid(a["i"] + p_i * s["c"])
    c = (1 - i) * s["c"] + i * np.tanh(a["g"])
    return {"h": sigmoid(a["o"] + p_o * c) * np.tanh(c), "c": c}


def greff_np(params, x, s):
    return lstm(None, params, x, s)


def greff_fgr(params, x, s):
    a = affine(params, "ifgo", x, s["h"])
    p_i, p_f, p_o = params["p"]
    r = {source: cut(rows, "ifo") for source, rows in cut_rows(params["wg"], "ifo").items()}
    for target in "ifo":
        for source in "ifo":
            a[target] = a[target] + s[source] @ r[source][target]
    i, f = sigmoid(a["i"] + p_i * s["c"]), sigmoid(a["f"] + p_f * s["c"])
    c = f * s["c"] + i * np.tanh(a["g"])
    o = sigmoid(a["o"] + p_o * c)
    return {"h": o * np.tanh(c), "c": c, "i": i, "f": f, "o": o}


def cut_rows(matrix: Vector, names: str) -> dict[str, Vector]:
    return {name: rows.T for name, rows in cut(matrix.T, names).items()}


GREFF = {
    "vanilla": greff_vanilla,
    "NIG": greff_nig,
    "NFG": greff_nfg,
    "NOG": greff_nog,
    "NIAF": greff_niaf,
    "NOAF": greff_noaf,
    "CIFG": greff_cifg,
    "NP": greff_np,
    "FGR": greff_fgr,
}


def gru(cell, params, x, s):
    w, r, b = cut(params["wx"], "rzn"), cut(params["wh"], "rzn"), cut(params["b"], "rzn")
    reset = sigmoid(x @ w["r"] + s["h"] @ r["r"] + b["r"])
    update = sigmoid(x @ w["z"] + s["h"] @ r["z"] + b["z"])
    n = np.tanh(x @ w["n"] + b["n"] + reset * (s["h"] @ r["n"] + params["bh"]))
    return {"h": (1 - update) * n + update * s["h"]}


def gru_reset_before(cell, params, x, s):
    w, r, b = cut(params["wx"], "rzn"), cut(params["wh"], "rzn"), cut(params["b"], "rzn")
    reset = sigmoid(x @ w["r"] + s["h"] @ r["r"] + b["r"])
    update = sigmoid(x @ w["z"] + s["h"] @ r["z"] + b["z"])
    n = np.tanh(x @ w["n"] + (reset * s["h"]) @ r["n"] + b["n"])
    return {"h": (1 - update) * n + update * s["h"]}


def mgu(cell, params, x, s):
    w, r, b = cut(params["wx"], "fn"), cut(params["wh"], "fn"), cut(params["b"], "fn")
    f = sigmoid(x @ w["f"] + s["h"] @ r["f"] + b["f"])
    n = np.tanh(x @ w["n"] + (f * s["h"]) @ r["n"] + b["n"])
    return {"h": (1 - f) * s["h"] + f * n}


def minimal_rnn(cell, params, x, s):
    z = np.tanh(x @ params["wx"] + params["b"])
    keep = sigmoid(z @ params["we"] + s["h"] @ params["wh"] + params["bh"])
    return {"h": keep * s["h"] + (1 - keep) * z}


def shortcut(cell, params, x):
    """The input where MUT1 and MUT2 add it as it is: projected only if it has another width."""
    assert ("wp" in params) == (len(x) != cell.hidden)
    return x @ params["wp"] if "wp" in params else x


def mut1(cell, params, x, s):
    w, r, b = cut(params["wx"], "rz"), cut(params["wh"], "rn"), cut(params["b"], "rzn")
    z = sigmoid(x @ w["z"] + b["z"])
    reset = sigmoid(x @ w["r"] + s["h"] @ r["r"] + b["r"])
    n = np.tanh((reset * s["h"]) @ r["n"] + np.tanh(shortcut(cell, params, x)) + b["n"])
    return {"h": n * z + s["h"] * (1 - z)}


def mut2(cell, params, x, s):
    w, r, b = cut(params["wx"], "zn"), cut(params["wh"], "rzn"), cut(params["b"], "rzn")
    z = sigmoid(x @ w["z"] + s["h"] @ r["z"] + b["z"])
    reset = sigmoid(shortcut(cell, params, x) + s["h"] @ r["r"] + b["r"])
    n = np.tanh((reset * s["h"]) @ r["n"] + x @ w["n"] + b["n"])
    return {"h": n * z + s["h"] * (1 - z)}


def mut3(cell, params, x, s):
    w, r, b = cut(params["wx"], "rzn"), cut(params["wh"], "rzn"), cut(params["b"], "rzn")
    z = sigmoid(x @ w["z"] + np.tanh(s["h"]) @ r["z"] + b["z"])
    reset = sigmoid(x @ w["r"] + s["h"] @ r["r"] + b["r"])
    n = np.tanh((reset * s["h"]) @ r["n"] + x @ w["n"] + b["n"])
    return {"h": n * z + s["h"] * (1 - z)}


STEPS: dict[str, Step] = {
    "Elman": elman,
    "AdditiveIdentity": additive_identity,
    "ConstantErrorCarousel": carousel,
    "LSTM1997": lstm_1997,
    "LSTM": lstm,
    "CellNormLSTM": cell_norm_lstm,
    "PeepholeLSTM": peephole_lstm,
    "CoupledLSTM": coupled_lstm,
    "GreffLSTM": greff_lstm,
    "GRU": gru,
    "GRUResetBefore": gru_reset_before,
    "MGU": mgu,
    "MinimalRNN": minimal_rnn,
    "MUT1": mut1,
    "MUT2": mut2,
    "MUT3": mut3,
}
