"""The instructions of the machine (PTX) that the kernels of `spread` are made of.

Mosaic has no loads that can be repeated until the data has come, and in its products the warps of a
warpgroup divide rows and columns, but not what is summed over. So these parts are written
instruction by instruction. `Machine` puts them into a kernel; the tests have another one, which
runs them in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from rnnlab.strategies.persistent.fragments import (
    CHUNK,
    NEXT,
    SEQUENCES,
    UNITS,
    WARPGROUPS,
    WARPS,
    Share,
    as_chunk,
    loaded,
    stored,
)
from rnnlab.strategies.persistent.pallas import THREADS

#: What the memory of the exchange is filled with: of 16 bits, all ones.
SENTINEL = 0xFFFF
#: How often a warp reads before it gives up: many seconds, in which whatever else holds
#: multiprocessors has had its turn. How many was not measured; half a minute, if a read through the
#: L2 cache takes 0.3 µs.
PATIENCE = 100_000_000


class Number:
    """A number of 32 bits in a kernel, with the operators that `fragments` uses."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def _with(self, name: str, other: Any) -> Number:
        from jaxlib.mlir.dialects import arith

        other = other.value if isinstance(other, Number) else _constant(other)
        return Number(getattr(arith, name)(self.value, other))

    def __add__(self, other: Any) -> Number:
        return self._with("addi", other)

    def __mul__(self, other: Any) -> Number:
        return self._with("muli", other)

    def __and__(self, other: Any) -> Number:
        return self._with("andi", other)

    def __rshift__(self, other: Any) -> Number:
        return self._with("shrui", other)


def _integer(bits: int) -> Any:
    from jaxlib.mlir import ir

    return ir.IntegerType.get_signless(bits)


def _constant(value: int) -> Any:
    from jaxlib.mlir import ir
    from jaxlib.mlir.dialects import arith

    return arith.constant(_integer(32), ir.IntegerAttr.get(_integer(32), value))


class Machine:
    """Puts instructions into the kernel that is being built."""

    def __init__(self) -> None:
        from jax.experimental.mosaic.gpu import utils

        self._utils: Any = utils

    def thread(self) -> Number:
        """The number of the thread in its CTA."""
        return Number(self._utils.thread_idx())

    def address(self, ref: Any, offset: Number) -> Any:
        """The address that is `offset` bytes behind the beginning of a reference."""
        from jaxlib.mlir.dialects import arith, llvm

        pointer = self._utils.memref_ptr(ref)
        if "<3>" in str(pointer.type):  # shared memory, whose addresses have 32 bits
            return arith.addi(llvm.ptrtoint(_integer(32), pointer), offset.value)
        return arith.addi(
            llvm.ptrtoint(_integer(64), pointer), arith.extui(_integer(64), offset.value)
        )

    def words(self, register: Any) -> list[Any]:
        """A vector of 16-bit numbers as words of 32 bits."""
        from jaxlib.mlir import ir

        return self._split(register, 32, ir.VectorType(register.type).shape[0] // 2)

    def halves(self, register: Any) -> list[Any]:
        """A vector of 16-bit numbers as words of 32 bits, each with one in its lower half."""
        from jaxlib.mlir import ir
        from jaxlib.mlir.dialects import arith

        some = self._split(register, 16, ir.VectorType(register.type).shape[0])
        return [arith.extui(_integer(32), each) for each in some]

    def _split(self, register: Any, bits: int, count: int) -> list[Any]:
        from jaxlib.mlir import ir
        from jaxlib.mlir.dialects import vector

        a = vector.bitcast(ir.VectorType.get((count,), _integer(bits)), register)
        places = [ir.DenseI64ArrayAttr.get([place]) for place in range(count)]
        return [vector.extract(a, dynamic_position=[], static_position=p) for p in places]

    def run(self, ptx: str, *arguments: Any, words: int = 0) -> list[Any]:
        """Instructions that may wait, write or read what others write; returns words of 32 bits."""
        results = [_integer(32)] * words
        return list(
            self._utils.inline_ptx(
                ptx, *arguments, result_types=results or None, has_side_effects=True
            )
            or []
        )

    def multiply(self, ptx: str, *arguments: Any) -> list[Any]:
        """An instruction of the tensor cores; returns four numbers."""
        from jaxlib.mlir import ir

        results = [ir.F32Type.get()] * 4
        return list(self._utils.inline_ptx(ptx, *arguments, result_types=results, convergent=True))

    def zero(self) -> Any:
        """Zero in float32."""
        from jaxlib.mlir import ir
        from jaxlib.mlir.dialects import arith

        return arith.constant(ir.F32Type.get(), ir.FloatAttr.get(ir.F32Type.get(), 0.0))

    def add(self, a: Any, b: Any) -> Any:
        """A sum of two numbers of float32."""
        from jaxlib.mlir.dialects import arith

        return arith.addf(a, b)

    def meet(self) -> None:
        """Waits for the warps of the warpgroup."""
        self._utils.warpgroup_barrier()


def store(machine: Any, ref: Any, registers: Sequence[Any], width: int) -> None:
    """Writes `[rows, 16]`, of which registers hold `width` numbers each, into a vector.

    A sentinel becomes the NaN next to it.
    """
    thread = machine.thread() & (THREADS - 1)
    for place, register in enumerate(registers):
        number = thread * width + place * THREADS * width
        address = machine.address(ref, stored(number) * 2)
        for i, word in enumerate(machine.halves(register)):
            machine.run(
                "{ .reg .b16 h; cvt.u16.u32 h, $1; min.u16 h, h, 0xFFFE;"
                f" st.relaxed.gpu.global.b16 [$0 + {stored(i) * 2}], h; }}",
                address,
                word,
            )


class Multiplication:
    """One warp's part of a product."""

    def __init__(
        self,
        machine: Any,
        share: Share,
        operands: Any,
        vector: Any,
        registers: Sequence[Any],
        left: Any,
        staged: Any,
        sums: Any,
    ) -> None:
        """Computes addresses.

        Args:
          machine: what runs the instructions.
          share: what the CTA computes.
          operands: dtype of the vector and the weights.
          vector: reference to `[parts, numbers]`.
          registers: the first fragments of the weights.
          left: reference to the others in shared memory, `[fragments, warpgroups, width]`.
          staged: reference to the warpgroup's staged chunks.
          sums: reference to `[partial_sums, height, 16]`.
        """
        self.machine, self.share, self.registers = machine, share, registers
        self.kind = {"bfloat16": "bf16", "float16": "f16"}[jnp.dtype(operands).name]
        thread = machine.thread()
        self.source = machine.address(vector, loaded(thread) * 2)
        self.target = machine.address(sums, share.partial_sum(thread) * 4)
        if left is not None:
            in_warpgroup = (thread & (share.width // 8 - 1)) * 16
            self.left = machine.address(left, (thread >> 7) * (share.width * 2) + in_warpgroup)
        if share.staged:
            self.staging = machine.address(staged, as_chunk(thread) * 2)
            self.staged = machine.address(staged, share.staged_chunk(thread) * 2)
        halves = 1 if share.staged else 2
        self.halves = range(halves)
        self.chains = {1: 3, 2: 2}.get(halves * share.tiles_of_warp, 1)
        self.sums: dict[tuple[int, int, int], list[Any]] = {}

    def run(self) -> None:
        """All of it; the smallest parts first, whose bits larger sums would swallow."""
        share = self.share
        if share.staged:
            for part in range(share.parts):
                for chunk, words in self._wait(part):
                    self._stage(part * share.each + chunk, words)
            self.machine.meet()
        for part in reversed(range(share.parts)):
            if share.staged:
                for chunk in range(share.chunks_of_warp):
                    number = part * WARPS * share.each + chunk
                    self._multiply(part, chunk, [self._shared(self.staged, number * CHUNK * 2, 2)])
            else:
                for chunk, words in self._wait(part):
                    self._multiply(part, chunk, [words[:2], words[2:]])
        self._write()

    def _wait(self, part: int) -> Any:
        """This warp's chunks, as soon as no number of them is a sentinel any more.

        Who waits for CTAs that cannot start, since another launch waits likewise, ends the program
        with an error of CUDA rather than never.
        """
        share = self.share
        for first in range(0, share.each, share.batch):
            chunks = range(first, min(first + share.batch, share.each))
            count = 4 * len(chunks)
            names = [f"${i}" for i in range(count)]
            ptx = [
                "{ .reg .pred p, q; .reg .b32 m, n; .reg .b16 lo, hi;",
                "mov.u32 n, 0;",
                "AGAIN:",
            ]
            for place, chunk in enumerate(chunks):
                offset = (part * share.chunks * CHUNK + chunk * NEXT) * 2
                four = ",".join(names[4 * place : 4 * place + 4])
                ptx.append(f"ld.relaxed.gpu.global.v4.b32 {{{four}}}, [${count} + {offset}];")
            # while the loads are on their way
            ptx.append(f"add.u32 n, n, 1; setp.gt.u32 q, n, {PATIENCE}; @q trap;")
            ptx.append(f"max.u16x2 m, {names[0]}, {names[1]};")
            ptx += [f"max.u16x2 m, m, {name};" for name in names[2:]]
            ptx.append("mov.b32 {lo, hi}, m; max.u16 lo, lo, hi;")
            ptx.append(f"setp.eq.u16 p, lo, {SENTINEL:#x}; @p bra AGAIN;")
            ptx.append("bar.warp.sync 0xffffffff; }")  # lanes may have left the loop one by one
            words = self.machine.run("\n".join(ptx), self.source, words=count)
            yield from ((c, words[4 * i : 4 * i + 4]) for i, c in enumerate(chunks))

    def _stage(self, number: int, words: list[Any]) -> None:
        for half in range(2):
            offset = number * WARPS * CHUNK * 2 + half * CHUNK
            self.machine.run(
                f"st.shared.v2.b32 [$0 + {offset}], {{$1, $2}};",
                self.staging,
                *words[2 * half : 2 * half + 2],
            )

    def _shared(self, address: Any, offset: int, count: int) -> list[Any]:
        names = ",".join(f"${i}" for i in range(count))
        ptx = f"ld.shared.v{count}.b32 {{{names}}}, [${count} + {offset}];"
        return self.machine.run(ptx, address, words=count)

    def _fragment(self, number: int) -> list[Any]:
        if number < self.share.registers:
            return self.machine.words(self.registers[number])
        place = number - self.share.registers
        return self._shared(self.left, place * WARPGROUPS * self.share.width * 2, 4)

    def _multiply(self, part: int, place: int, halves: list[list[Any]]) -> None:
        """Multiplies a chunk with all parts of the weights that count."""
        share = self.share
        for other in reversed(range(share.parts - part)):
            for tile in range(share.tiles_of_warp):
                number = other * share.fragments_of_part + place * share.tiles_of_warp + tile
                fragment = self._fragment(number)
                for half, right in enumerate(halves):
                    key = tile, half, place % self.chains
                    sums = self.sums.get(key) or [self.machine.zero()] * 4
                    self.sums[key] = self.machine.multiply(
                        f"mma.sync.aligned.m16n8k16.row.col.f32.{self.kind}.{self.kind}.f32"
                        " {$0,$1,$2,$3}, {$4,$5,$6,$7}, {$8,$9}, {$10,$11,$12,$13};",
                        *fragment,
                        *right,
                        *sums,
                    )

    def _write(self) -> None:
        """Writes the sums into shared memory."""
        for tile in range(self.share.tiles_of_warp):
            for half in self.halves:
                found, *more = [
                    self.sums[tile, half, i]
                    for i in range(self.chains)
                    if (tile, half, i) in self.sums
                ]
                for chain in more:
                    found = [self.machine.add(a, b) for a, b in zip(found, chain, strict=True)]
                for upper in range(2):  # row, row + 8
                    offset = ((tile * UNITS + upper * 8) * SEQUENCES + half * 8) * 4
                    self.machine.run(
                        f"st.shared.v2.f32 [$0 + {offset}], {{$1, $2}};",
                        self.target,
                        *found[2 * upper : 2 * upper + 2],
                    )
