"""What builders of parallel texts share: the lines of each language, one record a split."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from rnnlab.data import builder


class ParallelBuilder(builder.Builder, skip_registration=True):
    """Texts in several languages whose lines correspond; a split is one record."""

    LANGUAGES: ClassVar[tuple[str, ...]]
    HOMEPAGE: ClassVar[str]
    CITATION: ClassVar[str]
    LICENCE: ClassVar[str]

    def _info(self) -> tfds.core.DatasetInfo:
        features = {language: tfds.features.Text() for language in self.LANGUAGES}
        return tfds.core.DatasetInfo(
            builder=self,
            description=type(self).__doc__,
            features=tfds.features.FeaturesDict(features),
            homepage=self.HOMEPAGE,
            citation=self.CITATION,
            license=self.LICENCE,
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        splits = self.splits(self.fetch(dl_manager))
        return {name: self._generate_examples(lines) for name, lines in splits.items()}

    def splits(self, contents: Mapping[str, bytes]) -> dict[str, dict[str, list[str]]]:
        """The lines of each language in each split, from the contents of the files."""
        raise NotImplementedError

    def _generate_examples(
        self, lines: Mapping[str, list[str]]
    ) -> Iterator[tuple[int, dict[str, str]]]:
        counts = {language: len(lines[language]) for language in self.LANGUAGES}
        if len(set(counts.values())) != 1:
            raise ValueError(f"lines that do not correspond: {counts}")
        yield 0, {language: "\n".join(lines[language]) for language in self.LANGUAGES}


def load_lines(
    builder_cls: type[ParallelBuilder],
    data_dir: builder.Folder,
    manual_dir: builder.Folder,
    split: str,
) -> dict[str, list[str]]:
    """The lines of a split in each language; arguments and errors as in `load_split`."""

    def read(source: Any) -> dict[str, list[str]]:
        record = source[0]
        return {name: record[name].decode().split("\n") for name in builder_cls.LANGUAGES}

    return builder.load_split(builder_cls, data_dir, manual_dir, split, read)
