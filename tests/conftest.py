"""Settings that every test shares: 64-bit types exist, and no type is promoted in silence."""

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
