"""What every number means, as pure functions from Ibis tables to Ibis tables.

No Dagster, no files, no clock, no engine: the same expression runs on every engine, for a day or a range of days. A
number that a table already holds is taken from it, never computed a second time.
"""
