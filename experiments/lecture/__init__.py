"""What are the numbers and figures of a lecture on recurrent networks, and which code gives them?

Gradients that vanish and explode, the bound and its two thresholds, the identity and the constant
error carousel, parity, clipping at a cliff, truncated backpropagation; then five scenarios by what
goes in and what comes out, each in its preset `tiny`, and what attention looks at. Every number
stands beside that of the lectures, with the few lines that gave it. The same lines are on the pages
docs/lecture, to be pasted.

Command: python run.py --experiment=lecture
Without the five scenarios, under a minute: --preset=tiny
Expected: the numbers of the lectures, to rounding, in about two minutes on two cores
"""

from experiments.lecture.config import PRESETS, Config
from experiments.lecture.run import run

__all__ = ["PRESETS", "Config", "run"]
