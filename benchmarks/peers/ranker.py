"""The model of ranking/model/ in PyTorch, as one would write it: encoder, context features, MMoE, adapted weights.

The same features, sizes, dropout, losses, clipping and AdamW, on the same batches; layers are PyTorch's own where it
has them (`MultiheadAttention`, `Embedding`, `Linear`).
"""

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from ml_collections import ConfigDict
from numpy.typing import NDArray
from torch import nn

from data.feedback import MAX_PACKED
from ranking.model.features import GAP_BUCKETS, HOURS, ITEM_GROUPS, RATE_GROUPS, USER_GROUPS, Schema, rated
from ranking.model.history_rates import DECAY, PRIOR_COUNT

Batch = dict[str, torch.Tensor]


def mlp(sizes: Sequence[int], dropout: float) -> nn.Sequential:
    """Linear layers with ReLU and dropout between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes[:-1]):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, nn.Linear(sizes[-2], sizes[-1]))


def _firsts(schema: Schema) -> NDArray[np.int32]:
    # Of each feature the first code, [rows, F]: this model reads neither further ones nor embeddings.
    return schema.item_codes[:, [schema.item_owner.index(feature) for feature in range(len(schema.item_names))]]


class Features(nn.Module):
    """E_in [B, C, D] and the context [B, C, 3 d], as ranking/model/features.py makes them."""

    def __init__(self, schema: Schema, dim: int):
        super().__init__()
        arrays = {
            "content_code": _firsts(schema) + np.cumsum([0, *schema.item_cardinalities])[:-1],
            "profile_code": schema.user_features + np.cumsum([0, *schema.user_cardinalities])[:-1],
            "keys": np.stack([schema.creator, schema.cluster, np.arange(len(schema.creator))], axis=1),
            "item_numbers": schema.item_numbers,
            "item_seen": schema.item_seen.astype(np.float32)[:, None],
            "user_seen": schema.user_seen.astype(np.float32)[:, None],
            "prior": np.clip(schema.prior, 1e-4, 1 - 1e-4),
            "rated": np.array(rated(schema.feedback), int),
        }
        for name, array in arrays.items():
            self.register_buffer(name, torch.from_numpy(np.ascontiguousarray(array)))
        self.w = w = len(schema.feedback)
        self.user, self.item = nn.Embedding(len(schema.user_seen), dim), nn.Embedding(len(schema.item_seen), dim)
        self.platform = nn.Embedding(len(schema.platform_seen), dim)
        self.hour, self.gap = nn.Embedding(HOURS, dim), nn.Embedding(GAP_BUCKETS, dim)
        self.profile = nn.Embedding(max(1, sum(schema.user_cardinalities)), dim)
        self.content = nn.Embedding(max(1, sum(schema.item_cardinalities)), dim)
        self.user_projection = nn.Parameter(0.3 * torch.randn(len(USER_GROUPS), w + 1, dim))
        self.match_projection = nn.Parameter(0.3 * torch.randn(len(ITEM_GROUPS), w + 1, dim))
        self.rate_projection = nn.Parameter(0.3 * torch.randn(len(RATE_GROUPS), len(arrays["rated"]) + 1, dim))
        self.last_two = nn.Linear(4 * w, dim)
        self.duration = nn.Linear(schema.item_numbers.shape[1], dim)
        fields = 4 + schema.user_features.shape[1] + len(USER_GROUPS) + 1
        fields += 1 + len(schema.item_names) + len(ITEM_GROUPS) + len(RATE_GROUPS) + 1
        self.fields, self.size = fields, fields * dim

    def item_vectors(self) -> torch.Tensor:
        """[rows, d]."""
        return self.item.weight * self.item_seen + self.content(self.content_code).sum(dim=1)

    def unpack(self, packed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Values and known [..., W]."""
        shifts = torch.arange(self.w)
        values, known = ((packed[..., None] >> (shifts + offset) & 1).float() for offset in (0, MAX_PACKED))
        return values, known

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        candidate, user, item = batch["candidate"], batch["user"], batch["item"]
        where = (item > 0).float()
        values, known = self.unpack(batch["feedback"])
        after = where.flip(1).cumsum(1).flip(1) - 1
        own = self._smoothed(where[:, None], values, known, self.prior)  # [B, 1, W]
        here = where * (batch["surface"] == batch["platform"][:, None]) * (batch["platform"] > 0)[:, None]
        weights = torch.stack([where, where * DECAY**after, here], dim=1)  # [B, 3, T]
        of_history = self._evidence(
            weights, values, known, torch.cat([self.prior.expand_as(own), own, own], dim=1)
        )  # [B, 3, W + 1]
        last = [(where * (after == n))[..., None] for n in (0, 1)]
        last_two = torch.cat([(outcome * w).sum(dim=1) for w in last for outcome in (values, known)], dim=-1)
        of_event, of_candidate = self.keys[item], self.keys[candidate]
        matches = (of_candidate[:, :, None] == of_event[:, None]) & (of_event > 0)[:, None]  # [B, C, T, 3]
        matches = matches.float().transpose(2, 3).flatten(1, 2)  # [B, C * 3, T]
        of_matches = self._evidence(matches, values, known, own).unflatten(1, (candidate.shape[1], 3))
        rates = batch["rates"].unflatten(-1, (len(RATE_GROUPS), -1))
        prior = torch.logit(self.prior[self.rated])
        of_all = torch.cat([torch.logit(rates[..., :-1]) - prior, rates[..., -1:] / 4], dim=-1)

        e_u = self.user(user) * self.user_seen[user]
        e_p, e_i = self.platform(batch["platform"]), self.item(candidate) * self.item_seen[candidate]
        gap = (1 + batch["gap"].clamp(min=1).log2().floor()).long().clamp(1, GAP_BUCKETS - 1)
        of_user = [
            *(e_u, e_p, self.hour(batch["hour"]), self.gap(gap * (batch["gap"] >= 0))),
            self.profile(self.profile_code[user]).flatten(1),
            torch.einsum("bgw,gwd->bgd", of_history, self.user_projection).flatten(1),
            self.last_two(last_two),
        ]
        of_item = [
            *(e_i, self.content(self.content_code[candidate]).flatten(2)),
            torch.einsum("bcgw,gwd->bcgd", of_matches, self.match_projection).flatten(2),
            torch.einsum("bcgw,gwd->bcgd", of_all, self.rate_projection).flatten(2),
            self.duration(self.item_numbers[candidate]),
        ]

        def to_all(per_user: torch.Tensor) -> torch.Tensor:
            return per_user[:, None].expand(-1, candidate.shape[1], -1)

        return torch.cat([to_all(torch.cat(of_user, dim=-1)), *of_item], dim=-1), torch.cat(
            [to_all(e_u), e_i, to_all(e_p)], dim=-1
        )

    def _smoothed(self, weights, values, known, prior):
        return (weights @ values + PRIOR_COUNT * prior) / (weights @ known + PRIOR_COUNT)

    def _evidence(self, weights, values, known, prior):
        shift = torch.logit(self._smoothed(weights, values, known, prior)) - torch.logit(prior)
        return torch.cat([shift, torch.log1p(weights.sum(-1))[..., None]], dim=-1)


class Encoder(nn.Module):
    """e_h [B, d + W], as ranking/model/encoder.py has it."""

    def __init__(self, size: int, config: ConfigDict):
        super().__init__()
        self.position = nn.Parameter(0.02 * torch.randn(config.length, size))
        drop = {"dropout": config.dropout, "batch_first": True}
        self.attention = nn.ModuleList(
            nn.MultiheadAttention(size, config.heads, bias=False, **drop) for _ in range(config.blocks)
        )
        self.feed_forward = nn.ModuleList(mlp((size, 2 * size, size), config.dropout) for _ in range(config.blocks))
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(2 * config.blocks))
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, events: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
        after = where.long().flip(1).cumsum(1).flip(1) - 1
        x = (events + self.position[after.clamp(min=0)]) * where[..., None]
        # Who has no history reads its padding, which the sum below leaves out: a softmax over nothing is NaN.
        hidden = ~where & where.any(dim=1, keepdim=True)
        for n, (attention, feed_forward) in enumerate(zip(self.attention, self.feed_forward)):
            read, _ = attention(x, x, x, key_padding_mask=hidden, need_weights=False)
            x = self.norms[2 * n](x + self.dropout(read))
            x = self.norms[2 * n + 1](x + self.dropout(feed_forward(x))) * where[..., None]
        return x.sum(dim=1) / where.sum(dim=1, keepdim=True).clamp(min=1)


class Ranker(nn.Module):
    """Loss of a batch: logloss of each task with learned weights, as ranking.objective."""

    def __init__(self, schema: Schema, config: ConfigDict):
        super().__init__()
        self.features = Features(schema, config.dim)
        size, slots, tasks = self.features.size, config.slots or self.features.fields, len(config.tasks)
        self.slots = slots
        self.transformation = nn.Linear(3 * config.dim, size, bias=False)
        self.importance = nn.Linear(size + 3 * config.dim, slots, bias=False)
        self.encoder = Encoder(config.dim + self.features.w, config)
        joined = size + config.dim + self.features.w
        self.experts = nn.ModuleList(mlp((joined, *config.hidden), config.dropout) for _ in range(config.experts))
        self.gates = nn.ModuleList(nn.Linear(joined, config.experts, bias=False) for _ in range(tasks))
        self.towers = nn.ModuleList(mlp((config.hidden[-1], *config.tower, 1), config.dropout) for _ in range(tasks))
        self.feature_dropout = nn.Dropout(config.feature_dropout)
        self.log_variance = nn.Parameter(torch.zeros(tasks))

    def logits(self, batch: Batch) -> torch.Tensor:
        """[B, C, K]."""
        features, context = self.features(batch)
        transformed = self.feature_dropout(features) * (1 + self.transformation(context))
        alpha = torch.sigmoid(self.importance(torch.cat([transformed, context], dim=-1)))
        weighted = (alpha[..., None] * transformed.unflatten(-1, (self.slots, -1))).flatten(-2)
        feedback, _ = self.features.unpack(batch["feedback"])
        items = self.features.item_vectors()[batch["item"]]
        e_h = self.encoder(torch.cat([items, feedback], dim=-1), batch["item"] > 0)[:, None]
        x = torch.cat([weighted, e_h.expand(-1, weighted.shape[1], -1)], dim=-1)
        outputs = torch.stack([torch.relu(expert(x)) for expert in self.experts], dim=-2)  # [B, C, N, H]
        gates = torch.stack([gate(x) for gate in self.gates], dim=-2).softmax(dim=-1)  # [B, C, K, N]
        mixed = gates @ outputs
        return torch.cat([tower(mixed[..., k, :]) for k, tower in enumerate(self.towers)], dim=-1)

    def forward(self, batch: Batch) -> torch.Tensor:
        where = batch["where"]
        losses = nn.functional.binary_cross_entropy_with_logits(self.logits(batch), batch["label"], reduction="none")
        of_task = (losses * where).sum(dim=(0, 1)) / where.sum(dim=(0, 1)).clamp(min=1)  # [K]
        s = self.log_variance
        learned = (torch.exp(-s) * of_task.detach() + s).sum()
        return (torch.softmax(-s, dim=0).detach() * of_task).sum() + learned - learned.detach()


def tensors(batch: dict[str, np.ndarray]) -> Batch:
    """A batch of ranking.inputs.TrainingInputs as PyTorch reads it: indices in 64 bits."""
    return {n: torch.from_numpy(a.astype(np.int64) if a.dtype == np.int32 else a) for n, a in batch.items()}
