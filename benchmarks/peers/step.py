"""A training step as one would write it in PyTorch, of a model that returns its loss."""

import torch
from torch import nn


def train_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: dict[str, torch.Tensor], *, clip_norm: float
) -> torch.Tensor:
    """One update; returns the loss."""
    optimizer.zero_grad()
    loss = model(batch)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
    optimizer.step()
    return loss.detach()
