"""What users name as `MODULE:NAME`: cells and loggers of their own."""

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator
from typing import Any

from rnnlab.errors import UsageError


def load(kind: str, name: str) -> Any:
    """What is called NAME in a module that Python finds; the working directory is searched, too.

    Args:
        kind: what it is, such as "cell"; errors begin with it.
        name: `MODULE:NAME`.

    Raises:
        UsageError: no such module, one that cannot be imported, or no such name in it.
    """
    module_name, _, attribute = name.partition(":")
    try:
        with _working_directory_on_path():
            module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{kind}={name!r}: no module named {error.name!r}; run from the folder that holds it, "
            "or install it"
        ) from error
    except Exception as error:
        raise UsageError(
            f"{kind}={name!r}: importing {module_name} failed ({type(error).__name__}: {error})"
        ) from error
    found = getattr(module, attribute, None)
    if not callable(found):
        raise UsageError(f"{kind}={name!r}: {module_name} has no {kind} called {attribute!r}")
    return found


@contextlib.contextmanager
def _working_directory_on_path() -> Iterator[None]:
    here = os.getcwd()
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
