"""A shortage of memory in one line, however NumPy and XLA tell it."""

import re

from rnnlab.sizes import in_gib, machine_gib

#: Errors of XLA, by name, so that JAX is not imported for them.
_OF_XLA = {"XlaRuntimeError", "JaxRuntimeError"}
_UNITS = {"": 2**-30, "K": 2**-20, "M": 2**-10, "G": 1.0, "T": 2.0**10, "P": 2.0**20, "E": 2.0**30}
#: `allocating 1600 bytes`, `allocate 9.31GiB`, `allocate 745. GiB`.
_SIZE = re.compile(r"allocat\w+ ([\d.]+(?:e\+\d+)?) ?(?:([KMGTPE])i?B|B\b|bytes)", re.IGNORECASE)


def shortage(error: BaseException) -> str | None:
    """What to say of an error that means too little memory; None for another error."""
    text = str(error)
    of_xla = type(error).__name__ in _OF_XLA and re.search("out of memory", text, re.IGNORECASE)
    if not (of_xla or isinstance(error, MemoryError)):
        return None
    found = _SIZE.search(text)
    asked = "more was asked for than there is"
    if found:
        gib = float(found[1].rstrip(".")) * _UNITS[(found[2] or "").upper()]
        asked = f"{in_gib(gib)} were asked for at once"
    return (
        f"out of memory: {asked}, and this machine has {in_gib(machine_gib())}; choose smaller "
        "sizes (units, layers, batch, length, seeds)"
    )
