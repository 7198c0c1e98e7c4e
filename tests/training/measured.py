"""A function as an evaluator."""

from rnnlab.training.evaluators import Evaluator


class Measured(Evaluator):
    """What a function of parameters and step measures; `stop` says of values whether that is it."""

    def __init__(self, measure, stop=None):
        self._measure, self._stop = measure, stop

    def __call__(self, params, step):
        return self._measure(params, step)

    def finished(self, values):
        return self._stop is not None and self._stop(values)
