"""Runs the examples of a page of the documentation, in the order in which they stand.

    python -m tests.pages docs/tutorial.md    # runs them, and writes what they print into the page

A page is a session in a folder of its own: blocks of Python share their names, blocks of the shell
find the command `rnnlab`, and a block with a title is a file. A block `text` holds what the block
before it prints, without what is different in every run: times, and the hashes in names.
"""

import contextlib
import io
import json
import os
import pathlib
import re
import stat
import subprocess
import sys
import tempfile
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
FENCE = re.compile(r"^```(\w+)(?: title=\"(.*?)\")?\n(.*?)^```$", re.M | re.S)

COMMAND = """#!{python}
import sys
sys.argv[0] = "rnnlab"
from rnnlab.run.launch import console
sys.exit(console())
"""


class Block(NamedTuple):
    """A block of a page: its language, the file that it is, and its text."""

    language: str
    title: str | None
    text: str


def blocks(page):
    return [Block(*found.groups()) for found in FENCE.finditer(page.read_text("utf-8"))]


def run(page):
    """What each block that is followed by its output prints, in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = pathlib.Path(folder, "bin", "rnnlab")
        command.parent.mkdir()
        command.write_text(COMMAND.format(python=sys.executable))
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        work = pathlib.Path(folder, "work")
        work.mkdir()
        path = f"{command.parent}{os.pathsep}{os.environ['PATH']}"
        paths = {"PATH": path, "PYTHONPATH": str(ROOT), "COLUMNS": "100", "JAX_PLATFORMS": "cpu"}
        done = subprocess.run(
            [sys.executable, __file__, str(page.resolve())],
            cwd=work,
            env={**os.environ, **paths},
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def session(page):
    """Runs all blocks here, and returns the outputs of those that are followed by one."""
    names: dict[str, object] = {"__name__": "__main__"}
    sys.path.insert(0, "")
    found, outputs = blocks(page), []
    for block, following in zip(found, [*found[1:], None], strict=True):
        printed = ""
        if block.title is not None:
            path = pathlib.Path(block.title)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, f"<{page.name}>", "exec"), names)
            printed = out.getvalue()
        elif block.language == "bash":
            printed = shell(block.text)
        if following is not None and following.language == "text":
            outputs.append(masked(printed))
    return outputs


def shell(text):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{text}{done.stderr}")
    return done.stdout


def masked(text):
    """A text without what is different in every run, and without spaces at the ends of lines."""
    text = re.sub(r"-[0-9a-f]{8}\b", "-…", text)
    text = re.sub(r"\b\d+\.\d+ s\b", "… s", text)
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines()) + "\n"


def pieces(text):
    """A text as numbers and what is between them, whose spaces and lines of tables do not count."""
    parts = re.split(r"(-?\d+\.?\d*(?:e[+-]?\d+)?)", text)
    between = [re.sub(r"[\s─━]+", " ", part) for part in parts[::2]]
    return between, [float(part) for part in parts[1::2]]


def shown(page):
    """The outputs that a page shows."""
    return [block.text for block in blocks(page) if block.language == "text"]


def write(page):
    """Writes what the examples print into the page."""
    outputs = iter(run(page))

    def one(match):
        if match[1] != "text":
            return match[0]
        return f"```text\n{next(outputs)}```"

    page.write_text(FENCE.sub(one, page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    (argument,) = map(pathlib.Path, sys.argv[1:])
    if __package__:  # python -m tests.pages
        write(argument)
    else:
        print(json.dumps(session(argument)))
