"""What a reader wants to know first: who is the fastest, and whether the times can be trusted."""

from __future__ import annotations

from collections.abc import Iterator

from experiments.benchmark.candidate import OURS
from experiments.benchmark.problem import FORWARD, GRADIENT, GRADIENT_INPUTS
from experiments.benchmark.ratios import ratio_of
from experiments.benchmark.results import DISTURBED, MEDIAN, OTHERS, Rows
from rnnlab.run.load import BUSY, cores, is_busy

#: What passes are called in a sentence.
NAMES = {FORWARD: "forward pass", GRADIENT: "gradient", GRADIENT_INPUTS: "gradient with inputs"}


def fastest(rows: Rows) -> Iterator[str]:
    """For each pass of one problem who is the fastest on this machine, and by how much."""
    for pass_ in dict.fromkeys(row["pass"] for row in rows):
        timed = [row for row in rows if row["pass"] == pass_ and MEDIAN in row]
        if not timed:
            continue
        best, *others = sorted(timed, key=lambda row: row[MEDIAN])
        name, pass_name = best["candidate"], NAMES.get(pass_, pass_)
        sentence = (
            f"The fastest {pass_name} of {best['layer']} at {best['shape']}, {best['dtype']} on "
            f"this machine is {name}: {best[MEDIAN]:.4g} ms"
        )
        ours = name.startswith(OURS)
        rivals = [row for row in others if row["candidate"].startswith(OURS) != ours]
        if rivals:
            rival = rivals[0]
            ratio, interval = ratio_of(rival, best)
            sentence += f", {ratio:.3g}{f' ({interval})' if interval else ''} times as fast as "
            sentence += f"{'' if ours else 'our best, '}{rival['candidate']}"
        yield sentence + "."


def busy_warning(rows: Rows) -> str:
    """What to say of rows that were timed while something disturbed the machine; empty for none."""
    loads = [row[OTHERS] for row in rows if row.get(OTHERS) is not None]
    busy = [load for load in loads if is_busy(load)]
    reasons = [row[DISTURBED].split("; ") for row in rows if row.get(DISTURBED)]
    said = dict.fromkeys(reason for each in reasons for reason in each if reason != BUSY)
    parts = []
    if busy:
        parts.append(
            f"other processes took up to {max(busy):.1f} of {len(cores())} cores while "
            f"{len(busy)} of {len(loads)} rows were timed"
        )
    if said:
        more = f", and {len(said) - 1} more such reasons" if len(said) > 1 else ""
        parts.append(f"{next(iter(said))} meanwhile{more}")
    if not parts:
        return ""
    return f"{'; '.join(parts)}; their times say little. Run it again on a quiet machine."
