"""The lake as the portal reads it: scoped tables, snapshots of one moment, compiled queries, pages of rows.

The queries are in queries/.
"""
