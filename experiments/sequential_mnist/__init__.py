"""Can a network read a digit pixel by pixel, and name it 784 steps later?

Images of MNIST are read as sequences: row by row (28 steps), pixel by pixel (784 steps; Le, Jaitly
and Hinton 2015), or pixel by pixel in a fixed random order, in which neighbours lie hundreds of
steps apart. A linear readout of the last output names the digit; the loss is the cross-entropy.
Measured are accuracy and loss on validation images, the recurrent matrices, and how far back the
loss is felt.

Command: python run.py --experiment=sequential_mnist --config.order=permuted
Pixel by pixel: --config.order=pixels. Row by row: --config.order=rows
Under a minute, on small images that it makes: --preset=tiny
Expected on test images: 99.1 % (rows, 5 epochs), 98.8 % (pixels, 10 epochs, 45 minutes), 93.1 %
(permuted, 5 epochs, 25 minutes).
Splits: the published 60,000 and 10,000 images; the last 5,000 of the former validate. The test
images are evaluated once, with the checkpoint that misread the fewest validation images.
"""

from experiments.sequential_mnist.config import PRESETS, Config
from experiments.sequential_mnist.run import run

__all__ = ["PRESETS", "Config", "run"]
