"""What a run ran on, for its record: versions, commit of the source, device, precision."""

import importlib.metadata
import os
import pathlib
import platform
import subprocess
from typing import Any

import rnnlab
from rnnlab.errors import RunError

#: Packages whose version can change a result.
PACKAGES = (
    "jax",
    "jaxlib",
    "numpy",
    "xarray",
    "optax",
    "orbax-checkpoint",
    "grain",
    "flax",
)


def versions() -> dict[str, str]:
    """Versions by name, and the `commit` of the source where it is in a git repository."""
    found = {"rnnlab": rnnlab.__version__, "python": platform.python_version()}
    found |= {package: importlib.metadata.version(package) for package in PACKAGES}
    commit = commit_of(pathlib.Path(rnnlab.__file__))
    return found | ({"commit": commit} if commit else {})


def commit_of(file: pathlib.Path) -> str | None:
    """The commit that is checked out, with `+changes` where tracked files differ from it.

    Args:
        file: a file of the source.

    Returns:
        None unless git knows the file, as it does not know an installed one.
    """
    if _git(file, "ls-files", "--error-unmatch", file.name) is None:
        return None
    return _git(file, "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+changes")


def _git(file: pathlib.Path, *arguments: str) -> str | None:
    """What git prints, asked in the folder of a file; None where it fails or is not there."""
    # A git hook sets variables that point to the repository it belongs to.
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        return subprocess.run(
            ["git", *arguments],
            cwd=file.parent,
            env=clean | {"GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            check=True,
            text=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def products() -> str:
    """The precision of products of float32, one of `rnnlab.precision.PRECISIONS`."""
    from rnnlab import precision  # which imports jax, after its settings have been made

    return precision.in_use()


def device() -> dict[str, Any]:
    """Platform, kind and number of the devices of JAX.

    Raises:
        RunError: if there is none.
    """
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"JAX finds no device ({reason}); set JAX_PLATFORMS=cpu") from error
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
    }
