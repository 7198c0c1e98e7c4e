"""Settings of `lecture`."""

from __future__ import annotations

import dataclasses

from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks

#: What goes in and what comes out, and the experiment that shows it.
SCENARIOS = {
    "image_classification": "one to one: an image, its class",
    "captioning": "one to many: an image, a sentence about it",
    "sentiment": "many to one: a sentence, its class",
    "frame_labelling": "many to many, aligned: a label for every frame",
    "translation": "many to many: a sentence, its translation",
}


@dataclasses.dataclass(frozen=True)
class Config:
    """What is shown."""

    #: Scenarios that are run in their preset `tiny`, from image_classification, captioning,
    #: sentiment, frame_labelling and translation.
    scenarios: tuple[str, ...] = tuple(SCENARIOS)
    #: How many of them run side by side.
    processes: int = 2
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.at_least(self, processes=1)
        checks.distinct(self, "scenarios")
        for name in self.scenarios:
            if name not in SCENARIOS:
                raise UsageError(f"scenarios={name}: must be of {', '.join(SCENARIOS)}")


PRESETS = {"tiny": Config(scenarios=())}
