"""The section on what the log could not carry: what is not on this page, why, and what would have to be logged."""

from pipelines.report.run_folder import Run
from pipelines.report.section import Section

_HTML = """
<h2>What this log cannot tell</h2>
<p>Left out before anything was trained, as the log has not what it takes.</p>
{% call table(["Left out", "Since", "It would take"], "facts words") %}
{% for lost in left_out %}
<tr><td>{{ lost.what[0] | upper }}{{ lost.what[1:] }}</td>
<td>{{ lost.why | code }}</td><td>{{ lost.remedy | code }}</td></tr>
{% endfor %}
{% endcall %}
"""


def section(run: Run) -> Section | None:
    """Nothing where the log carries all that the pipeline asks for."""
    if not run.left_out:
        return None
    return Section(anchor="left-out", title="Left out", html=_HTML, parts={"left_out": run.left_out})
