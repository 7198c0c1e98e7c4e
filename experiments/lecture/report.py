"""The lecture as a page: what is said, the code, the number, the figure."""

from __future__ import annotations

import importlib
import inspect
import json
import pathlib
from typing import Any

import rnnlab
from experiments.lecture import scenarios
from experiments.lecture.config import SCENARIOS, Config
from experiments.lecture.figures import FIGURES
from experiments.lecture.measure import Number, Topic
from experiments.lecture.words import ATTENTION, INTRODUCTION, WORDS
from experiments.lecture.words import SCENARIOS as ON_SCENARIOS
from rnnlab import plots
from rnnlab.run.report import Report
from rnnlab.run.workdir import Workdir

#: Picture of the attention.
ATTENTION_PICTURE = "attention.png"
#: What is translated there.
SENTENCE = "Heute sieht mein Bruder jeden alten Baum."
#: The number of each scenario that tells whether it has learned, by how its name begins.
TOLD = {
    "image_classification": "test accuracy",
    "captioning": "test captions right",
    "sentiment": "test accuracy",
    "frame_labelling": "test macro F1",
    "translation": "test BLEU",
}
COLUMNS = ("what", "lecture", "measured")


def write(config: Config, workdir: Workdir, topics: dict[str, Topic]) -> None:
    """Draws the figures and writes the page."""
    page = Report("Recurrent networks: the numbers and figures of the lectures")
    page.text(INTRODUCTION)
    with plots.style():
        for name, topic in topics.items():
            add_topic(page, workdir, name, topic)
    if config.scenarios:
        page.heading("What goes in, what comes out")
        page.text(ON_SCENARIOS)
        page.table(ran(config, workdir), caption="Five scenarios; all of the test split.")
    if "translation" in config.scenarios:
        page.heading("Attention")
        page.text(ATTENTION)
        draw_attention(workdir)
        page.figure(
            workdir.path(ATTENTION_PICTURE),
            caption="Weights of the words of the source for each word that is written.",
            alt="A matrix of attention weights.",
        )
    page.settings(workdir)
    page.write(workdir.path("report.html"))


def add_topic(page: Report, workdir: Workdir, name: str, topic: Topic) -> None:
    """What is said of a topic, its numbers, its code and its figure."""
    title, text = WORDS[name]
    page.heading(title)
    page.text(text)
    page.table(topic.numbers, columns=COLUMNS, caption="As the lectures have it, and as measured.")
    page.verbatim(code(name))
    if name in FIGURES:
        plot, caption = FIGURES[name]
        path = workdir.path(f"{name}.png")
        plots.save(plot(topic.series), path)
        page.figure(path, caption=caption, alt=caption)


def code(name: str) -> str:
    """The lines that measure a topic."""
    module = importlib.import_module(f"experiments.lecture.examples.{name}")
    return inspect.getsource(module).rstrip()


def numbers(topics: dict[str, Topic]) -> list[Number]:
    """Those of all topics."""
    return [number for topic in topics.values() for number in topic.numbers]


def ran(config: Config, workdir: Workdir) -> list[dict[str, Any]]:
    """What became of the scenarios."""
    rows = []
    for name in config.scenarios:
        path = folder_of(workdir, name) / "summary.json"
        summary = json.loads(path.read_text(encoding="utf-8"))
        told = next((key for key in summary if key.startswith(TOLD[name])), "")
        rows.append(
            {
                "experiment": name,
                "scenario": SCENARIOS[name],
                "number": told,
                "measured": summary.get(told),
                "report": f"{scenarios.FOLDER}/{name}/report.html",
            }
        )
    return rows


def draw_attention(workdir: Workdir) -> None:
    """The attention of the translator to a sentence whose words change places."""
    model = rnnlab.load(folder_of(workdir, "translation"))
    model.show(SENTENCE, workdir.path(ATTENTION_PICTURE))


def folder_of(workdir: Workdir, name: str) -> pathlib.Path:
    """The work directory of a scenario."""
    return workdir.path(scenarios.FOLDER) / name
