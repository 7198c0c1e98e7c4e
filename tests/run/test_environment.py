import os
import re
import shutil
import subprocess

import pytest

import rnnlab
from rnnlab.run import environment

NOBODY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def source(tmp_path):
    def git(*arguments):
        subprocess.run(
            ["git", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            env=os.environ | NOBODY,
        )

    git("init")
    (tmp_path / "source.py").write_text("x = 1\n")
    git("add", "source.py")
    git("commit", "-m", "x")
    return tmp_path / "source.py"


@needs_git
def test_the_commit_of_the_source_and_whether_it_was_changed(source, monkeypatch):
    monkeypatch.setenv("GIT_DIR", "elsewhere")  # as a hook of another repository sets it
    commit = environment.commit_of(source)
    assert commit is not None and re.fullmatch("[0-9a-f]{40}", commit)
    source.write_text("x = 2\n")
    assert environment.commit_of(source) == f"{commit}+changes"


@needs_git
def test_what_git_does_not_know_has_no_commit(source, tmp_path, tmp_path_factory):
    installed = tmp_path / "site-packages" / "module.py"
    installed.parent.mkdir()
    installed.touch()
    assert environment.commit_of(installed) is None  # in somebody's repository, and not part of it
    assert environment.commit_of(tmp_path_factory.mktemp("no") / "x.py") is None


@needs_git
def test_without_git_there_is_no_commit(source, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environment.commit_of(source) is None


def test_versions():
    found = environment.versions()
    assert found["rnnlab"] == rnnlab.__version__
    assert set(environment.PACKAGES) <= set(found) and all(found.values())
