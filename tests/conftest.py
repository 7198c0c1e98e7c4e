"""What every test shares: 64-bit types exist, no type is promoted in silence, programs are kept.

Tests compile many programs that others compile again: runs that are repeated, resumed after a kill,
or done in a process of their own. For the length of a test run XLA's results lie in a folder that
all its processes read.

Tests run on the device that JAX finds, and the processes that they start on the CPU: only there are
eight devices, and the bits that are promised.
"""

import atexit
import os
import shutil
import signal
import tempfile

FOLDER = "JAX_COMPILATION_CACHE_DIR"
if FOLDER not in os.environ:
    os.environ[FOLDER] = tempfile.mkdtemp(prefix="rnnlab-tests-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.1"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    atexit.register(shutil.rmtree, os.environ[FOLDER], ignore_errors=True)

# A shell lets what it starts in the background ignore Ctrl-C, which tests send to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# A worker of pytest-xdist is no such process: it runs where the one that has started it would have.
ASKED, WORKER = "RNNLAB_TESTS_JAX_PLATFORMS", "PYTEST_XDIST_WORKER"
if WORKER in os.environ and ASKED in os.environ:
    os.environ["JAX_PLATFORMS"] = os.environ.pop(ASKED)
else:
    os.environ[ASKED] = os.environ.get("JAX_PLATFORMS", "")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # of a GPU that workers share

import jax  # noqa: E402
import pytest  # noqa: E402

os.environ["JAX_PLATFORMS"] = "cpu"  # JAX itself has read it

from rnnlab import precision  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
precision.use("float32")

#: Markers of tests that run on one kind of device only, and why.
DEVICES = {
    "gpu": "needs a GPU",
    "cpu": "compares bits, which are promised on the CPU only",
}


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item):
    for device, reason in DEVICES.items():
        if item.get_closest_marker(device) and jax.default_backend() != device:
            pytest.skip(reason)
