"""Reports: the book (its content), the registry (finding report types), and code shared by report types.

Report types are in types/, one module each; adding one needs no other change. Reports read lake tables and print them.
They do not recompute a number that a lake table has, and write no files.
"""
