"""NLVR (Suhr et al. 2017), drawings with sentences that people wrote, as a TFDS builder.

Importing this module registers the builder `nlvr_drawings`.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from rnnlab.data import builder
from rnnlab.data.picture_files import letterboxed, picture_of

#: Height and width of the drawings, half of the original.
HEIGHT, WIDTH = 50, 200


class NlvrDrawings(builder.Builder):
    """Drawings of three boxes with shapes, each with a sentence that is true or false of it.

    1,000 pairs to train, and 989, 990 and 985 in dev, test and hidden, those of the pages of
    examples of the repository at commit 18924841: it has no archive of its drawings.
    `images.tar.gz` has the drawings as they are there, in folders named after the splits;
    `captions.jsonl.gz` has a line of JSON for each, with `split`, `image` (its name in the
    archive), `sentence` and `label` ("true" or "false"). Drawings are kept in half their size, in
    records of 50.
    """

    TITLE = "nlvr"
    URLS = {  # noqa: RUF012
        "images": "packed://lil-lab/nlvr/images.tar.gz",
        "captions": "packed://lil-lab/nlvr/captions.jsonl.gz",
    }
    RECORD = 50

    def _info(self) -> tfds.core.DatasetInfo:
        shape = (None, HEIGHT, WIDTH, 3)
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "images": tfds.features.Tensor(shape=shape, dtype=np.uint8, encoding="zlib"),
                    "rows": tfds.features.Text(),
                }
            ),
            disable_shuffling=True,
            homepage="https://github.com/lil-lab/nlvr",
            citation=(
                "@inproceedings{suhr2017corpus, author={Suhr, Alane and Lewis, Mike and Yeh, James "
                "and Artzi, Yoav}, title={A corpus of natural language for visual reasoning}, "
                "booktitle={ACL}, year={2017}}"
            ),
            license="CC BY 4.0",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        files = self.fetch(dl_manager)
        rows = [json.loads(line) for line in gzip.decompress(files["captions"]).splitlines()]
        drawings = dict(read_drawings(files["images"]))
        return {
            split: self._generate_examples([r for r in rows if r["split"] == split], drawings)
            for split in ("train", "dev", "test", "hidden")
        }

    def _generate_examples(
        self, rows: list[dict[str, str]], drawings: dict[str, np.ndarray]
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        for start in range(0, len(rows), self.RECORD):
            part = rows[start : start + self.RECORD]
            kept = [[row["sentence"], row["label"] == "true"] for row in part]
            images = np.stack([drawings[row["image"]] for row in part])
            yield start, {"images": images, "rows": json.dumps(kept)}


def read_drawings(archive: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pixels `[50, 200, 3]` of the drawings in an archive.

    Raises:
        ValueError: one is no picture.
    """
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        for member in files:
            stream = files.extractfile(member)
            if stream is not None:
                yield member.name, letterboxed(picture_of(stream, member.name), HEIGHT, WIDTH)


def load_nlvr(
    data_dir: builder.Folder, manual_dir: builder.Folder, split: str
) -> tuple[np.ndarray, list[str]]:
    """Drawings uint8 `[N, 50, 200, 3]` of a split and the sentences that are true of them.

    Arguments and errors are those of `rnnlab.data.builder.load_split`.
    """

    def read(source: Any) -> tuple[np.ndarray, list[str]]:
        images, sentences = [], []
        for index in range(len(source)):
            record = source[index]
            for image, (sentence, true) in zip(
                record["images"], json.loads(record["rows"].decode()), strict=True
            ):
                if true:
                    images.append(image)
                    sentences.append(sentence)
        return np.stack(images), sentences

    return builder.load_split(NlvrDrawings, data_dir, manual_dir, split, read)
