"""Times and memory of updates and of generated symbols, network beside network.

All networks of one size take turns in one process, round by round. Rows are kept as soon as they
are measured, so that a run that was stopped measures the others only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.rnn_vs_transformer.config import Config
from experiments.rnn_vs_transformer.networks import Contender
from rnnlab.arrays import Array, Int, Key, Params, State
from rnnlab.data.pipelines import Window
from rnnlab.errors import RunError
from rnnlab.nn.transformer import Cache
from rnnlab.run.load import Load, is_busy
from rnnlab.run.progress import Progress
from rnnlab.run.workdir import Workdir
from rnnlab.timing import Program, compile_jax, take_turns
from rnnlab.training.cross_entropy import cross_entropy
from rnnlab.training.devices import compiler_options
from rnnlab.training.language import SymbolModel, language_learner
from rnnlab.training.update import Learner

#: The rows of a work directory.
FILE = "timing.json"
#: What is timed: updates as in training, updates of windows of T steps, generated symbols.
UPDATE, WINDOW, SYMBOL = "update", "window", "symbol"

#: A row: `what`, `size`, `network`, median and quartiles in seconds, every round, `bytes`, and the
#: symbols in a second, which an update reads or which are generated.
Row = dict[str, Any]
#: A program, how often a call of it does what is timed, and the bytes it needs.
Prepared = tuple[Program, int, int]


def timings(
    config: Config, workdir: Workdir, networks: list[Contender], codes: Int[np.ndarray, "codes"]
) -> list[Row]:
    """All rows, of which those that the work directory has are not measured again.

    Args:
        config: what is timed.
        workdir: keeps the rows.
        networks: whose turns they are.
        codes: the text that windows are cut from.
    """
    rows, draw = _read(workdir), jax.random.key(config.seed)
    params: dict[str, Params] = {}
    todo = list(_sizes(config))
    done = {(row["what"], row["size"]) for row in rows}
    with Progress("timing", total=len(todo), done=sum(one in done for one in todo)) as bar:
        for what, size in todo:
            if (what, size) in done:
                continue
            params = params or {one.name: jax.jit(one.model.init)(draw) for one in networks}
            make = {UPDATE: _update, WINDOW: _window, SYMBOL: _symbol}[what]
            programs = {
                one.name: make(config, one, params[one.name], size, codes) for one in networks
            }
            rows += _timed(config, what, size, programs)
            workdir.write(FILE, json.dumps(rows, indent=1) + "\n")
            bar.advance(1, f"{what} {size}")
    return rows


def of(rows: list[Row], what: str, network: str) -> list[Row]:
    """The rows of one thing that was timed, of one network, by size."""
    mine = [row for row in rows if (row["what"], row["network"]) == (what, network)]
    return sorted(mine, key=lambda row: row["size"])


def busy(rows: list[Row]) -> int:
    """How many rows were measured while other processes were running."""
    return sum(is_busy(row["others (cores)"]) for row in rows)


def _sizes(config: Config) -> Iterator[tuple[str, int]]:
    yield UPDATE, config.training.length
    yield from ((WINDOW, length) for length in config.timing.lengths)
    yield from ((SYMBOL, position) for position in config.timing.positions)


def _read(workdir: Workdir) -> list[Row]:
    path = workdir.path(FILE)
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        _ = [(row["what"], row["size"], row["network"], row["symbols/s"]) for row in rows]
        return rows
    except (ValueError, LookupError, TypeError) as error:
        raise RunError(f"{path}: is damaged; delete it, and rerun the same command") from error


def _timed(config: Config, what: str, size: int, programs: Mapping[str, Prepared]) -> list[Row]:
    """Rows of programs, which take turns."""
    timing, load = config.timing, Load()
    calls = {name: program.call for name, (program, _, _) in programs.items()}
    times, failed = take_turns(calls, timing.rounds, timing.seconds)
    if failed:
        name, why = next(iter(failed.items()))
        raise RunError(f"{name}, {what} {size}: cannot be timed ({why})")
    others, symbols = load.others(), 1 if what == SYMBOL else config.training.symbols
    rows = []
    for name, (_, count, held) in programs.items():
        low, high = times[name].quartiles
        rows.append(
            {
                "what": what,
                "size": size,
                "network": name,
                "seconds": times[name].median / count,
                "symbols/s": symbols * count / times[name].median,
                "from": low / count,
                "to": high / count,
                "each round": [seconds / count for seconds in times[name].seconds],
                "bytes": held,
                "others (cores)": others,
            }
        )
    return rows


def _update(
    config: Config, one: Contender, params: Params, size: int, codes: np.ndarray
) -> Prepared:
    """An update as in training, whose state continues from the window before."""
    training = config.training_of(one.name)
    learner = language_learner(
        one.model, batch=training.batch, optimiser=training.make(), clip=training.clip()
    )
    return _of_learner(learner, params, _cut(codes, size, training.batch))


def _window(
    config: Config, one: Contender, params: Params, size: int, codes: np.ndarray
) -> Prepared:
    """An update of windows of T steps that are read from the initial state."""
    training = config.training_of(one.name)
    model = one.reaching(size)

    def loss(params: Params, carry: State, window: Window, key: Key) -> Any:
        del key
        _, logits = model.run(params, window.xs, None)
        return cross_entropy(logits, window.targets).mean(), (carry, {})

    learner = Learner(model.init, loss, training.make(), training.clip())
    return _of_learner(learner, params, _cut(codes, size, training.symbols // size))


def _of_learner(learner: Learner, params: Params, window: Window) -> Prepared:
    key = jax.random.key(0)
    shapes = jax.eval_shape(learner.start, key)._replace(params=None, key=None)
    zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    state = zeros._replace(params=params, key=key)
    program = compile_jax(learner.update, state, window, options=compiler_options())
    return program, 1, program.temporaries or 0


def _cut(codes: np.ndarray, length: int, batch: int) -> Window:
    """Any window of that size: what it holds does not change the time."""
    repeated = np.resize(codes, (length + 1) * batch).astype(np.int32)
    columns = repeated.reshape(batch, length + 1).T
    return Window(columns[:-1], columns[1:], np.bool_(False))


def _symbol(
    config: Config, one: Contender, params: Params, size: int, codes: np.ndarray
) -> Prepared:
    """Symbols that are generated after `size` others, and the bytes that are kept of these."""
    del codes
    model, count = one.reaching(size), config.timing.generated
    state = model.initial_state(1)
    if isinstance(state, Cache):  # full, so that it attends to all; of what, changes no time
        state = state._replace(count=jnp.full(1, size, jnp.int32))
    program = compile_jax(_generation(model, count), params, state, options=compiler_options())
    return program, count, sum(leaf.nbytes for leaf in jax.tree.leaves(state))


def _generation(model: SymbolModel, count: int) -> Callable[[Params, State], Any]:
    """The likeliest symbol, again and again."""

    def one(params: Params, carry: tuple[State, Array]) -> tuple[State, Array]:
        state, logits = model.step(params, carry[1], carry[0])
        return state, jnp.argmax(logits, axis=-1).astype(jnp.int32)

    def generate(params: Params, state: State) -> Any:
        start = state, jnp.zeros(1, jnp.int32)
        return jax.lax.fori_loop(0, count, lambda _, carry: one(params, carry), start)[1]

    return generate
