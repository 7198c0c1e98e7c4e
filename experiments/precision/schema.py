"""Names in the result of `precision`."""

#: Values of the dimension `way`: how the norm is computed.
WAYS = ("float32 naive", "float64 naive", "float32 log-domain", "float64 log-domain")
#: Value of the dimension `network` beside the cells: its gradient is known exactly.
CONTROL = "linear orthogonal"
#: Values of the dimension `rounding`: how the chaotic networks are computed.
ROUNDINGS = ("float32", "float64", "float64, last bit of h_0 changed")
