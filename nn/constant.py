"""Arrays of a model that are not trained."""

from flax import nnx


class Constant(nnx.Variable):
    """An array of a model that is neither trained nor saved with it: it is made from the log again."""
