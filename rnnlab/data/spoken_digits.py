"""Free Spoken Digit Dataset (Jackson et al.), recordings of ten words, as a TFDS builder.

Importing this module registers the builder `free_spoken_digits`.
"""

from __future__ import annotations

import io
import json
import wave
import zipfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from rnnlab.data import builder
from rnnlab.data.recordings import RATE, Recordings

#: Recordings of a digit by a speaker whose numbers are below this are the test split.
TESTED = 5


class FreeSpokenDigits(builder.Builder):
    """3,000 recordings of the digits 0 to 9 by six speakers, at 8 kHz.

    Numbers 0 to 4 of each speaker and digit are the test split, 300 in all, and 5 to 49 the
    training split, 2,700, as the README of the repository says. `recordings.zip` is its folder
    `recordings` at commit 26eb9aaf: files `DIGIT_SPEAKER_NUMBER.wav`. A record has those of one
    speaker, one after the other.
    """

    TITLE = "spoken_digits"
    URLS = {  # noqa: RUF012
        "recordings": "packed://Jakobovski/free-spoken-digit-dataset/recordings.zip"
    }

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "samples": tfds.features.Tensor(shape=(None,), dtype=np.int16, encoding="zlib"),
                    "rows": tfds.features.Text(),
                }
            ),
            disable_shuffling=True,
            homepage="https://github.com/Jakobovski/free-spoken-digit-dataset",
            citation=(
                "@misc{jackson2018fsdd, author={Jackson, Zohar and Souza, César and Flaks, Jason "
                "and Pan, Yuxin and Nicolas, Hereman and Thite, Adhish}, title={Free Spoken Digit "
                "Dataset, v1.0.8}, year={2018}, doi={10.5281/zenodo.1342401}}"
            ),
            license="CC BY-SA 4.0",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        rows = sorted(read_archive(self.fetch(dl_manager)["recordings"]), key=lambda row: row[:3])
        return {
            "train": self._generate_examples([row for row in rows if row[2] >= TESTED]),
            "test": self._generate_examples([row for row in rows if row[2] < TESTED]),
        }

    def _generate_examples(
        self, rows: list[tuple[str, int, int, np.ndarray]]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        for speaker in sorted({row[0] for row in rows}):
            part = [row for row in rows if row[0] == speaker]
            kept = [[digit, speaker, number, len(samples)] for _, digit, number, samples in part]
            samples = np.concatenate([row[-1] for row in part])
            yield speaker, {"samples": samples, "rows": json.dumps(kept)}


def read_archive(archive: bytes) -> Iterator[tuple[str, int, int, np.ndarray]]:
    """Speaker, digit, number and samples of each recording in an archive."""
    with zipfile.ZipFile(io.BytesIO(archive)) as files:
        for name in files.namelist():
            if not name.endswith(".wav"):
                continue
            digit, speaker, number = builder.file_name(name).removesuffix(".wav").split("_")
            with wave.open(io.BytesIO(files.read(name))) as sound:
                known = sound.getframerate(), sound.getnchannels(), sound.getsampwidth()
                if known != (RATE, 1, 2):
                    raise ValueError(f"{name}: is not one channel of 16 bits at {RATE} Hz")
                samples = np.frombuffer(sound.readframes(sound.getnframes()), "<i2")
            yield speaker, int(digit), int(number), samples


def load_recordings(data_dir: builder.Folder, manual_dir: builder.Folder, split: str) -> Recordings:
    """The recordings of a split, train or test.

    Arguments and errors are those of `rnnlab.data.builder.load_split`.
    """

    def read(source: Any) -> Recordings:
        samples, rows = [], []
        for index in range(len(source)):
            record = source[index]
            described = json.loads(record["rows"].decode())
            ends = np.cumsum([row[-1] for row in described])
            samples += np.split(np.asarray(record["samples"], np.int16), ends[:-1])
            rows += described
        labels, speakers, numbers = zip(*(row[:3] for row in rows), strict=True)
        return Recordings(samples, np.array(labels, np.int32), speakers, np.array(numbers))

    return builder.load_split(FreeSpokenDigits, data_dir, manual_dir, split, read)
