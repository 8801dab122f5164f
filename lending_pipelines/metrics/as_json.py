"""JSON text of values in the engines, written by the engine's own JSON function."""

import ibis
import ibis.expr.types as ir


def as_json(value: ir.Value) -> ir.StringValue:
    """The value (a struct, or an array of them) as JSON: text escaped, decimals as numbers to the last digit.

    Both engines have it under this name. Spark leaves out fields that are null unless its session says otherwise.
    """

    @ibis.udf.scalar.builtin(name="to_json", signature=((value.type(),), "json"))
    def to_json(value):
        """The engine's function."""

    return to_json(value).cast("string")
