"""What lectures say of both kinds of networks, with the measured numbers beside it."""

from __future__ import annotations

from typing import Any

from experiments.rnn_vs_transformer import clocks
from experiments.rnn_vs_transformer.clocks import SYMBOL, WINDOW, Row

#: Claims about exponents: what the lecture says of the transformer, and of recurrent networks.
CLAIMS = {
    "symbols per second of training against T": ("O(1/T)", "O(1)"),
    "memory of training against T": ("O(T)", "O(1)"),
    "time of a symbol against its position": ("O(n)", "O(1)"),
    "bytes kept against the position": ("O(n)", "O(1)"),
}
BUSY = (
    "{} rows were timed while other processes were running: their times are not to be trusted; "
    "run the same command with another --workdir on a quiet machine"
)


def claims(summary: dict[str, Any], rows: list[Row]) -> list[dict[str, str]]:
    """A row for each claim."""
    networks = summary["networks"]
    found = [
        {"what": f"{what}, exponent", "lecture: transformer": one, "lecture: recurrent": other}
        | {name: exponent_text(numbers[what]) for name, numbers in networks.items()}
        for what, (one, other) in CLAIMS.items()
    ]
    return [*found, *_parallel(networks, rows), *_streaming(networks, rows)]


def exponent_text(fit: dict[str, float]) -> str:
    """An exponent with its interval."""
    if fit["high"] - fit["low"] < 0.005:
        return f"{fit['exponent']:z.2f}"
    return f"{fit['exponent']:z.2f} ({fit['low']:z.2f} … {fit['high']:z.2f})"


def _parallel(networks: dict[str, Any], rows: list[Row]) -> list[dict[str, str]]:
    """What is left of the speed where a batch of short windows becomes a few long ones."""
    numbers, short, long = {}, 0, 0
    for name in networks:
        mine = clocks.of(rows, WINDOW, name)
        short, long = mine[0]["size"], mine[-1]["size"]
        numbers[name] = f"{mine[0]['seconds'] / mine[-1]['seconds']:.0%}"
    what = f"speed of training at T = {long}, of that at T = {short}, as many symbols each"
    words = {"lecture: transformer": "parallel over time", "lecture: recurrent": "step by step"}
    return [{"what": what} | words | numbers]


def _streaming(networks: dict[str, Any], rows: list[Row]) -> list[dict[str, str]]:
    """Time and bytes of a symbol far into a text."""
    place = {name: clocks.of(rows, SYMBOL, name)[-1] for name in networks}
    at = next(iter(place.values()))["size"]
    words = {"lecture: transformer": "grows, or a window", "lecture: recurrent": "constant"}
    return [
        {"what": f"microseconds of symbol {at}"}
        | words
        | {name: f"{row['seconds'] * 1e6:.0f}" for name, row in place.items()},
        {"what": f"KiB kept before symbol {at}"}
        | words
        | {name: f"{row['bytes'] / 1024:.4g}" for name, row in place.items()},
    ]


def losses(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each network and each way to be fair."""
    return [
        {
            "network": name,
            "parameters": numbers["parameters"],
            "width": numbers["width"],
            "after as much": fair.removeprefix("same "),
            "updates": numbers[fair]["updates"],
            "seconds": round(numbers[fair]["seconds"], 1),
            "validation": numbers[fair]["validation"],
            "test": numbers[fair]["test"],
        }
        for fair in ("same updates", "same time")
        for name, numbers in summary["networks"].items()
        if fair in numbers
    ]


def timed(rows: list[Row], what: str) -> list[dict[str, Any]]:
    """The rows of one thing that was timed, with a column for each network."""
    size = "T" if what == WINDOW else "position"
    found: dict[int, dict[str, Any]] = {}
    for row in rows:
        if row["what"] != what:
            continue
        line = found.setdefault(row["size"], {size: row["size"]})
        name = row["network"]
        line[f"{name}, ms"] = float(f"{row['seconds'] * 1e3:.4g}")
        line[f"{name}, quartiles"] = f"{row['from'] * 1e3:.4g} … {row['to'] * 1e3:.4g}"
        line[f"{name}, symbols/s"] = float(f"{row['symbols/s']:.4g}")
        line[f"{name}, KiB"] = float(f"{row['bytes'] / 1024:.4g}")
    return list(found.values())
