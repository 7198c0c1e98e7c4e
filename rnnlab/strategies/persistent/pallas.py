"""What all kernels take from Pallas for NVIDIA GPUs (Mosaic), whose interface still moves.

Beside this module, `launch.py`, `exchange.py` and `instructions.py` have what only `spread` needs;
the rest of this folder speaks of rows and products. What the kernels take exists since JAX 0.11,
and was compiled with the versions of `TESTED`; any other gives the cell to `hoisted`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.tracing import bind, read

#: Versions of JAX, first two numbers, with which the kernels were compiled.
TESTED = ("0.11",)
#: Compute capabilities of the GPUs for which they were compiled: H100 and its like, B200, B300, RTX
#: of Blackwell. For 8.0 and 8.9 Mosaic (JAX 0.11.2) ends the process: they have no `elect.sync`.
CAPABILITIES = ("9.0", "10.0", "10.3", "12.0")
#: Sequences that one CTA runs: the columns of the smallest product of the tensor cores.
TILE = 8
#: Units of a warpgroup in the resident kernels: the rows of its products.
ROWS = 64
#: Threads of a warpgroup.
THREADS = 128

#: Elementwise operations that Mosaic lowers as they are.
# fmt: off
LOWERED = frozenset((
    "abs", "add", "and", "broadcast_in_dim", "clamp", "convert_element_type", "cos", "div", "eq",
    "exp", "exp2", "ge", "gt", "integer_pow", "le", "log", "logistic", "lt", "max", "min", "mul",
    "ne", "neg", "one_minus_square", "or", "rem", "round", "rsqrt", "select_n", "sign",
    "sin", "sqrt", "square", "sub", "tanh",
))
# fmt: on


def _log1p(x: Array) -> Array:
    """Kahan's form, exact where `1 + x` is rounded."""
    u = 1.0 + x
    return jnp.where(u == 1.0, x, jnp.log(u) * x / jnp.where(u == 1.0, 1.0, u - 1.0))


def _expm1(x: Array) -> Array:
    """Kahan's form, exact where `exp(x)` is close to 1."""
    u = jnp.exp(x)
    log = jnp.log(jnp.where((u == 1.0) | (u == 0.0), 2.0, u))
    ratio = jnp.where(u == jnp.inf, u, (u - 1.0) * x / log)
    return jnp.where(u == 1.0, x, jnp.where(u - 1.0 == -1.0, -1.0, ratio))


def _one_over(power: int, x: Array) -> Array:
    """`x` to a negative power, of which Mosaic knows none."""
    return 1.0 / lax.integer_pow(x, power)


#: Operations that are written with others, since Mosaic does not know them.
WRITTEN: dict[str, Callable[..., Array]] = {
    "add_any": lax.add,  # the sum of adjoints
    "copy": lambda x: x,
    "cosh": lambda x: 0.5 * (jnp.exp(x) + jnp.exp(-x)),
    "expm1": _expm1,
    "log1p": _log1p,
    "not": lambda x: jnp.where(x, jnp.float32(0), jnp.float32(1)) > 0.5,
    "sinh": lambda x: 0.5 * (_expm1(x) - _expm1(-x)),
    "stop_gradient": lambda x: x,
    "tan": lambda x: jnp.sin(x) / jnp.cos(x),
}
#: Those that are faster in another form, where results have 16 bits: tanh is one instruction,
#: a division several.
APPROXIMATED: dict[str, Callable[..., Array]] = {
    "logistic": lambda x: 0.5 * jnp.tanh(0.5 * x) + 0.5,
}


def unknown(operations: Iterable[str]) -> str | None:
    """The first of these operations that no kernel can run; None where all can."""
    known = LOWERED | set(WRITTEN) | {"custom_jvp_call"}
    return next((name for name in operations if name not in known), None)


def missing() -> str | None:
    """What keeps the kernels from being compiled with this JAX; None where nothing does."""
    version = ".".join(jax.__version__.split(".")[:2])
    if version not in TESTED:
        return (
            f"jax {jax.__version__} is installed, its kernels were compiled with "
            f"{' and '.join(TESTED)} only"
        )
    try:
        mosaic()
    except ImportError as error:
        return f"Pallas cannot be imported ({error})"
    return None


def mosaic() -> Any:
    """Pallas for Mosaic, imported when it is needed."""
    from jax.experimental.pallas import mosaic_gpu

    return mosaic_gpu


class Rows:
    """Arrays that a warpgroup holds in registers, in the layout of one product's result.

    Attributes:
      shape: of these arrays, rows and columns.
      operands: dtype of the operands of products.
      exact: whether functions are computed to float32, or as fast as 16 bits allow.
      interpret: whether the kernel is run by Pallas' interpreter on a CPU.
    """

    def __init__(self, shape: tuple[int, int], operands: Any, exact: bool, interpret: bool) -> None:
        self.shape, self.operands = shape, operands
        self.exact, self.interpret = exact, interpret
        layouts = mosaic().Layout
        self._result = layouts.MMA_ACC(operands)
        self._left = layouts.MMA_LHS(operands)
        self._right = layouts.MMA_RHS(operands)

    def load(self, ref: Any) -> Array:
        """Rows of an array in memory."""
        return mosaic().load(ref, layout=self._result, optimized=False)

    def weight(self, ref: Any) -> Array:
        """A weight, in the layout of the left operand."""
        return mosaic().load(ref, layout=self._left, optimized=False)

    def full(self, shape: tuple[int, ...], value: float = 0.0) -> Array:
        """An array of one number."""
        return self.place(jnp.full(shape, value, jnp.float32))

    def place(self, a: Array) -> Array:
        """`a` in the layout of results."""
        return mosaic().layout_cast(a, self._result) if a.ndim else a

    def vectors(self, ref: Any) -> Array:
        """Vectors `[n, columns]` in shared memory, in the layout of the right operand."""
        return mosaic().load(ref, layout=self._right)

    def product(self, weight: Array, vectors: Array) -> Array:
        """`weight @ vectors` in float32."""
        if self.interpret:  # which has no such product
            return jnp.dot(weight, vectors, preferred_element_type=jnp.float32)
        zero = self.full((weight.shape[0], vectors.shape[1]))
        return mosaic().mma(zero, weight, vectors)

    def apply(self, eqn: Any, values: Sequence[Any]) -> Sequence[Any]:
        """One elementwise operation.

        The layout of every result is fixed at once. Left to infer them all together, Mosaic
        searches, and gives up with "failed to find a solution" where constants fit any layout.
        """
        name = eqn.primitive.name
        if name == "custom_jvp_call":
            return self._run(eqn.params["call_jaxpr"], values)
        if name == "broadcast_in_dim":  # of a number, in a trace of arrays of another shape
            return [self.place(jnp.broadcast_to(values[0], self.shape))]
        if name == "integer_pow" and eqn.params["y"] < 0:
            return self._run(jax.make_jaxpr(partial(_one_over, -eqn.params["y"]))(*values), values)
        written = WRITTEN | ({} if self.exact else APPROXIMATED)
        if name in written:
            with jax.disable_jit():
                return self._run(jax.make_jaxpr(written[name])(*values), values)
        return [self.place(a) for a in bind(eqn, values)]

    def add(self, a: Array, b: Array) -> Array:
        """`a + b`."""
        return self.place(a + b)

    def where(self, flag: Array, yes: Array, no: Array) -> Array:
        """`yes` where `flag` is 1, `no` where it is 0."""
        return self.place(jnp.where(self.place(flag > 0.5), yes, no))

    def _run(self, closed: Any, values: Sequence[Any]) -> list[Array]:
        env: dict[Any, Any] = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
        env |= dict(zip(closed.jaxpr.invars, values, strict=True))
        for eqn in closed.jaxpr.eqns:
            results = self.apply(eqn, [read(env, var) for var in eqn.invars])
            env |= dict(zip(eqn.outvars, results, strict=True))
        return [read(env, var) for var in closed.jaxpr.outvars]

    def widen(self, a: Array) -> Array:
        """`a` in float32."""
        return a.astype(jnp.float32)

    def where_below(self, limit: Array, a: Array) -> Array:
        """`a` in its first `limit` rows, zero in the others."""
        index = mosaic().broadcasted_iota(jnp.int32, a.shape, 0, layout=self._result)
        return self.place(jnp.where(index < limit, a, jnp.zeros_like(a)))


class Refs(NamedTuple):
    """What the body of a kernel is given.

    Attributes:
      inputs: the arguments of the kernel, as references.
      outputs: its results.
      place: number of the warpgroup, and of the tile.
    """

    inputs: Any
    outputs: Any
    place: tuple[Array, Array]


class Scratch(NamedTuple):
    """Shared memory and barriers: their sizes, or in a kernel what they refer to.

    Attributes:
      vectors: for the vectors of each product.
      weights: for weights.
      barriers: one for each stage, at which all warpgroups meet.
    """

    vectors: Any
    weights: Any
    barriers: Any


def kernel(
    body: Callable[[Refs, Scratch], None],
    outs: list[jax.ShapeDtypeStruct],
    scratch: Scratch,
    tiles: int,
    warpgroups: int,
    operands: Any,
    exact: bool,
    interpret: bool,
    name: str,
) -> Callable[..., Any]:
    """A kernel of one CTA for each tile.

    Empty arguments come to the body as they are.
    """
    plgpu = mosaic()
    memory = [plgpu.SMEM(shape, operands) for shape in (*scratch.vectors, *scratch.weights)]
    barriers = [plgpu.Barrier(num_arrivals=warpgroups) for _ in range(scratch.barriers)]

    def run(*arguments: Any) -> Any:
        filled = Filled(arguments, outs)

        def inner(*refs: Any) -> None:
            rest = refs[len(filled.arguments) :]
            own, meeting = rest[len(filled.results) :], len(memory)
            body(
                Refs(
                    filled.beside_empty_arguments(refs),
                    filled.beside_empty_results(rest),
                    (lax.axis_index("warpgroup"), lax.axis_index("tile")),
                ),
                Scratch(
                    own[: len(scratch.vectors)], own[len(scratch.vectors) : meeting], own[meeting:]
                ),
            )

        inner.__name__ = name
        results = plgpu.kernel(
            inner,
            out_type=filled.results,
            scratch_types=[*memory, *barriers],
            grid=(tiles,),
            grid_names=("tile",),
            num_threads=warpgroups,
            thread_name="warpgroup",
            compiler_params=plgpu.CompilerParams(
                approx_math=not exact, unsafe_no_auto_barriers=True
            ),
            interpret=plgpu.InterpretGPUParams() if interpret else None,
        )(*filled.arguments)
        return filled.with_empty_results(results)

    return run


class Filled:
    """The arguments and results of a kernel without those that are empty, which Pallas refuses.

    Attributes:
      arguments: the arrays that hold something.
      results: shapes of the results that do.
    """

    def __init__(self, arguments: Any, results: Sequence[jax.ShapeDtypeStruct]) -> None:
        self._all_arguments, self._tree = jax.tree.flatten(arguments)
        self._all_results = results
        self.arguments = [a for a in self._all_arguments if a.size]
        self.results = [a for a in results if a.size]

    def beside_empty_arguments(self, refs: Iterable[Any]) -> Any:
        """What refers to the arguments, as they were given; the empty ones as they are."""
        return jax.tree.unflatten(self._tree, _beside_empty(refs, self._all_arguments))

    def beside_empty_results(self, refs: Iterable[Any]) -> list[Any]:
        """What refers to the results, and the shapes of the empty ones."""
        return _beside_empty(refs, self._all_results)

    def with_empty_results(self, results: Iterable[Array]) -> list[Array]:
        """The results of the kernel, among them those that are empty."""
        return [
            jnp.zeros(a.shape, a.dtype) if isinstance(a, jax.ShapeDtypeStruct) else a
            for a in _beside_empty(results, self._all_results)
        ]


def _beside_empty(filled: Iterable[Any], arrays: Sequence[Any]) -> list[Any]:
    """`filled` in the places of the arrays that hold something, the empty ones as they are."""
    rest = iter(filled)
    return [next(rest) if a.size else a for a in arrays]


def slice_of(start: Any, size: int) -> Any:
    """`size` places from `start`."""
    from jax.experimental import pallas as pl

    return pl.ds(start, size)


def meet(barrier: Any) -> None:
    """Waits for all warpgroups of the CTA."""
    plgpu = mosaic()
    plgpu.barrier_arrive(barrier)
    plgpu.barrier_wait(barrier)


def prefetch(when: Array, refs: Sequence[Any]) -> None:
    """Asks for pieces of memory into the L2 cache."""
    from jax.experimental import pallas as pl

    @pl.when(when)
    def ask() -> None:
        for ref in refs:
            mosaic().async_prefetch(ref)
