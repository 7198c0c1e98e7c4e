"""Exchange and products of `spread`, instruction by instruction, against a plain product."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from rnnlab.strategies.persistent import fragments, instructions
from rnnlab.strategies.persistent.fragments import CHUNK, FRAGMENT, SEQUENCES, UNITS, Share
from rnnlab.strategies.persistent.instructions import Multiplication, store
from tests.strategies.persistent import numpy_machine
from tests.strategies.persistent.numpy_machine import Machine, Ref, Trap

SHARES = [
    Share(4, 1, 8, 256, staged=True, registers=3, batch=1),  # LSTM
    Share(3, 1, 16, 272, staged=True, registers=6, batch=2),  # rows that two warps cannot divide
    Share(4, 1, 16, 256, parts=3, staged=True, registers=5, batch=1),
    Share(1, 4, 16, 96, registers=2, batch=12),  # LSTM backwards
    Share(3, 3, 8, 96, parts=2, registers=0, batch=1),
    Share(2, 2, 32, 160, registers=8, batch=2),
]


def names(share: Share) -> str:
    return (
        f"{share.outs}x{share.pieces} rows {share.rows} parts {share.parts} staged {share.staged}"
    )


def vector_memory(share: Share) -> np.ndarray:
    memory = np.zeros((share.parts, share.chunks * CHUNK), np.uint16)
    memory[:, : share.real_chunks * CHUNK] = 0xFFFF
    return memory


def write(share: Share, memory: np.ndarray, vector: np.ndarray) -> None:
    """Writes `[parts, pieces, H, 16]` as the first warpgroups of all CTAs do."""
    machine, width = Machine(128), min(2, share.rows * SEQUENCES // 128)
    for part in range(share.parts):
        for piece in range(share.pieces):
            for first in range(0, share.hidden, share.rows):
                a = vector[part, piece, first : first + share.rows].view(np.uint16)
                registers = a.reshape(-1, 128, width)
                start = share.first_number(piece, first)
                store(machine, Ref(memory[part, start:].view(np.uint8)), registers, width)


def product(share: Share, memory: np.ndarray, weights: np.ndarray, dtype: object) -> np.ndarray:
    """The results `[outs, rows, 16]` of one CTA."""
    of_threads = weights.view(np.uint16).reshape(4, share.fragments, 128, 8)
    of_threads = of_threads.transpose(1, 0, 2, 3).reshape(share.fragments, 512, 8)
    left = np.ascontiguousarray(weights.transpose(1, 0, 2)[share.registers :, :, : share.width])
    of_warpgroup = share.parts * share.each * 4 * CHUNK * 2
    staged = Ref(np.full(4 * of_warpgroup, 0xAB, np.uint8), of_warpgroup)
    sums = np.full((share.partial_sums, share.height, SEQUENCES), np.nan, np.float32)
    Multiplication(
        Machine(),
        share,
        dtype,
        Ref(memory.reshape(-1).view(np.uint8)),
        of_threads[: share.registers],
        Ref(left.reshape(-1).view(np.uint8)) if left.size else None,
        staged if share.staged else None,
        Ref(sums.reshape(-1).view(np.uint8)),
    ).run()
    found = sums.sum(0)[: share.outs * share.rows]
    return found.reshape(share.outs, share.rows, SEQUENCES)


def draw(share: Share, dtype: object, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Weights `[parts, H, outs, pieces, H]` and a vector, of small integers: sums are exact."""
    rng = np.random.default_rng(seed)
    shape = share.parts, share.hidden, share.outs, share.pieces, share.hidden
    w = rng.integers(-4, 5, shape).astype(dtype)
    return w, rng.integers(-4, 5, (share.parts, share.pieces, share.hidden, 16)).astype(dtype)


def cut_weights(share: Share, w: np.ndarray) -> np.ndarray:
    return np.asarray(jax.jit(share.weights)(w))


@pytest.mark.parametrize(
    ("share", "dtype"),
    [*((share, jnp.bfloat16) for share in SHARES), (SHARES[0], jnp.float16)],
    ids=lambda each: names(each) if isinstance(each, Share) else each.dtype.name,
)
def test_a_product_is_that_of_numpy(share, dtype):
    w, vector = draw(share, dtype)
    memory = vector_memory(share)
    write(share, memory, vector)
    cut = cut_weights(share, w)
    assert cut.shape == (share.slices, 4, share.fragments, FRAGMENT)
    pairs = [(i, j) for i in range(share.parts) for j in range(share.parts - i)]
    wide, x = w.astype(np.float64), vector.astype(np.float64)
    for number in (1, share.slices - 1):
        rows = slice(number * share.rows, (number + 1) * share.rows)
        found = product(share, memory, cut[number], dtype)
        expected = sum(np.tensordot(wide[i, rows], x[j], ((2, 3), (0, 1))) for i, j in pairs)
        np.testing.assert_array_equal(found, expected.transpose(1, 0, 2))


def test_slabs_are_rows_of_the_weights():
    share = Share(3, 2, 8, 128)
    w, _ = draw(share, np.float32)
    slab = np.asarray(jax.jit(share.slabs)(w))[5, 0]
    assert slab.shape == (32, share.chunks * UNITS)
    rows = w[0, 40:48].transpose(1, 0, 2, 3).reshape(24, 256)
    np.testing.assert_array_equal(slab[:24, :256], rows)
    assert not slab[24:].any() and not slab[:, 256:].any()


@pytest.mark.parametrize("share", SHARES[:4:3], ids=names)
def test_a_warp_waits_for_every_number_and_gives_up_in_the_end(share, monkeypatch):
    monkeypatch.setattr(instructions, "PATIENCE", 3)
    w, vector = draw(share, jnp.bfloat16)
    memory = vector_memory(share)
    write(share, memory, vector)
    cut = cut_weights(share, w)[0]
    for place in (0, 1, 12_345 % (share.real_chunks * CHUNK), share.real_chunks * CHUNK - 1):
        missing = memory.copy()
        missing[0, place] = 0xFFFF
        with pytest.raises(Trap):
            product(share, missing, cut, jnp.bfloat16)


def test_a_warp_finds_what_comes_late(monkeypatch):
    share = SHARES[3]
    w, vector = draw(share, jnp.bfloat16)
    memory, cut = vector_memory(share), cut_weights(share, w)[0]
    write(share, memory, vector)
    want = product(share, memory, cut, jnp.bfloat16)
    value, memory[0, 0] = memory[0, 0], 0xFFFF
    add = numpy_machine.INSTRUCTIONS["add.u32"]
    reads = []

    def count(known, operands):
        add(known, operands)
        reads.append(known["n"])
        if known["n"] == 3:
            memory[0, 0] = value

    monkeypatch.setitem(numpy_machine.INSTRUCTIONS, "add.u32", count)
    np.testing.assert_array_equal(product(share, memory, cut, jnp.bfloat16), want)
    assert max(reads) == 4  # the third read was too early


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=["bfloat16", "float16"])
def test_no_nan_is_a_sentinel(dtype):
    """Not even the one with the same bits; and a NaN stays in its sequence."""
    share = SHARES[0]
    w, vector = draw(share, dtype)
    vector[0, 0, 3, 5] = np.nan
    bits = vector.view(np.uint16)
    bits[0, 0, 77, 5] = 0xFFFF
    memory = vector_memory(share)
    write(share, memory, vector)
    assert (memory != 0xFFFF).all()
    found = product(share, memory, cut_weights(share, w)[0], dtype)
    assert np.isnan(found[..., 5]).all()
    assert np.isfinite(np.delete(found, 5, axis=-1)).all()


def test_every_number_of_a_vector_has_a_place_of_its_own():
    numbers = np.arange(48 * SEQUENCES)
    places = fragments.stored(numbers)
    assert sorted(places) == list(numbers)
    # the unit of 8 that a CTA has is written in whole pieces of 32 bytes
    first = np.sort(places[: 8 * SEQUENCES])
    assert (first.reshape(-1, 16)[:, 0] % 16 == 0).all()
    assert (np.diff(first.reshape(-1, 16), axis=1) == 1).all()
