"""What `run.py --help`, `--list` and `--experiment=NAME --help` print."""

import textwrap
from typing import Any

from rnnlab.run.command_line import DEFAULT_EXPERIMENT
from rnnlab.run.fields import fields, flatten
from rnnlab.run.registry import Experiment, Settings


def of_everything(experiments: dict[str, Experiment], program: str = "python run.py") -> str:
    """What `--help` prints; `program` is how the program was started."""
    return f"""\
usage: {program} [--experiment=NAME] [--preset=NAME] [--config.FIELD=VALUE ...]
       {" " * len(program)} [--workdir=PATH]

  --experiment=NAME       the experiment to run (default: {DEFAULT_EXPERIMENT})
  --preset=NAME           the values to start from; every experiment has --preset=tiny, which takes
                          less than a minute (default: those that its --help shows)
  --config.FIELD=VALUE    a field of its configuration; a list is written with commas: 0.5,0.9,1.1
  --config-file=PATH      fields from a JSON file, such as the config.json of an earlier run
  --each.FIELD=A,B,C      a run with each of these values, or, with several lists, with each
                          combination; one folder for each run, in --workdir=PATH if that is given
  --task=I                only number I of these runs, from 0, as in an array of cluster jobs
  --workdir=PATH          where everything goes (default: a folder of runs/ with a readable name);
                          alone, the run in it goes on
  --accept_changes        go on although the source code or a text has changed since the run began
  --pictures=pdf,svg      pictures in these formats too, beside those in PNG; also of a finished run
  --loggers=NAME,...      what else gets the metrics of training: tensorboard (default), wandb,
                          mlflow, or MODULE:NAME of your own
  --experiments=FOLDER    choose from your own experiments instead of those of rnnlab
  --mode=generate         a text from the model of --workdir=PATH, or of the run of the other flags:
                          --prompt=TEXT --count=500 --temperature=1.0 --top_k=0 --top_p=1.0
                          --draw=0 (its seed)
  --mode=predict          an answer of that model to each line of --input=FILE (- for standard
                          input), a line each; --scores: as JSON, with all that it says of a line
  --mode=show             a picture of how that model reads --input=TEXT (or the first line of a
                          file): --output=shown.png; all three leave the work directory as it is
  --mode=compare          a page that puts the finished runs in the folder --workdir=FOLDER side by
                          side, as --each does at its end, where the experiment can
  --coordinator=ADDRESS:PORT --hosts=N --host=I
                          train on N hosts: the same command on each, with I from 0 to N - 1;
                          --coordinator=auto where Slurm, MPI or a TPU pod tells
  --list                  the experiments, a line each
  --help                  this text; with --experiment=NAME: question, presets and fields

Rerun the same command to resume a run.

experiments:
{listing(experiments)}"""


def listing(experiments: dict[str, Experiment]) -> str:
    """What `run.py --list` prints: a line for each experiment."""
    width = max(map(len, experiments), default=0)
    return "\n".join(f"  {e.name:<{width}}  {e.summary}" for e in experiments.values())


def of_experiment(experiment: Experiment, settings: Settings) -> str:
    """What `run.py --experiment=NAME --help` prints: docstring, presets, then every field."""
    known = fields(settings.config_class())
    described = "\n".join(
        f"  --config.{field.name}: {field.type} = {field.default!r}\n" + _filled(field.doc, 6)
        for field in known
    )
    notes = "lists are written with commas"
    if any("." in field.name for field in known):
        notes += "; the last part of a name is enough where it is the only one of that name"
    return f"{experiment.docstring}\n\n{_presets(settings)}configuration ({notes}):\n{described}"


def _presets(settings: Settings) -> str:
    """A paragraph for each preset: its name and what it changes."""
    if not settings.presets:
        return ""
    default = flatten(settings.config_class())
    lines = ["presets, and the fields that they change (fields that are given win):"]
    for name, preset in settings.presets.items():
        changed = [f"{k}={_text(v)}" for k, v in flatten(preset).items() if v != default.get(k)]
        lines += [f"  --preset={name}", _filled("  ".join(changed) or "nothing", 6)]
    return "\n".join(lines) + "\n\n"


def _filled(text: str, indent: int) -> str:
    space = " " * indent
    return textwrap.fill(
        text, 96, initial_indent=space, subsequent_indent=space, break_on_hyphens=False
    )


def _text(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, tuple):
        return ",".join(map(_text, value))
    return str(value).lower() if isinstance(value, bool) else str(value)
