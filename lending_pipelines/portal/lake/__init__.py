"""The lake as the portal reads it: scoped tables, snapshots of one moment, compiled queries, pages of rows.

What is asked of it is in queries/.
"""
