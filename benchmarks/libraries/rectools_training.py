"""RecTools' SASRec with its full softmax: its own batches, model and trainer. Every place of a sequence is a label."""

import logging
import warnings

import pandas as pd
import rectools
import timing
import torch
from pytorch_lightning import Callback, Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel

warnings.filterwarnings("ignore")
logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)

asked = timing.arguments()
torch.set_num_threads(asked.threads)
timed = timing.Timing(asked.seconds)


class Ends(Callback):
    """Counts the labels of each batch, and stops the trainer when the time is up."""

    def on_train_batch_end(self, trainer, module, outputs, batch, batch_idx):
        """Zeros are padding."""
        trainer.should_stop = timed.batch(int((batch["y"] > 0).sum()))


def trainer() -> Trainer:
    """Until `Ends` stops it."""
    return Trainer(
        max_epochs=1_000,
        min_epochs=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Ends()],
    )


frame = pd.DataFrame(timing.events(asked.sequences), columns=[Columns.User, Columns.Item, Columns.Datetime])
frame[Columns.Weight] = 1.0
frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s")
model = SASRecModel(
    n_blocks=2,
    n_heads=2,
    n_factors=asked.dim,
    session_max_len=asked.length,
    loss="softmax",
    batch_size=asked.batch,
    get_trainer_func=trainer,
)
model.fit(Dataset.construct(frame))
timed.hand_over(f"RecTools {rectools.__version__} SASRec, {asked.threads} threads")
