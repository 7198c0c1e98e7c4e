"""What every test shares: 64-bit types exist, no type is promoted in silence, programs are kept.

Tests compile many programs that others compile again: runs that are repeated, resumed after a kill,
or done in a process of their own. For the length of a test run XLA's results lie in a folder that
all its processes read.
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

import jax  # noqa: E402

from rnnlab import precision  # noqa: E402

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
precision.use("float32")
