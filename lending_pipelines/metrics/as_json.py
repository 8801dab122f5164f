"""Converts values to JSON text with the engine's own JSON function."""

import ibis
import ibis.expr.types as ir


def as_json(value: ir.Value) -> ir.StringValue:
    """A struct, or an array of structs, as JSON: text is escaped, and decimals are exact numbers.

    Both engines have the function to_json. Spark's leaves out null fields unless its session is configured otherwise.
    """

    @ibis.udf.scalar.builtin(name="to_json", signature=((value.type(),), "json"))
    def to_json(value):
        """The engine's function."""

    return to_json(value).cast("string")
