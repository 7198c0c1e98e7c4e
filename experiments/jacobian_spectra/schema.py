"""Names in the result of `jacobian_spectra`."""

#: The linear cases, values of the dimension `case` beside the names of the cells.
ORTHOGONAL, PRODUCT, POWER = "orthogonal", "Gaussian product", "Gaussian power"
#: Values of the dimension `kind`: the cases that are compared with the theory at every width.
KINDS = (PRODUCT, POWER)
