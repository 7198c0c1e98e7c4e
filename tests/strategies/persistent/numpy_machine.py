"""A machine that runs the instructions of `rnnlab.strategies.persistent.instructions` in NumPy.

All threads run every instruction at the same time. What registers hold in an `mma.m16n8k16`, and
what the instructions do, is taken from the manual of PTX (section 9.7 of the ISA).
"""

import re
from typing import NamedTuple

import ml_dtypes
import numpy as np

KINDS = {"bf16": ml_dtypes.bfloat16, "f16": np.float16}


class Trap(Exception):
    """A thread has ended the program."""


class Ref(NamedTuple):
    """Memory as bytes, and where that of each warpgroup begins if it is shared out."""

    memory: np.ndarray
    of_warpgroup: int = 0


class Machine:
    """Runs instructions in `threads` threads."""

    def __init__(self, threads: int = 512) -> None:
        self._threads = np.arange(threads)

    def thread(self) -> np.ndarray:
        return self._threads

    def address(self, ref: Ref, offset: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return ref.memory, offset + (self._threads >> 7) * ref.of_warpgroup

    def words(self, register: np.ndarray) -> list[np.ndarray]:
        return list(np.ascontiguousarray(register).view(np.uint32).T)

    def halves(self, register: np.ndarray) -> list[np.ndarray]:
        return list(register.astype(np.uint32).T)

    def zero(self) -> np.ndarray:
        return np.zeros(len(self._threads), np.float32)

    def add(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return a + b

    def meet(self) -> None:
        pass  # all threads are at the same place

    def run(self, ptx: str, *arguments: object, words: int = 0) -> list[np.ndarray]:
        known: dict[str, object] = {f"${words + i}": a for i, a in enumerate(arguments)}
        statements, place = _statements(ptx), 0
        while place < len(statements):
            predicate, name, operands = statements[place]
            place += 1
            if predicate is None:
                INSTRUCTIONS[name](known, operands)
            elif np.any(known[predicate]):
                if name == "trap":
                    raise Trap
                place = statements.index((None, "label", [operands[0]]))
        return [np.asarray(known[f"${i}"]) for i in range(words)]

    def multiply(self, ptx: str, *arguments: np.ndarray) -> list[np.ndarray]:
        kind = re.match(r"mma\.sync\.aligned\.m16n8k16\.row\.col\.f32\.(\w+)\.\1\.f32 ", ptx)[1]
        dtype = KINDS[kind]
        lane = self._threads % 32
        warp, row, column = self._threads // 32, lane // 4, lane % 4
        warps = len(self._threads) // 32
        left, right = np.zeros((warps, 16, 16)), np.zeros((warps, 16, 8))
        for i, word in enumerate(arguments[:4]):
            for place, value in enumerate(_pair(word, dtype)):
                left[warp, row + 8 * (i % 2), 2 * column + 8 * (i // 2) + place] = value
        for i, word in enumerate(arguments[4:6]):
            for place, value in enumerate(_pair(word, dtype)):
                right[warp, 2 * column + 8 * i + place, row] = value
        found = left @ right
        return [
            (sums + found[warp, row + 8 * (i // 2), 2 * column + i % 2]).astype(np.float32)
            for i, sums in enumerate(arguments[6:])
        ]


def _pair(word: np.ndarray, dtype: object) -> list[np.ndarray]:
    halves = (word & 0xFFFF).astype(np.uint16), (word >> 16).astype(np.uint16)
    return [half.view(dtype).astype(np.float64) for half in halves]


def _statements(ptx: str) -> list[tuple[str, str, list[str]]]:
    ptx = ptx.replace("\n", " ").strip()
    if ptx.startswith("{ .reg"):
        ptx = ptx[1:-1].replace("AGAIN:", "label AGAIN;")
    found = []
    for line in filter(None, map(str.strip, ptx.split(";"))):
        if not line.startswith(".reg"):
            match = re.match(r"(?:@(\w+) )?(\S+)(.*)", line)
            predicate, name, rest = match.groups()
            found.append((predicate, name, re.findall(r"\{[^}]*\}|\[[^]]*\]|[^,\s]+", rest)))
    return found


def _names(group: str) -> list[str]:
    return [name.strip() for name in group.strip("{}").split(",")]


def _places(known: dict, operand: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The memory, and of each thread the places of `count` bytes."""
    name, offset = re.match(r"\[(\S+) \+ (\d+)\]", operand).groups()
    memory, start = known[name]
    places = (start + int(offset))[:, None] + np.arange(count)
    assert np.all(places[:, 0] % count == 0), "an address is not aligned"
    assert places.min() >= 0 and places.max() < memory.size
    return memory, places


def _load(count: int):
    def run(known, operands):
        memory, places = _places(known, operands[1], 4 * count)
        words = np.ascontiguousarray(memory[places]).view(np.uint32)
        known |= dict(zip(_names(operands[0]), words.T, strict=True))

    return run


def _store(dtype: object):
    def run(known, operands):
        values = [known[name] for name in _names(operands[1])]
        raw = np.ascontiguousarray(np.stack(values, 1).astype(dtype)).view(np.uint8)
        memory, places = _places(known, operands[0], raw.shape[1])
        assert len(np.unique(places)) == places.size, "two threads write the same place"
        memory[places] = raw

    return run


def _value(known, operand):
    return known[operand] if operand in known else int(operand, 0)


def _compute(operation):
    def run(known, operands):
        known[operands[0]] = operation(*(_value(known, each) for each in operands[1:]))

    return run


def _both_halves(a, b):
    return np.maximum(a & 0xFFFF, b & 0xFFFF) | np.maximum(a & 0xFFFF0000, b & 0xFFFF0000)


def _split(known, operands):
    low, high = _names(operands[0])
    known |= {low: known[operands[1]] & 0xFFFF, high: known[operands[1]] >> 16}


INSTRUCTIONS = {
    "ld.relaxed.gpu.global.v4.b32": _load(4),
    "ld.shared.v4.b32": _load(4),
    "ld.shared.v2.b32": _load(2),
    "st.shared.v2.b32": _store(np.uint32),
    "st.shared.v2.f32": _store(np.float32),
    "st.relaxed.gpu.global.b16": _store(np.uint16),
    "max.u16x2": _compute(_both_halves),
    "max.u16": _compute(np.maximum),
    "min.u16": _compute(np.minimum),
    "cvt.u16.u32": _compute(lambda a: a & 0xFFFF),
    "setp.eq.u16": _compute(np.equal),
    "setp.gt.u32": _compute(np.greater),
    "add.u32": _compute(np.add),
    "mov.u32": _compute(lambda a: a),
    "mov.b32": _split,
    "label": lambda known, operands: None,
    "bar.warp.sync": lambda known, operands: None,
}
