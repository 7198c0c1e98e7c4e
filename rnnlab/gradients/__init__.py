from rnnlab.gradients.adjoint import AdjointProfile, adjoint_profile
from rnnlab.gradients.parameters import parameter_gradients
from rnnlab.gradients.jacobian import state_jacobian
from rnnlab.gradients.lyapunov import lyapunov_exponents
