"""The portal: web pages and an API for people who do not open Dagster. Each person sees only their own scope.

A request goes one way: a route (routes/) names its action and calls a query (queries/) with the person's ScopedLake;
the query is an Ibis expression over scoped tables; a template shows its rows. policy.py decides who may do what,
lake/table_rules.py which rows of each lake table a scope covers. Routes and queries never see the Lake itself.

auth/ identifies the person, lake/ reads the lake, views/ reads the register, files and processes, and web/ writes the
answers. gallery/ shows every component with invented data.

Nothing imports this package. It computes no numbers: the close does, by the definitions in metrics/.
`python -m lending_pipelines.portal` serves it. docs/portal.md says how to add a page.
"""
