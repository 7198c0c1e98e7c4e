"""A laboratory for recurrent networks in JAX: how gradients flow through time."""

__version__ = "0.1.0"
