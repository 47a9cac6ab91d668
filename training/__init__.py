"""Training of any model: mesh, optimizer, one jitted step, one visible loop, checkpoints, metric log.

Knows no stage. A model is a pytree of parameters and a function `loss_fn(params, batch, key) -> (loss, metrics)`.
"""
