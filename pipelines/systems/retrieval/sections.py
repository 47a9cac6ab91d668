"""The report's sections on the retrieval models."""

from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from pipelines.systems.feed.stages import LOG
from pipelines.systems.retrieval import charts, tables
from pipelines.systems.retrieval.findings import cards, headline
from pipelines.systems.retrieval.models import models, titles


def the_answer(run: Run) -> Section:
    """What stands above all sections, and the numbers of the models."""
    of_run = models(run)
    parts = {"said": headline(of_run), "cards": cards(of_run), "log": run.json(str(LOG))}
    return Section(anchor="", template="systems/retrieval/headline.html.j2", parts=parts, numbers=of_run.numbers())


def responsiveness(run: Run) -> Section | None:
    """How each model responds to a no; nothing where the log knows of none."""
    if not run.pipeline["counterfactual"]:
        return None
    return _section(run, "responsiveness", "Responsiveness")


def on_test_days(run: Run) -> Section:
    """What each model recommends on days that it has not seen."""
    return _section(run, "retrieval", "Retrieval")


def frontier(run: Run) -> Section | None:
    """What a heavier negative weight costs; nothing where no model has negative labels."""
    if not run.pipeline["sweeps"]:
        return None
    return _section(run, "frontier", "The trade")


def slates(run: Run) -> Section | None:
    """The first users' slates, before and after a no; nothing where the log knows of none."""
    if not run.pipeline["counterfactual"]:
        return None
    return _section(run, "slates", "Saying no")


def training(run: Run) -> Section:
    """Curves and speed."""
    return _section(run, "training", "Training")


def _section(run: Run, anchor: str, title: str) -> Section:
    parts = {"models": models(run), "tables": tables, "charts": charts, "signals": titles(run.config)}
    return Section(anchor=anchor, title=title, template=f"systems/retrieval/{anchor}.html.j2", parts=parts)
