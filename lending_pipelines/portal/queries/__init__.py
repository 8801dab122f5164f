"""The queries: one file per subject. A query builds an Ibis expression over scoped tables (scoped_lake.py).

Numbers are defined in metrics/ and computed by the close; a query selects, joins, filters and orders them.
"""
