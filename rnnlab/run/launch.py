"""From a command line to a finished run, and from how it ended to an exit code.

    0    done
    1    the request is right but could not be carried out (disk, permission, network)
    2    the request is wrong
    3    training has diverged
    130  interrupted by Ctrl-C; 143 by SIGTERM

Only an error of the program itself shows a traceback.
"""

import contextlib
import json
import os
import pathlib
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from rnnlab.errors import RunError, UsageError
from rnnlab.run import (
    command_line,
    help,
    host_processes,
    identity,
    loggers,
    many,
    memory,
    modes,
    names,
    pictures,
    registry,
    streams,
)
from rnnlab.run import workdir as workdirs


def console() -> int:
    """The command `rnnlab`: `main` with the experiments that come with rnnlab."""
    return main(sys.argv, registry.bundled())


def main(argv: Sequence[str], folder: pathlib.Path) -> int:
    """Runs the command line with the experiments of a folder, and returns the exit code.

    The folder is that of `--experiments`, where the command line has it.
    """
    streams.prepare()
    streams.quiet_libraries()
    try:
        signal.signal(signal.SIGTERM, _terminate)
        code = _dispatch(argv, folder)
        sys.stdout.flush()  # here, where an error can be told
        return code
    except UsageError as error:
        return _say(f"error: {error}", 2)
    except RunError as error:
        return _say(f"error: {error}", 1)
    except BrokenPipeError:
        return _say("error: nobody reads the standard output any more", 1)
    except OSError as error:
        return _say(f"error: {error}. Fix this and rerun the same command to resume.", 1)
    except KeyboardInterrupt as interrupt:
        again = f"{command_line.program(argv)} {shlex.join(argv[1:])}".strip()
        return _interrupted(interrupt, f"; rerun the same command to resume: {again}")
    except Exception as error:
        reason = memory.shortage(error)
        if reason is None:
            raise
        return _say(f"error: {reason}", 1)
    finally:
        streams.settle()


class _Terminated(KeyboardInterrupt):
    """SIGTERM. It ends a run as Ctrl-C does: the state is recorded and the run can be resumed."""


def _interrupted(interrupt: KeyboardInterrupt, more: str = "") -> int:
    """Says so, and returns the exit code."""
    return _say(f"interrupted{more}", 143 if isinstance(interrupt, _Terminated) else 130)


def _terminate(signum: int, frame: object) -> None:
    raise _Terminated


def _dispatch(argv: Sequence[str], folder: pathlib.Path) -> int:
    lists = many.find(argv)
    line = command_line.CommandLine(lists.argv, folder)
    if lists.values and (line.question is not None or line.list):
        raise UsageError("--each: only with --mode=run")
    if line.experiments is not None:
        folder = registry.own_folder(line.experiments)
    if line.help and not line.experiment_given:
        print(help.of_everything(registry.experiments(folder), command_line.program(argv)))
    elif line.list:
        print(help.listing(registry.experiments(folder)))
    elif isinstance(line.question, modes.Compare) and not line.help:
        _compare(line, folder)
    elif line.question is not None and not line.help:
        assert not isinstance(line.question, modes.Compare)
        _set_up_jax()
        root = _workdir_to_ask(line, folder)
        try:
            line.question.ask(modes.load(root, accept_changes=line.accept_changes))
        except KeyboardInterrupt as interrupt:  # an answer is not resumed
            return _interrupted(interrupt)
    else:
        experiment = _experiment(line, folder)
        _set_up_jax()
        line.check(experiment)
        loggers.check(line.loggers)
        if line.help:
            print(help.of_experiment(experiment, experiment.settings()))
        else:
            with streams.guarded() as out:
                code = (
                    _run_lists(experiment, line, lists)
                    if lists.values
                    else many.CODES[_run(experiment, line, argv)]
                )
            if code == 0:
                streams.require_written(out)
            return code
    return 0


def _experiment(line: command_line.CommandLine, folder: pathlib.Path) -> registry.Experiment:
    """The experiment to run; of a folder of one's own, its only one need not be named."""
    if line.experiments is not None and not line.experiment_given:
        known = registry.experiments(folder)
        if len(known) > 1:
            where = f"--experiments={line.experiments}"
            raise UsageError(f"{where}: choose --experiment=NAME, of {', '.join(known)}")
        return next(iter(known.values()))
    return registry.find(folder, line.experiment)


def _run_lists(
    experiment: registry.Experiment, line: command_line.CommandLine, lists: many.Lists
) -> int:
    """Runs the variants of the lists, or the one that is the task, and returns the exit code."""
    settings = experiment.settings()
    variants = many.variants(lists, settings, line.fields_given(settings), line.workdir)

    def run_one(variant: many.Variant) -> workdirs.Status:
        return _run(experiment, command_line.CommandLine(variant.argv), variant.argv)

    if lists.task is not None:
        return many.CODES[run_one(variants[lists.task])]
    if line.hosts is not None:
        raise UsageError("--each: with --coordinator choose one of the runs, by --task=I")
    places = []
    for variant in variants:
        one = command_line.CommandLine(variant.argv)
        places.append(_place(experiment, one, one.config(settings), settings))
    from rnnlab.run import compare  # which imports pandas

    code = many.run(variants, places, run_one)
    module = experiment.load()
    if not compare.offered(module):
        return code
    runs = compare.find(places, experiment.name).runs
    if len(runs) < 2:
        return code
    state = many.attempt("comparison", lambda: _put_side_by_side(module, line, runs, places))
    return code or many.CODES[state]


def _put_side_by_side(
    module: ModuleType,
    line: command_line.CommandLine,
    runs: list[Any],
    places: Sequence[pathlib.Path],
) -> str:
    """Writes the page that compares the runs of lists, into their folder or one of its own."""
    from rnnlab.run import compare

    if line.workdir is not None:
        folder = pathlib.Path(line.workdir)
    else:
        name = names.joined(
            [names.safe(line.experiment), "comparison"], json.dumps(sorted(map(str, places)))
        )
        folder = pathlib.Path("runs") / name
    with pictures.also_as(*line.pictures):
        print(f"comparison: {compare.write(module, runs, folder)}")
    return "done"


def _compare(line: command_line.CommandLine, folder: pathlib.Path) -> None:
    """Puts the finished runs of a folder side by side.

    Raises:
        UsageError: no folder, no finished run in it, or an experiment that compares nothing.
    """
    from rnnlab.run import compare

    if line.workdir is None:
        raise UsageError(
            "--mode=compare: needs --workdir=FOLDER, which holds the work directories of runs"
        )
    if line.config_given:
        raise UsageError(
            "--mode=compare: takes runs as they are; leave --preset, --config.FIELD and "
            "--config-file out"
        )
    place = pathlib.Path(line.workdir)
    if not place.is_dir():
        raise UsageError(f"--workdir={place}: no such folder")
    if (place / identity.FILE).exists():
        raise UsageError(
            f"--workdir={place}: is the work directory of one run; give the folder that holds it"
        )
    name = line.experiment if line.experiment_given else compare.experiment_of(place)
    experiment = registry.find(folder, name)
    line.check(experiment)
    _set_up_jax()
    module = experiment.load()
    found = compare.in_folder(place, name)
    for path, reason in found.left_out.items():
        print(f"left out: {path} ({reason})", file=sys.stderr)
    with pictures.also_as(*line.pictures):
        print(f"comparison: {compare.write(module, found.runs, place)}")


def _place(
    experiment: registry.Experiment,
    line: command_line.CommandLine,
    config: object,
    settings: registry.Settings,
) -> pathlib.Path:
    """The work directory of a run: the one given, or that of its configuration."""
    if line.workdir is not None:
        return pathlib.Path(line.workdir)
    return workdirs.default_path(experiment.name, config, settings.presets)


def _run(
    experiment: registry.Experiment, line: command_line.CommandLine, argv: Sequence[str]
) -> workdirs.Status:
    """Runs an experiment, and returns how it ended."""
    if line.hosts is not None:
        host_processes.join(line.hosts)
    with host_processes.ending_without_the_others(line.hosts):
        return _run_here(experiment, line, argv)


def _run_here(
    experiment: registry.Experiment, line: command_line.CommandLine, argv: Sequence[str]
) -> workdirs.Status:
    """What this host, or the only one, does in a run."""
    from rnnlab import precision  # which imports jax

    settings = experiment.settings()
    config = line.config(settings)
    module = experiment.load()
    precision.use(getattr(config, "precision", "float32"))

    path = _place(experiment, line, config, settings)
    start = time.monotonic()
    with (
        workdirs.open_workdir(
            path,
            experiment.name,
            config,
            argv,
            preset=line.preset,
            accept_changes=line.accept_changes,
        ) as workdir,
        host_processes.quiet_unless_first(line.hosts),
        pictures.also_as(*line.pictures),
    ):
        again = " (continued)" if workdir.status["starts"] > 1 else ""
        workdir.loggers = line.loggers
        print(f"{experiment.name}: work directory {path}{again}", file=sys.stderr)
        status: workdirs.Status = module.run(config, workdir) or "done"
        workdir.end(status)
    if line.hosts is None or host_processes.first():
        print(f"\n{status} in {time.monotonic() - start:.1f} s; see {path}:")
        made = sorted(entry.name for entry in workdir.root.iterdir() if entry.name[0] != ".")
        print("  " + "  ".join(made))
    return status


def _workdir_to_ask(line: command_line.CommandLine, folder: pathlib.Path) -> pathlib.Path:
    """The work directory of the model to use: the one given, or that of the same command.

    Raises:
        UsageError: if there is none, or it belongs to another run than the command describes.
    """
    if line.workdir is None and not line.experiment_given:
        raise UsageError(
            f"--mode={line.mode}: needs --workdir=PATH, or --experiment=NAME with its settings"
        )
    path = pathlib.Path(line.workdir) if line.workdir is not None else None
    found = None if path is None else _recorded(path, line)
    if not line.experiment_given and not line.config_given:
        line.check(None)
        assert path is not None
        return path
    name = found.experiment if found and not line.experiment_given else line.experiment
    experiment = registry.find(folder, name)
    line.check(experiment)
    settings = experiment.settings()
    config = line.config(settings)
    if path is None:
        path = _place(experiment, line, config, settings)
        _recorded(path, line)
    elif found:
        here = identity.Identity(
            name, workdirs.to_json(config) if line.config_given else found.config
        )
        identity.check_same(path, found, here)
    return path


def _recorded(path: pathlib.Path, line: command_line.CommandLine) -> identity.Identity:
    """The run that an existing work directory belongs to."""
    try:
        return identity.read(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UsageError(
            f"--mode={line.mode}: there is no work directory {path}; train first, with the same "
            "command without --mode"
        ) from error


def _set_up_jax() -> None:
    """Lets experiments choose float64, forbids silent promotion, makes every core a device.

    Products of float32 are computed in float32. A GPU's memory is taken as it is needed and not at
    the start, so that several runs can share it.

    XLA runs the elementwise work of a loop on one thread, so that a sweep which spreads its points
    over one device for each core is faster than on a single device with all cores.
    """
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    import jax

    from rnnlab import precision

    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        with contextlib.suppress(RuntimeError):  # where JAX is in use already, it keeps its devices
            jax.config.update("jax_num_cpu_devices", _cores())

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    precision.use("float32")


def _cores() -> int:
    """Cores that this process may use, fewer than there are under `taskset` or in a container."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _say(message: str, code: int) -> int:
    """Prints one line to standard error, whatever the message holds, and returns the code."""
    with contextlib.suppress(OSError):  # where nobody reads it, the code has to do
        print(" ".join(message.split()), file=sys.stderr, flush=True)
    return code
