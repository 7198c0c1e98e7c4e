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
Expected on Lorenz: 5.4 to 5.6 Lyapunov times by an LSTM, 6.5 to 7.2 by an echo-state network; the
LSTM's own exponent is 0.901 to 0.906, that of the system 0.9056 (65 s on an idle core). On
Mackey-Glass 3.6 and 3.1 (2 min); on Kuramoto-Sivashinsky 0.9 by a GRU and 0.3 (11 min).
Under a minute: --preset=tiny
Forecast a series once it is trained: the same command and --mode=predict --input=FILE.csv
"""

from experiments.forecasting.comparison import compare
from experiments.forecasting.config import PRESETS, Config
from experiments.forecasting.run import run

__all__ = ["PRESETS", "Config", "compare", "run"]
