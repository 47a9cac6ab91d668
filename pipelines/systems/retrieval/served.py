"""The model that a pipeline serves, where its training and its export are, and what it is held up against."""

from dataclasses import dataclass
from pathlib import Path

from ml_collections import ConfigDict

from pipelines.systems.retrieval.stages import SELECTED, Variant, has_final, variants

EXPORTED = "-export"  # selected/<signals>-export: the folder of the chosen model's export


@dataclass(frozen=True, kw_only=True)
class Exported:
    """A trained model and its export; both are links where the validation days choose which model it is.

    `settled_by` are the files that settle which it is, `exports` those that have to be there before it can be asked.
    """

    checkpoint: Path
    recommender: Path
    settled_by: tuple[Path, ...]
    exports: tuple[Path, ...]

    @property
    def made_from(self) -> tuple[Path, ...]:
        """What has to be there before the recommender is."""
        return (*self.settled_by, *self.exports)


def candidates(config: ConfigDict, signals: str) -> list[Variant]:
    """The variants of these signals that may be chosen: one where there are final ones, else those of the sweep."""
    return [v for v in variants(config) if v.signals == signals and v.final == has_final(config, signals)]


def reference(config: ConfigDict) -> Variant | None:
    """What the served model is held up against: the model of its sweep without negative labels; None without one."""
    sweep = config.sweeps.get(config.serve)
    against = sweep.reference if sweep else ""
    return Variant(signals=against, final=has_final(config, against)) if against else None


def served(config: ConfigDict) -> Exported:
    """The model that is served."""
    return chosen(config, config.serve)


def chosen(config: ConfigDict, signals: str) -> Exported:
    """The model of these signals: its final one, the only one, or that of a sweep which the validation days choose."""
    if signals not in config.sweeps or has_final(config, signals):
        return exported(Variant(signals=signals, final=has_final(config, signals)))
    every = (exported(variant).exports for variant in candidates(config, signals))
    return Exported(
        checkpoint=SELECTED.parent / signals,
        recommender=SELECTED.parent / f"{signals}{EXPORTED}" / "recommender",
        settled_by=(SELECTED,),
        exports=tuple(file for files in every for file in files),
    )


def exported(variant: Variant) -> Exported:
    """A variant, by its own name."""
    recommender = Path("export") / variant.name / "recommender"
    return Exported(
        checkpoint=Path("train") / variant.name,
        recommender=recommender,
        settled_by=(),
        exports=(recommender / "manifest.json",),
    )
