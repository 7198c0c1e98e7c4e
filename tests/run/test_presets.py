"""Every experiment and every preset: what is listed, what flags change, what is recorded."""

import dataclasses
import json
import pathlib
import signal

import pytest

from rnnlab.errors import UsageError
from rnnlab.run import command_line, launch, registry
from rnnlab.run.fields import flatten, to_json

FOLDER = pathlib.Path(__file__).parents[2] / "experiments"
EXPERIMENTS = registry.experiments(FOLDER)
PRESETS = [
    pytest.param(experiment.name, preset, id=f"{experiment.name}-{preset}")
    for experiment in EXPERIMENTS.values()
    for preset in [None, *experiment.settings().presets]
]


@pytest.fixture(autouse=True)
def signals():
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def command(name, preset, *flags):
    chosen = [f"--preset={preset}"] if preset else []
    return ["run.py", f"--experiment={name}", *chosen, *flags]


def resolved(name, preset, *flags):
    settings = EXPERIMENTS[name].settings()
    return command_line.CommandLine(command(name, preset, *flags)).config(settings)


def flag(field, value):
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return f"--config.{field}={text}"


def test_there_are_experiments():
    assert len(EXPERIMENTS) >= 13


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_a_tiny_preset_that_help_lists(name, capsys):
    experiment, settings = EXPERIMENTS[name], EXPERIMENTS[name].settings()
    assert "tiny" in settings.presets
    assert launch.main(command(name, None, "--help"), FOLDER) == 0
    text = capsys.readouterr().out
    assert experiment.docstring in text and experiment.summary.endswith("?")
    assert all(f"  --preset={preset}\n" in text for preset in settings.presets)
    for field, value in flatten(settings.config_class()).items():
        assert f"  --config.{field}: " in text and f" = {value!r}\n" in text


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_field_is_documented_and_none_is_named_like_a_preset(name):
    from rnnlab.run.fields import fields

    settings = EXPERIMENTS[name].settings()
    assert [each.name for each in fields(settings.config_class()) if not each.doc] == []
    assert not {*settings.presets} & {each.name for each in fields(settings.config_class())}


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_a_preset_is_what_it_says_and_a_given_field_wins(name, preset):
    base = EXPERIMENTS[name].settings().base(preset)
    assert resolved(name, preset) == base
    default, values = flatten(type(base)()), flatten(base)
    changed = {field: default[field] for field in values if values[field] != default[field]}
    # All at once are always valid, and each alone unless the configuration refuses it.
    assert flatten(resolved(name, preset, *map(flag, changed, changed.values()))) == default
    for field, value in changed.items():
        try:
            assert flatten(resolved(name, preset, flag(field, value))) == values | {field: value}
        except UsageError:
            continue


@pytest.mark.parametrize(("name", "preset"), PRESETS)
def test_what_is_recorded_is_what_the_run_gets(name, preset, tmp_path, monkeypatch):
    used = []
    package = EXPERIMENTS[name].load()
    monkeypatch.setattr(package, "run", lambda config, workdir: used.append(config))
    monkeypatch.chdir(tmp_path)
    assert launch.main(command(name, preset), FOLDER) == 0
    (config,) = used
    (root,) = (tmp_path / "runs").iterdir()
    assert dataclasses.is_dataclass(config) and config == resolved(name, preset)
    recorded = json.loads((root / "config.json").read_text())
    assert recorded == {"experiment": name, "config": to_json(config)}
    assert json.loads((root / "status.json").read_text())["preset"] == preset
