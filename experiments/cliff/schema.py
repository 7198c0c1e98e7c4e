"""Names in the result of `cliff`, and its unevenly spaced axis."""

#: Values of the dimension `rule`: how the gradient is clipped.
RULES = ("unclipped", "by norm", "by value")
#: Heights over the wall are spaced evenly within this distance of it, logarithmically beyond.
THIN = 1e-6
