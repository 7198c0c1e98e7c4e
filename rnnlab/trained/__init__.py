"""Models that experiments have trained, for use anywhere: `load` returns one from a work directory.

    import rnnlab

    model = rnnlab.load("runs/char_lm-tiny-1234abcd")
    print(model.generate("ROMEO:", 200))

An experiment describes its model in `model.json` when training starts, with the `describe` of the
module of its kind (`rnnlab.trained.kinds`). That file and the checkpoints are all that `load`
reads. It never writes to the work directory, which may be read-only, or of a run that is still
training.
"""

from rnnlab.trained.images import ImageClassifier
from rnnlab.trained.loading import load
from rnnlab.trained.text import TextModel

__all__ = ["ImageClassifier", "TextModel", "load"]
