"""A step in the body of a kernel, but for its products: flags, padding and the cell's own rest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from rnnlab.arrays import Array
from rnnlab.strategies.persistent.kernel import Kernel
from rnnlab.strategies.persistent.pallas import Rows

#: Maps a stage and the parts of the vectors of its products to their results.
Multiply = Callable[[int, list[list[Array]]], list[list[Array]]]


class Stepped(NamedTuple):
    """A step forwards.

    Attributes:
      before: the state that the step started from.
      after: the next state.
      y: the output.
      sums: of products.
    """

    before: list[Array]
    after: list[Array]
    y: Array
    sums: list[Array]


class Elementwise:
    """The steps of a kernel on the rows of one warpgroup.

    Attributes:
      count: number of arrays that are the same in all steps.
    """

    def __init__(self, kernel: Kernel, rows: Rows, first: Any) -> None:
        """Prepares them.

        Args:
          kernel: what is run.
          rows: how arrays are held.
          first: number of the first unit of these rows.
        """
        self._kernel, self._units, self._rows, self._first = kernel, kernel.units, rows, first
        self.count = self._units.constants + self._units.own
        self._reads = self._units.reads[self.count :]

    def forward(
        self,
        us: Sequence[Array],
        flags: Sequence[Array],
        state: list[Array],
        fixed: Sequence[Array],
        start: Sequence[Array],
        multiply: Multiply,
    ) -> Stepped:
        """A step; `start` is the state in which new sequences start."""
        rows = self._rows
        valid, fresh = self._kernel.flags.split(flags)
        if fresh is not None:
            state = [rows.where(fresh, a, b) for a, b in zip(start, state, strict=True)]
        new, y, sums = self._units.forward(rows.apply, fixed, us, state, self._without(multiply))
        if valid is not None:
            new = [rows.where(valid, a, b) for a, b in zip(new, state, strict=True)]
            y = rows.where(valid, y, rows.full(y.shape))
        return Stepped(state, [rows.place(a) for a in new], rows.place(y), sums)

    def read(self, refs: Sequence[Any], t: Array, tile: Any, row: Any) -> list[Array]:
        """Loads what the backward pass reads of a step: of `u`, of the state, of the sums."""
        columns = self._units.columns
        counts = len(columns.kept), len(columns.state), len(columns.sums)
        places = [
            ref.at[t, tile, i, row] for ref, n in zip(refs, counts, strict=True) for i in range(n)
        ]
        return [
            self._rows.load(ref)
            for ref, is_read in zip(places, self._reads, strict=True)
            if is_read
        ]

    def backward(
        self,
        values: Sequence[Array],
        flags: Sequence[Array],
        dy: Array,
        d_state: list[Array],
        fixed: Sequence[Array],
        d_fixed: Sequence[Array],
        multiply: Multiply,
        write: Callable[[list[Array], list[Array]], None],
    ) -> tuple[list[Array], list[Array]]:
        """A step backwards, from what `read` has loaded.

        Args:
          values: what `read` has loaded.
          flags: of the step.
          dy: the adjoint of the output.
          d_state: that of the next state.
          fixed: what is the same in all steps.
          d_fixed: the sums of its adjoints so far.
          multiply: maps a stage and the adjoints of its results to those of its vectors.
          write: is given `dz` and the vectors of the step, as in `Adjoint`.

        Returns:
          The adjoint of the state before, and the sums with those of this step.
        """
        rows = self._rows
        valid, fresh = self._kernel.flags.split(flags)
        dy, nothing = rows.widen(dy), rows.full(rows.shape)
        rest = iter([rows.widen(value) for value in values])
        moving = [next(rest) if is_read else dy for is_read in self._reads]
        d_new = d_state
        if valid is not None:
            d_new = [rows.where(valid, d, nothing) for d in d_state]
            dy = rows.where(valid, dy, nothing)
        inputs = self._units.adjoints(fixed, moving)
        adjoints, found = self._units.backward(
            rows.apply, rows.add, inputs, d_new, dy, self._without(multiply)
        )
        vectors = [found[piece] for piece in self._units.other_pieces()]
        write([*adjoints.sums, *adjoints.kept], vectors)
        d_before = adjoints.state
        if valid is not None:
            d_before = [
                rows.add(d, rows.where(valid, nothing, frozen))
                for d, frozen in zip(d_before, d_state, strict=True)
            ]
        if fresh is not None:
            d_before = [rows.where(fresh, nothing, d) for d in d_before]
        more = [*adjoints.constants, *adjoints.own]
        sums = [rows.add(a, b) for a, b in zip(d_fixed, more, strict=True)]
        return [rows.place(d) for d in d_before], sums

    def write(self, ref: Any, t: Any, tile: Any, row: Any, values: Sequence[Array]) -> None:
        """Stores arrays in the dtype of what is kept."""
        for i, value in enumerate(values):
            ref.at[t, tile, i, row][...] = value.astype(self._kernel.narrow)

    def _without(self, multiply: Multiply) -> Multiply:
        """`multiply` with zeros for units of padding, whatever the cell has made of them."""
        units, padded = self._units.hidden, self._kernel.hidden
        if units == padded:
            return multiply
        limit = units - self._first

        def run(stage: int, vectors: list[list[Array]]) -> list[list[Array]]:
            real = [[self._rows.where_below(limit, a) for a in pieces] for pieces in vectors]
            return multiply(stage, real)

        return run
