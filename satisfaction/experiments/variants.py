"""Variants of the main model: what each leaves out or sets otherwise (Zhang et al., CIKM '24, Table 3, Figure 4)."""

from collections.abc import Mapping, Sequence
from typing import Any

from runtime.errors import UsageError

FULL = "full"
NAIVE = "no_unbiased"  # the full model, on what a naive satisfaction model imputes
# Group -> variant -> its settings of config.align.
GROUPS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "ablations": {
        NAIVE: {},
        "no_sid": {"disentanglement": False},
        "no_mlse": {"levels": False},
        "no_mtl": {"satisfaction_weight": 0.0},
        "no_popularity": {"popularity": False},  # what goes beyond the paper
    },
    "levels": {f"N_I={n}": {"num_levels": n} for n in (1, 3, 5, 7, 9, 11)},
    "mix": {f"N_mix={n}": {"correct_from": n} for n in (0, 1, 2, 3, 4, 5)},
    "beta": {f"beta={weight:g}": {"satisfaction_weight": weight} for weight in (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)},
}


def variants_of(what: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Variant -> settings, of groups and of single variants by name. Errors: UsageError for a name of neither."""
    single = {name: settings for group in GROUPS.values() for name, settings in group.items()}
    for name in what:
        if name not in GROUPS and name not in single:
            raise UsageError(f"--what={name}: of {', '.join(GROUPS)}, or single ones: {', '.join(single)}")
    wanted = {variant for name in what for variant in GROUPS.get(name, {name: {}})}
    return {name: settings for name, settings in single.items() if name in wanted}
