"""A trained network that labels the frames of videos of a person, which are CSV files.

Its description has the `labels`, and the `scaling` of what it reads of a frame (`frames.Scaling`).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from rnnlab.arrays import Float, Params
from rnnlab.data.motion import FEATURES, features
from rnnlab.data.motion_files import ENDINGS, Motion, read_motion
from rnnlab.errors import UsageError
from rnnlab.run.workdir import Workdir
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.training.frame_settings import FrameNetwork
from rnnlab.training.frames import Answer, Committee, Scaling, label_frames
from rnnlab.training.segments import segments


def describe(
    workdir: Workdir, network: FrameNetwork, scaling: Scaling, labels: Sequence[str]
) -> None:
    """Writes the description of a network that labels frames."""
    write_description(workdir, "frames", network, labels=[*labels], scaling=scaling._asdict())


def load(kept: Kept) -> FrameLabeller:
    """The model that a work directory keeps."""
    network = FrameNetwork(**kept.description["network"])
    given, labels = kept.description["scaling"], tuple(kept.description["labels"])
    scaling = Scaling(tuple(given["mean"]), tuple(given["scale"]), given["prior"])
    plain = dataclasses.replace(network, strategy=STRATEGY)
    model = Committee(plain, FEATURES, len(labels))
    step, params = kept.parameters(model.init)
    return FrameLabeller(model, params, scaling, labels, network, kept.config, step)


@dataclasses.dataclass(frozen=True, eq=False)
class FrameLabeller:
    """A trained network that labels the frames of videos, such as with the phases of gestures.

    Attributes:
        model: the networks.
        params: their parameters.
        scaling: of what they read of a frame.
        labels: their names.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Committee = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    scaling: Scaling = dataclasses.field(repr=False)
    labels: tuple[str, ...]
    network: FrameNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: Of the files that its lines name.
    endings: ClassVar[tuple[str, ...]] = ENDINGS

    def __call__(self, motion: Motion) -> Float[np.ndarray, "T labels"]:
        """The probability of each label at each frame of a video (`motion_files.read_motion`)."""
        return self._answers([motion], ["motion"])[0].probabilities

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """The labels of the frames of videos.

        Args:
            lines: names of CSV files with the columns of `rnnlab.data.motion_files`.

        Returns:
            For each line `{"line", "answer", "segments", "labels", "probabilities"}`: the segments
            in words with their seconds; each as `{"label", "start", "end"}` in seconds from the
            first frame, where one ends when the next one starts; the label of each frame, and its
            probability.

        Raises:
            UsageError: a file that cannot be read.
        """
        motions = [read_motion(line.strip()) for line in lines]
        found = self._answers(motions, lines)
        return [self._described(*each) for each in zip(lines, motions, found, strict=True)]

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the labels of a video along its seconds, with the phases of the file if it has any.

        Args:
            line: the name of a CSV file.
            path: of the picture, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: as `predict`.
        """
        from rnnlab import plots
        from rnnlab.trained import timeline_picture

        motion = read_motion(line.strip())
        (answer,) = self._answers([motion], [line])
        known = [phase.lower() for phase in motion.phases]
        rows = [("answered", answer.labels)]
        if known and set(known) <= set(self.labels):
            rows = [("file", np.array([self.labels.index(phase) for phase in known])), *rows]
        with plots.style():
            plots.save(timeline_picture.plot(rows, motion.seconds, self.labels), path)

    def _answers(self, motions: Sequence[Motion], names: Sequence[str]) -> list[Answer]:
        with np.errstate(over="ignore", invalid="ignore"):
            frames = [self.scaling(features(motion)) for motion in motions]
        for name, one in zip(names, frames, strict=True):
            if not np.isfinite(one).all():
                raise UsageError(f"{name}: has joints too far apart for numbers of 32 bits")
        return label_frames(self.model, self.params, frames)

    def _described(self, line: str, motion: Motion, answer: Answer) -> dict[str, Any]:
        found = []
        for one in segments(answer.labels):
            start, end = one.seconds(motion.seconds)
            found.append({"label": self.labels[one.label], "start": start, "end": end})
        share = np.take_along_axis(answer.probabilities, answer.labels[:, None], axis=1)[:, 0]
        return {
            "line": line,
            "answer": ", ".join(f"{s['label']} {s['start']:.2f}-{s['end']:.2f}" for s in found),
            "segments": found,
            "labels": [self.labels[label] for label in answer.labels],
            "probabilities": share.tolist(),
        }
