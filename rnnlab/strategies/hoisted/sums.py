"""What has to be kept of the products of a step: the sums in which they appear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from jax.extend.core import Literal, Var

from rnnlab.strategies.hoisted.columns import Columns, shape_of


class Sum(NamedTuple):
    """A variable that is the sum of products and of inputs, none of which is used elsewhere.

    Attributes:
      out: the variable, or the product itself where nothing is added to it.
      inputs: places of the inputs in the sum, among those that were asked about.
      products: the results of products in the sum.
    """

    out: Var
    inputs: tuple[int, ...]
    products: tuple[Var, ...]


def find_sums(columns: Columns, inputs: Sequence[Var]) -> list[Sum]:
    """The largest sums of every product with others and with some of `inputs`.

    The rest of the function reads them through these sums only, so that a derivative with respect
    to a sum is one with respect to each of its terms.
    """
    uses = Counter(
        var
        for eqn in columns.eqns
        for var in eqn.invars
        if not isinstance(var, Literal) and columns.product_of(eqn) is None
    )
    uses.update(product.x for product in columns.products)
    uses.update(var for var in columns.outputs if not isinstance(var, Literal))
    sums = {var: Sum(var, (place,), ()) for place, var in enumerate(inputs)}
    sums |= {out: Sum(out, (), (out,)) for product in columns.products for out in product.outs}
    for eqn in columns.eqns:
        terms = [sums.get(var) for var in eqn.invars if not isinstance(var, Literal)]
        if eqn.primitive.name != "add" or len(terms) != 2:
            continue
        a, b = terms
        if a is None or b is None or a is b or uses[a.out] != 1 or uses[b.out] != 1:
            continue
        out = eqn.outvars[0]
        if not shape_of(a.out) == shape_of(b.out) == shape_of(out):
            continue  # a term that is broadcast has an adjoint of another shape
        del sums[a.out], sums[b.out]
        sums[out] = Sum(out, a.inputs + b.inputs, a.products + b.products)
    return [each for each in sums.values() if each.products]
