"""Runs an experiment of the folder `experiments`; `python run.py --help` tells how."""

import pathlib
import sys

from rnnlab.run import launch

if __name__ == "__main__":
    sys.exit(launch.main(sys.argv, pathlib.Path(__file__).parent / "experiments"))
