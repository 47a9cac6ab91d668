"""The official GRU4Rec in PyTorch, from a folder with its source: 2,048 negatives that a batch shares."""

import contextlib
import sys

import pandas as pd
import timing
import torch

asked = timing.arguments()
torch.set_num_threads(asked.threads)
sys.path.insert(0, asked.source)
from gru4rec_pytorch import GRU4Rec  # noqa: E402

timed = timing.Timing(asked.seconds)
gru4rec = GRU4Rec(
    layers=[asked.hidden],
    loss="cross-entropy",
    batch_size=asked.batch,
    n_sample=2048,
    n_epochs=1_000,
    constrained_embedding=True,
    device=torch.device("cpu"),
)
loss_function = gru4rec.loss_function
labels = 0


def counted(scores, items, number):
    """Its own loss; the batch before this one has been learned from by now."""
    global labels
    if labels and timed.batch(labels):
        raise timing.TimeIsUpError
    labels = number
    return loss_function(scores, items, number)


gru4rec.loss_function = counted
frame = pd.DataFrame(timing.events(asked.sequences), columns=["SessionId", "ItemId", "Time"])
with contextlib.suppress(timing.TimeIsUpError), contextlib.redirect_stdout(sys.stderr):
    gru4rec.fit(frame, compatibility_mode=False)
timed.hand_over(f"official GRU4Rec in PyTorch, {asked.threads} threads")
