"""Settings of `addition`."""

from __future__ import annotations

import dataclasses

from rnnlab.data.sums import MOST_DIGITS
from rnnlab.errors import UsageError
from rnnlab.precision import PRECISIONS
from rnnlab.run import checks
from rnnlab.training.plan import Plan
from rnnlab.training.settings import Training
from rnnlab.training.sums import SumNetwork


@dataclasses.dataclass(frozen=True)
class Config:
    """Which sums are read, by which network, trained how."""

    #: Digits of the longest numbers, 1 to 8.
    digits: int = 3
    #: Whether a sum is read from its end: 543+21 for 12+345.
    reverse: bool = True
    #: The network.
    network: SumNetwork = SumNetwork()
    #: Its training.
    training: Training = Training(
        batch=128,
        steps=12_000,
        learning_rate=0.004,
        schedule="cosine",
        warmup=200,
        evaluate_every=1000,
        checkpoint_every=1000,
        dispatch=100,
    )
    #: Held-out sums that validate, and as many that test; fewer where there are no more.
    held_out: int = 5000
    #: Seed of all that is random but the held-out sums, which stay the same.
    seed: int = 0
    #: How a GPU or TPU multiplies float32: in float32, or fast, in the shorter type it prefers.
    precision: str = "float32"

    def __post_init__(self) -> None:
        """Checks every field."""
        checks.one_of(self, "precision", PRECISIONS)
        checks.seed(self, "seed")
        checks.at_least(self, digits=1, held_out=1)
        if self.digits > MOST_DIGITS:
            raise UsageError(f"digits={self.digits}: must be at most {MOST_DIGITS}")

    def plan(self) -> Plan:
        """How long training is."""
        return self.training.plan(
            best="error", speed_unit="sums", units_per_update=self.training.batch
        )


PRESETS = {
    "tiny": Config(
        digits=2,
        network=SumNetwork(hidden=48, embedding=16),
        training=dataclasses.replace(
            Config().training,
            steps=3000,
            learning_rate=0.01,
            warmup=20,
            evaluate_every=500,
            checkpoint_every=1000,
        ),
        held_out=500,
    ),
    "four": Config(
        digits=4,
        training=dataclasses.replace(Config().training, steps=30_000, evaluate_every=2000),
    ),
}
