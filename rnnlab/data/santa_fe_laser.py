"""The intensity of a chaotic laser, as a TFDS builder.

Importing this module registers the builder `santa_fe_laser`.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from rnnlab.arrays import Float
from rnnlab.data.builder import Folder, TextBuilder, load_text_split

COMMIT = "1fc11351bfba7f4b9a35464a1b99d804a5d6ccea"


class SantaFeLaser(TextBuilder):
    """Intensity of a far-infrared NH3 laser in a chaotic state, 10,093 samples of 8 bits.

    Data set A of the Santa Fe competition with its continuation: the intensity rises in pulses,
    which collapse at intervals that are hard to foresee, much as the Lorenz system does (U. Hübner,
    N. B. Abraham and C. O. Weiss, "Dimensions and entropies of chaotic intensity pulsations in a
    single-mode far-infrared NH3 laser", 1989). The one split is the whole series.
    """

    TITLE = "santa_fe_laser"
    URLS = {  # noqa: RUF012
        "laser": f"https://raw.githubusercontent.com/reservoirpy/reservoirpy/{COMMIT}"
        "/reservoirpy/datasets/santafe_laser.npy"
    }
    HOMEPAGE = "https://github.com/reservoirpy/reservoirpy"
    CITATION = (
        '@article{hubner1989dimensions, author={H{\\"u}bner, Udo and Abraham, Neal B and Weiss, '
        "Carl Otto}, title={Dimensions and entropies of chaotic intensity pulsations in a "
        "single-mode far-infrared NH3 laser}, journal={Physical Review A}, year={1989}}"
    )
    LICENCE = "The repository is under the MIT licence; none is stated for the data."

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        samples = np.load(io.BytesIO(self.fetch(dl_manager)["laser"]), allow_pickle=False)
        return {"train": self._lines(samples.ravel())}

    def _lines(self, samples: np.ndarray) -> Iterator[tuple[int, dict[str, str]]]:
        yield 0, {"text": "\n".join(str(int(sample)) for sample in samples)}


def load_laser(data_dir: Folder, manual_dir: Folder) -> Float[np.ndarray, "steps 1"]:
    """The whole series; arguments and errors as in `builder.load_split`."""
    text = load_text_split(SantaFeLaser, data_dir, manual_dir, "train")
    return np.array(text.split(), float)[:, None]
