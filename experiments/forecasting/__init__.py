"""For how long can a recurrent network forecast a chaotic system, and does it become one?

A network reads samples of the Lorenz system, the delay equation of Mackey and Glass, the equation
of Kuramoto and Sivashinsky, or a series of yours, and predicts the next one. Then it runs on by
itself. Forecasts from 50 starts are judged by how long they are valid, in Lyapunov times, beside an
echo-state network, a linear autoregression and persistence on the same starts; the free-running
network by its statistics and its own largest Lyapunov exponent.

Command: python run.py --experiment=forecasting --each.cell=lstm,gru,tanh
Other systems: --preset=mackey_glass, --preset=kuramoto_sivashinsky
Your own series, a row for each step: --config.series=FILE.csv
A recorded laser: --preset=laser
Expected on Lorenz: 5.4 Lyapunov times by an LSTM, 6.5 by an echo-state network; the LSTM's own
exponent is 0.906, that of the system 0.9056 (31 minutes on two cores that were busy otherwise).
Under a minute: --preset=tiny
Forecast a series once it is trained: the same command and --mode=predict --input=FILE.csv
"""

from experiments.forecasting.comparison import compare
from experiments.forecasting.config import PRESETS, Config
from experiments.forecasting.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
