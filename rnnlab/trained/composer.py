"""A trained network that continues MIDI files, and harmonises their melodies.

Its description has nothing but the network.
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import numpy as np

from rnnlab.arrays import Params
from rnnlab.data.midi import BEATS, read_midi, write_midi
from rnnlab.data.piano_roll import KEYS, LOWEST, Roll, pitches, shifted, shifts, tops, trimmed
from rnnlab.errors import UsageError
from rnnlab.nn import Functional
from rnnlab.run.files import expanded
from rnnlab.run.workdir import Workdir
from rnnlab.sizes import check_at_least
from rnnlab.trained.description import Kept, write_description
from rnnlab.trained.kinds import STRATEGY
from rnnlab.trained.request import read_request
from rnnlab.training.composing import Setting, check_temperature, continued, harmonised
from rnnlab.training.music import Composer, composer, frame_nats
from rnnlab.training.music_settings import MusicNetwork

#: Particles of a melody, at most, and frames of all of them: they are kept until one is chosen.
PARTICLES, FRAMES = 4096, 1_000_000


def describe(workdir: Workdir, network: MusicNetwork) -> None:
    """Writes the description of a network that writes music, with its number of hidden units."""
    write_description(workdir, "music", network)


def load(kept: Kept) -> MusicModel:
    """The model that a work directory keeps."""
    network = MusicNetwork(**kept.description["network"])
    model = composer(dataclasses.replace(network, strategy=STRATEGY))
    step, params = kept.parameters(model.init)
    return MusicModel(model, params, network, kept.config, step)


@dataclasses.dataclass(frozen=True)
class Request:
    """What a line asks for.

    Attributes:
        prompt: a MIDI file to continue.
        melody: a MIDI file whose highest keys get voices below them; instead of a prompt.
        beats: that follow the prompt.
        temperature: below 1 likely chords become likelier still, 0 takes the likeliest keys.
        particles: chorales that are written side by side below a melody.
        seed: of the draws.
        output: the MIDI file that is written; empty for one beside the file that is read, such as
            `NAME-continued-SEED.mid` or `NAME-harmonised-SEED.mid`. An older one is replaced.
    """

    prompt: str = ""
    melody: str = ""
    beats: int = 48
    temperature: float = 1.0
    particles: int = 64
    seed: int = 0
    output: str = ""

    def __post_init__(self) -> None:
        """Checks every field."""
        if bool(self.prompt) == bool(self.melody):
            raise UsageError("needs the MIDI file of either a prompt or a melody")
        limits = {"beats": (1, BEATS), "particles": (1, PARTICLES), "seed": (0, 2**31 - 1)}
        for name, (least, most) in limits.items():
            if not least <= getattr(self, name) <= most:
                raise UsageError(f"{name}={getattr(self, name)}: must be within {least} .. {most}")
        check_temperature(self.temperature)
        if self.target == self.source:
            raise UsageError(f"output={self.output}: is the file that is read")

    @property
    def source(self) -> pathlib.Path:
        """The file that is read."""
        return expanded(self.prompt or self.melody)

    @property
    def target(self) -> pathlib.Path:
        """The file that is written."""
        if self.output:
            return expanded(self.output)
        kind = "continued" if self.prompt else "harmonised"
        return self.source.with_name(f"{self.source.stem}-{kind}-{self.seed}.mid")


def read_line(line: str) -> Request:
    """What a line asks for: the name of a MIDI file to continue, or JSON with fields of `Request`.

    Raises:
        UsageError: it is neither, or a field has a wrong value.
    """
    return read_request(Request, line, "prompt")


@dataclasses.dataclass(frozen=True, eq=False)
class MusicModel:
    """A trained network that writes music, a frame of piano keys for each beat.

    Attributes:
        model: the network.
        params: its parameters.
        network: settings of the network.
        config: configuration of the run, as JSON values.
        step: training steps after which the checkpoint was taken.
    """

    model: Functional[Composer] = dataclasses.field(repr=False)
    params: Params = dataclasses.field(repr=False)
    network: MusicNetwork
    config: dict[str, Any] = dataclasses.field(repr=False)
    step: int

    #: Of the files that its lines name.
    endings: ClassVar[tuple[str, ...]] = (".mid", ".midi")

    def compose(
        self,
        prompt: Roll | None = None,
        *,
        beats: int = 48,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> Roll:
        """A piano roll, uint8 `[T, 88]`: the prompt, and that many beats more.

        The network reads the prompt in the key in which it is likeliest, for it may know one key
        alone, as that of the chorales does; what it writes is moved back.

        Args:
            prompt: the first frames; None lets the network begin.
            beats: to write.
            temperature: below 1 likely chords become likelier still, 0 takes the likeliest keys.
            seed: of the draws.

        Raises:
            UsageError: a number out of range, or a prompt that is no piano roll.
        """
        prompt = np.zeros((0, KEYS), np.uint8) if prompt is None else _checked(prompt)
        if beats < 0:
            raise UsageError(f"beats={beats}: must be at least 0")
        key = jax.random.key(check_at_least("seed", seed, 0))
        semitones = self._prompt_shift(prompt)
        moved = shifted(prompt, semitones)
        keys = continued(self.model, self.params, moved, beats, key, temperature)
        return np.concatenate([prompt, shifted(keys[len(prompt) :], -semitones)])

    def harmonise(
        self, melody: Roll, *, particles: int = 64, temperature: float = 1.0, seed: int = 0
    ) -> Roll:
        """The highest keys of a piano roll, with voices below them: see `composing.harmonised`.

        As in `compose`, the network reads the melody in the key in which it is likeliest.

        Args:
            melody: uint8 `[T, 88]`; all keys but the highest of each frame are left out.
            particles: chorales that are written side by side, of which one is drawn.
            temperature: as in `compose`.
            seed: of the draws.

        Raises:
            UsageError: a number out of range, or a melody that is no piano roll.
        """
        melody, key = tops(_checked(melody)), jax.random.key(check_at_least("seed", seed, 0))
        if particles * len(melody) > FRAMES:
            raise UsageError(
                f"particles={particles}: of {len(melody):,} beats at most "
                f"{max(FRAMES // len(melody), 1)} can be kept"
            )

        def voices(semitones: int, temperature: float) -> Setting:
            moved = shifted(melody, semitones)
            settings: Any = {"particles": particles, "temperature": temperature}
            return harmonised(self.model, self.params, moved, key, **settings)

        semitones = max(shifts(melody), key=lambda one: (voices(one, 1.0).log_p, -abs(one)))
        below = shifted(voices(semitones, temperature).keys, -semitones)
        return np.maximum(melody, below)

    def predict(self, lines: Sequence[str]) -> list[dict[str, Any]]:
        """Continues MIDI files, or harmonises their melodies, and writes the results as MIDI files.

        Args:
            lines: names of MIDI files to continue, or JSON with fields of `Request`, such as
                `{"melody": "tune.mid", "temperature": 0.8, "seed": 3}`. Silence at both ends of a
                file is left out.

        Returns:
            For each line `{"line", "answer", "given", "beats", "pitches"}`: the file that was
            written, beats of the prompt or melody, all beats, and the MIDI pitches of each.

        Raises:
            UsageError: a line that asks for nothing, a file that cannot be read as MIDI
                (`rnnlab.data.midi`), or one that cannot be written. Nothing is written before all
                files have been read.
        """
        requests = [read_line(line) for line in lines]
        read = [trimmed(read_midi(request.source)) for request in requests]
        answers = []
        for line, request, given in zip(lines, requests, read, strict=True):
            keys, _ = self._write(request, given)
            try:
                path = write_midi(request.target, keys)
            except OSError as error:
                raise UsageError(f"output={request.target}: {error.strerror}") from error
            notes = {"given": len(given), "beats": len(keys), "pitches": pitches(keys)}
            answers.append({"line": line, "answer": str(path), **notes})
        return answers

    def show(self, line: str, path: str | os.PathLike[str]) -> None:
        """Draws the piano roll of what a line asks for, which is not written as MIDI.

        Args:
            line: as in `predict`.
            path: of the picture, which ends in .png, .pdf or .svg.

        Raises:
            UsageError: as in `predict`.
        """
        from rnnlab import plots
        from rnnlab.trained import roll_picture

        request = read_line(line)
        keys, given = self._write(request, trimmed(read_midi(request.source)))
        with plots.style():
            plots.save(roll_picture.plot(keys, given), path)

    def _prompt_shift(self, prompt: Roll) -> int:
        """By how many semitones a prompt is moved to be likeliest."""
        if not prompt.any():
            return 0
        tried = shifts(prompt)
        nats = frame_nats(self.model, self.params, [shifted(prompt, one) for one in tried])
        sums = [float(one.sum()) for one in nats]
        return min(zip(sums, map(abs, tried), tried, strict=True))[2]

    def _write(self, request: Request, read: Roll) -> tuple[Roll, Roll]:
        """A piano roll, and which of its keys were given."""
        draws = {"temperature": request.temperature, "seed": request.seed}
        if request.prompt:
            keys = self.compose(read, beats=request.beats, **draws)
            return keys, np.concatenate([read, np.zeros_like(keys[len(read) :])])
        keys = self.harmonise(read, particles=request.particles, **draws)
        return keys, tops(read)


def _checked(keys: Any) -> Roll:
    keys = np.asarray(keys)
    if keys.ndim != 2 or keys.shape[1] != KEYS or not np.isin(keys, (0, 1)).all():
        raise UsageError(
            f"a piano roll has the shape [T, {KEYS}] and is 1 where a key sounds, from the pitch "
            f"{LOWEST} up; this is {keys.dtype}{list(keys.shape)}"
        )
    return keys.astype(np.uint8)
