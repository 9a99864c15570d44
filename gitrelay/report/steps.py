"""What a peer says it did in a turn, folded: one line a step. Everything in it is escaped here."""

from __future__ import annotations

from markupsafe import Markup

from gitrelay.ground import duration
from gitrelay.protocol.steps import Step, Steps

_LINE = Markup('<li class="{}"><span class=at>{}</span> <span class=kind>{}</span> <code>{}</code>{}</li>\n')
_END = Markup(" <span class={}>{}</span>")
_PART = Markup(
    '<section class="part steps" role="group" aria-label="Steps">\n'
    "<h3>Steps <span class=aside>as {}'s own events tell; gitrelay did not see them</span></h3>\n"
    "<details><summary>{}</summary><ol>\n{}</ol>{}</details>\n</section>\n"
)
_LEFT_OUT = Markup("<p class=note>{} more in the middle are not recorded.</p>")


def folded(steps: Steps | None) -> Markup:
    """The section of a turn, nothing if no steps are recorded."""
    if steps is None:
        return Markup("")
    count = len(steps.steps) + steps.left_out
    counted = "1 step" if count == 1 else f"{count:,} steps"
    kinds = dict.fromkeys(step.kind for step in steps.steps)
    each = ", ".join(f"{sum(step.kind == kind for step in steps.steps)} {kind}" for kind in kinds)
    rest = _LEFT_OUT.format(f"{steps.left_out:,}") if steps.left_out else ""
    return _PART.format(steps.from_, f"{counted}: {each}", Markup("").join(map(_line, steps.steps)), rest)


def _line(step: Step) -> Markup:
    end = _END.format("plus" if step.exit == 0 else "minus", step.end) if step.end else ""
    return _LINE.format(step.kind, duration.render(step.at), step.kind, step.what, end)
