"""Payment history as fields of a tape; what they mean is in metrics/payment_history.py."""

import ibis.expr.types as ir

from lending_pipelines.metrics import payment_history
from lending_pipelines.tapes.parts import POSITIONS, Part, TapeContext


def _history(loans: ir.Table, context: TapeContext) -> ir.Table:
    return payment_history.with_history(loans, context.read(POSITIONS), context.day)


PART = Part("history", (), payment_history.COLUMNS, _history)
