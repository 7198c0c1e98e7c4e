"""The launch of the kernels of `spread`: its CTAs, their shared memory, and what they exchange."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from rnnlab.arrays import Array
from rnnlab.strategies.persistent import pallas
from rnnlab.strategies.persistent.fragments import CHUNK, SEQUENCES, WARPGROUPS, WARPS, Share
from rnnlab.strategies.persistent.instructions import SENTINEL


class Shared(NamedTuple):
    """Shared memory of a CTA, and its barriers: their sizes, or in a kernel what they refer to.

    Attributes:
      sums: partial sums of each product.
      staged: chunks of the products that are staged.
      weights: fragments of each product that are not in registers.
      barriers: of each stage, two, at which the sums are complete.
      turns: of each stage, one, at which this CTA has written its part of the vectors.
    """

    sums: Any
    staged: Any
    weights: Any
    barriers: Any
    turns: Any


class Refs(NamedTuple):
    """What the body of a kernel is given.

    Attributes:
      vectors: the memory of the exchange of each product.
      inputs: the arguments of the kernel, as references.
      outputs: its results.
      shared: shared memory and barriers.
      warpgroup: number of the warpgroup.
      cta: number of the CTA.
    """

    vectors: Any
    inputs: Any
    outputs: Any
    shared: Shared
    warpgroup: Any
    cta: Any


def kernel(
    body: Callable[[Refs], None],
    outs: list[jax.ShapeDtypeStruct],
    shares: Sequence[Share],
    stages: Sequence[Sequence[int]],
    steps: int,
    tiles: int,
    operands: Any,
    exact: bool,
    interpret: bool,
    name: str,
) -> Callable[..., Any]:
    """A kernel of one CTA for each slice of the units of each tile.

    Empty arguments come to the body as they are.
    """
    ctas = tiles * shares[0].slices
    arrivals = ctas if interpret else WARPGROUPS
    shared = _shared(shares, stages, operands, arrivals, interpret)
    leaves_of_shared, tree_of_shared = jax.tree.flatten(shared)

    def run(*arguments: Any) -> Any:
        filled = pallas.Filled(arguments, outs)
        given, wanted = filled.arguments, filled.results

        def inner(*refs: Any) -> None:
            counts = [len(shares), len(given), len(wanted)]
            if interpret:  # there the exchange comes after the arguments, as the first results
                counts[:2] = counts[1::-1]
            ends = [sum(counts[: i + 1]) for i in range(3)]
            first, second, results = (
                refs[end - count : end] for end, count in zip(ends, counts, strict=True)
            )
            vectors, inputs = (second, first) if interpret else (first, second)
            thread = lax.axis_index("warpgroup")
            body(
                Refs(
                    vectors,
                    filled.beside_empty_arguments(inputs),
                    filled.beside_empty_results(results),
                    jax.tree.unflatten(tree_of_shared, refs[ends[2] :]),
                    jnp.int32(0) if interpret else thread,
                    thread if interpret else lax.axis_index("cta"),
                )
            )

        if interpret:
            results = _interpreted(inner, shares, steps, tiles, ctas, operands, leaves_of_shared)(
                wanted, *given
            )
        else:
            results = _launched(inner, ctas, exact, name, leaves_of_shared)(
                wanted, [_memory(share, steps, tiles) for share in shares], *given
            )
        return filled.with_empty_results(results)

    return run


def _launched(
    inner: Callable[..., None], ctas: int, exact: bool, name: str, shared: Sequence[Any]
) -> Callable[..., Any]:
    """The kernel on a GPU. What it exchanges is memory that it writes in place."""
    from jax.experimental import pallas as pl

    plgpu = pallas.mosaic()

    def run(wanted: list[jax.ShapeDtypeStruct], memory: list[Array], *given: Array) -> Any:
        def scoped(*refs: Any) -> None:
            pl.run_scoped(partial(inner, *refs), *shared, collective_axes="warpgroup")

        mesh = plgpu.Mesh(
            grid=(ctas,), grid_names=("cta",), num_threads=WARPGROUPS, thread_name="warpgroup"
        )
        parameters = plgpu.CompilerParams(approx_math=not exact, unsafe_no_auto_barriers=True)
        launch = pl.kernel(
            scoped, out_type=wanted, mesh=mesh, compiler_params=parameters, name=name
        )
        return launch(*(jax.new_ref(a) for a in memory), *given)

    return run


def _interpreted(
    inner: Callable[..., None],
    shares: Sequence[Share],
    steps: int,
    tiles: int,
    ctas: int,
    operands: Any,
    shared: Sequence[Any],
) -> Callable[..., Any]:
    """The kernel in Pallas' interpreter, with one warpgroup for each CTA.

    The interpreter knows neither PTX nor CTAs that run at the same time, but warpgroups that do.
    """
    plgpu = pallas.mosaic()
    vectors = [
        jax.ShapeDtypeStruct((steps, tiles, share.parts, share.real_chunks, 8, 4, 2, 4), operands)
        for share in shares
    ]

    def run(wanted: list[jax.ShapeDtypeStruct], *given: Array) -> Any:
        results = plgpu.kernel(
            inner,
            out_type=[*vectors, *wanted],
            scratch_types=list(shared),
            grid=(1,),
            grid_names=("cta",),
            num_threads=ctas,
            thread_name="warpgroup",
            interpret=plgpu.InterpretGPUParams(),
        )(*given)
        return results[len(vectors) :]

    return run


def _memory(share: Share, steps: int, tiles: int) -> Array:
    """The memory of the exchange of a product: sentinels, and zeros where nobody writes.

    Integers, since to XLA one NaN is as good as another.
    """
    shape = (steps, tiles, share.parts, share.chunks * CHUNK)
    real = lax.broadcasted_iota(jnp.int32, shape, 3) < share.real_chunks * CHUNK
    return jnp.where(real, jnp.uint16(SENTINEL), jnp.uint16(0))


def _shared(
    shares: Sequence[Share],
    stages: Sequence[Sequence[int]],
    operands: Any,
    arrivals: int,
    interpret: bool,
) -> Shared:
    """Sizes of shared memory."""
    plgpu = pallas.mosaic()
    barriers = [plgpu.Barrier(num_arrivals=arrivals, num_barriers=2) for _ in stages]
    if interpret:
        return Shared([], [], [], barriers, [])
    sums, staged, weights = [], [], []
    for share in shares:
        left = share.fragments - share.registers
        shape = (2, share.partial_sums, share.height, SEQUENCES)
        sums.append(plgpu.SMEM(shape, jnp.float32))
        if share.staged:
            shape = (2, WARPGROUPS, share.parts * WARPS * share.each * CHUNK)
            staged.append(plgpu.SMEM(shape, operands))
        if left:
            weights.append(plgpu.SMEM((left, WARPGROUPS, share.width), operands))
    return Shared(sums, staged, weights, barriers, [plgpu.Barrier(num_arrivals=1) for _ in stages])


def when(condition: Array, run: Callable[[], None]) -> None:
    """Runs `run` where a condition of the kernel is met."""
    from jax.experimental import pallas as pl

    pl.when(condition)(run)
