"""Runs of experiments that something happens to, each in a process of its own.

A server that has imported everything forks for each run, which costs a twentieth of a second where
a new interpreter takes five. It must not have started JAX's backend, whose threads do not survive
a fork. Requests and answers are lines of JSON.

    {"argv": [...], "log": PATH, "happens": {"what": "kill", "when": "time", "after": 0.7}}
    {"code": -9, "seconds": 0.71}

what   kill      SIGKILL
       full      no file can grow beyond `size` bytes
       few       no more than `spare` descriptors can be opened
when   time      after that many seconds
       save      that many seconds after the `number`-th file or checkpoint began to be written
       measure   the same for evaluations during training
"""

import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings

ROOT = pathlib.Path(__file__).parents[2]


class Server:
    """Answers one request at a time.

    Args:
        cache: folder of compiled programs, which runs share.
    """

    def __init__(self, cache):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.experiments.victim"],
            cwd=ROOT,
            env=os.environ
            | {
                "JAX_PLATFORMS": "cpu",
                "JAX_COMPILATION_CACHE_DIR": str(cache),
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
                "MPLBACKEND": "agg",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, argv, log, happens=None):
        """The exit code of a run, negative for a signal, and its seconds."""
        request = {"argv": argv, "log": str(log), "happens": happens}
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return answer["code"], answer["seconds"]

    def close(self):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


def serve():
    import jax
    import orbax.checkpoint
    import tensorboardX

    import experiments.benchmark
    import rnnlab.sweep
    from rnnlab import plots
    from rnnlab.run import launch, registry
    from rnnlab.training import checkpoints, devices, loop
    from tests import quick

    del experiments.benchmark, jax, orbax.checkpoint, tensorboardX, rnnlab.sweep, plots
    del checkpoints, devices, loop, quick, launch
    for experiment in registry.experiments(ROOT / "experiments").values():
        experiment.load()
    warnings.simplefilter("ignore")  # JAX warns of forks; it has started nothing here
    for line in sys.stdin:
        request = json.loads(line)
        start = time.monotonic()
        child = os.fork()
        if child == 0:
            live(request)
        _, status = os.waitpid(child, 0)
        seconds = time.monotonic() - start
        code = os.waitstatus_to_exitcode(status)
        print(json.dumps({"code": code, "seconds": seconds}), flush=True)


def live(request):
    """One run, in the forked process."""
    code = 70
    try:
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (0, 1, 2):
            os.dup2(log if stream else os.open(os.devnull, os.O_RDONLY), stream)
        from rnnlab.run import launch
        from rnnlab.training import devices
        from tests import quick

        if request["happens"]:
            arm(**request["happens"])
        devices.COMPILER_OPTIONS = quick.known_options()
        code = launch.main(["run.py", *request["argv"]], ROOT / "experiments")
        sys.stdout.flush()
    except BaseException:
        import traceback

        with contextlib.suppress(OSError):
            traceback.print_exc()
    finally:
        os._exit(code)


def arm(what, when, after, number=1, size=0, spare=0):
    """Sets off what is to happen."""

    def strike():
        if what == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif what == "full":
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
        else:
            lowest = os.dup(0)
            os.close(lowest)
            _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))

    def wait():
        threading.Timer(after, strike).start()

    if when == "time":
        wait()
        return
    import rnnlab.run.files
    from rnnlab.training import checkpoints, loop

    count = [0]

    def counting(original):
        def call(*args, **kwargs):
            count[0] += 1
            if count[0] == number:
                wait()
            return original(*args, **kwargs)

        return call

    if when == "measure":
        loop._Run._measure = counting(loop._Run._measure)
        return
    checkpoints.Checkpoints.save = counting(checkpoints.Checkpoints.save)
    write = counting(rnnlab.run.files.atomic_write)
    for name in [name for name in sys.modules if name.startswith("rnnlab.")]:
        if name != "rnnlab.run.files" and hasattr(sys.modules[name], "atomic_write"):
            sys.modules[name].atomic_write = write


if __name__ == "__main__":
    serve()
