"""The definitions of all numbers, as pure functions from Ibis tables to Ibis tables.

No Dagster, files, clock or engine: the same expression runs on every engine, for a day or a range of days. A number
that a table already has is read from it and not computed again.
"""
