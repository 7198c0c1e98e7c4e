"""Names in the result of `gradient_profiles`."""

#: Values of the dimension `part`: of which part of the state the gradient is.
PARTS = ("joint", "h", "c")
