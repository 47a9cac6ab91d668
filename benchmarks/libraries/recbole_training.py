"""RecBole's GRU4Rec or SASRec, its own loader, model, loss and optimizer. Each prefix of a sequence is an example.

How many are a batch is said from outside: without that it would be 2,048.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np
import timing
import torch

# RecBole 1.2.1 reads names that NumPy has removed.
for name, alias in {"float": float, "int": int, "bool": bool, "object": object, "str": str, "complex": complex}.items():
    if name not in vars(np):
        setattr(np, name, alias)

import recbole  # noqa: E402
from recbole.config import Config  # noqa: E402
from recbole.data import create_dataset, data_preparation  # noqa: E402
from recbole.utils import get_model, get_trainer, init_seed  # noqa: E402

asked = timing.arguments()
sys.argv = sys.argv[:1]  # RecBole reads the command line too
torch.set_num_threads(asked.threads)

with tempfile.TemporaryDirectory() as folder:
    inter = Path(folder) / "sequences" / "sequences.inter"
    inter.parent.mkdir()
    with inter.open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{user}\t{item}\t{time}\n" for user, item, time in timing.events(asked.sequences))
    config = Config(
        model=asked.model,
        dataset="sequences",
        config_dict={
            "data_path": folder,
            "checkpoint_dir": folder,
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "MAX_ITEM_LIST_LENGTH": asked.length,
            "train_batch_size": asked.batch,
            "embedding_size": asked.dim,  # of GRU4Rec; SASRec has one width, `hidden_size`
            "hidden_size": asked.hidden if asked.model == "GRU4Rec" else asked.dim,
            "inner_size": 4 * asked.dim,
            "loss_type": "CE",
            "train_neg_sample_args": None,
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
            "use_gpu": False,
            "show_progress": False,
            "state": "ERROR",
        },
    )
    init_seed(config["seed"], config["reproducibility"])
    dataset = create_dataset(config)
    train_data, _, _ = data_preparation(config, dataset)
    model = get_model(config["model"])(config, train_data.dataset)
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, model)

    timed = timing.Timing(asked.seconds)
    examples = 0

    def loss_of(interaction):
        """The model's own; the batch before this one has been learned from by now."""
        global examples
        if examples and timed.batch(examples):
            raise timing.TimeIsUpError
        examples = len(interaction)
        return model.calculate_loss(interaction)

    try:
        while True:
            trainer._train_epoch(train_data, 0, loss_func=loss_of)
    except timing.TimeIsUpError:
        timed.hand_over(f"RecBole {recbole.__version__} {asked.model}, {asked.threads} threads")
