"""How well does a recurrent network label every frame of a video?

It reads where the hands and wrists of a person are in each frame, and how fast they move, and names
the phase of the gesture: rest, preparation, stroke, hold or retraction (Gesture Phase Segmentation,
Madeo et al. 2013). It labels a frame before the next one is there, or reads in both directions
(--config.bidirectional). Users a and b train, a video of theirs validates, and user c, whom the
network has never seen, tests, once. Logistic regression and gradient boosting on a window of frames
with the same numbers are measured beside it. What counts is the macro-F1 of frames, and the F1 of
segments that overlap by half (F1@50, Lea et al. 2017).

Command: python run.py --experiment=frame_labelling
With the frames to come: --config.bidirectional
Several seeds side by side: --each.seed=0,1,2
Under a minute, on videos that it makes: --preset=tiny
Expected: macro-F1 0.56 of the frames of user c, and F1@50 0.27; with the frames to come 0.66 and
0.46; four minutes of one core, of which the baselines take three
Label a CSV file once it is trained: the same command and --mode=predict --input=FILE.csv
"""

from experiments.frame_labelling.comparison import compare
from experiments.frame_labelling.config import PRESETS, Config
from experiments.frame_labelling.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
