"""How fast is the laboratory, and how much memory does it take, against what people write today?

Suites. `layers`: Elman, LSTM and GRU layers, stacked and bidirectional, in every strategy against
the same layers of Flax (Linen and NNX), Haiku, Equinox, Keras on JAX, PyTorch, and on a GPU cuDNN:
forward, gradient of the parameters, gradient of parameters and inputs. `cells`: every cell at one
shape, plain autodiff against the other strategies. `scaling`: time and memory of a gradient against
T, H and B with the fitted exponent, compile time against T and depth. `auto`: the table from which
`strategy="auto"` chooses. `sweep`: the gradient-norm sweep against a Python loop over `jit(grad)`
and over PyTorch's autograd, one call for each point and length. `memory`: peak memory of a gradient
through 100,000 steps with rematerialisation. `stream`: microseconds of a single step.
`translation` and `characters`: tokens per second of training an encoder-decoder with attention, and
the large model of `char_lm`, against the same models and updates in PyTorch. `targets`:
one table of what was aimed at, reached or missed, of what this device can measure. `machines`: the
results of several runs, on several machines, side by side.

Before timing, the candidates of a suite must agree on the same weights (in the sweep wherever the
loops return a number other than 0 and inf). Candidates take turns; the tables show medians over the
rounds, in `layers` also quartiles, and the first call (with compilation) apart. Where other
processes or virtual machines, a fallen clock or the state of a GPU disturb them, all candidates of
the row are timed again, up to `--config.repeats` times, and the least disturbed times count; rows
say so. Every table is in `results.json` with date, command, device, versions and flags, and is
written after each of its parts.

Sources: Flax, Haiku, Equinox, Keras and PyTorch in the versions that `peers` names, each used as
its documentation shows.

Command: `python run.py --experiment=benchmark`, and for the layers `--preset=layers`, once more
with `--config.allocator=hugepages`; for all aims `--preset=targets`. Presets: `tiny` runs every
suite but `machines` at toy sizes, to see that it works; `quick` says within a minute who is the
fastest for one layer; `layers` is the comparison of layers; `targets` the table of aims.

Aims: gradients of LSTM layers 1.3 times, of Elman and GRU layers 1.5 times as fast as the best peer
on JAX, and no slower, for Elman and GRU twice as fast, as PyTorch at H of 128 or more; the sweep at
least twice as fast as the JAX loop once compiled, no slower with compilation, eight times as fast
as PyTorch, ten times as fast as the JAX loop with 100 lengths.

Time: about 10 minutes on two cores, the layers about 90 minutes, `tiny` less than a minute. Nothing
else should run on the machine.
"""

from experiments.benchmark.config import PRESETS, Config
from experiments.benchmark.run import run

__all__ = ["PRESETS", "Config", "run"]
