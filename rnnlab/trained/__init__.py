"""Models that experiments have trained, for use anywhere: `load` returns one from a work directory.

    import rnnlab

    model = rnnlab.load("runs/char_lm-tiny-1234abcd")
    print(model.generate("ROMEO:", 200))

An experiment describes its model in `model.json` when training starts (`describe_text`,
`describe_images`). That file and the checkpoints are all that `load` reads. It never writes to the
work directory, which may be read-only, or of a run that is still training.
"""

from rnnlab.trained.description import describe_images, describe_text
from rnnlab.trained.images import ImageClassifier
from rnnlab.trained.loading import load
from rnnlab.trained.text import TextModel

__all__ = ["ImageClassifier", "TextModel", "describe_images", "describe_text", "load"]
