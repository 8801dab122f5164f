"""The portal: web pages and an API for people who do not open Dagster, each person seeing what is theirs.

A request goes one way: a route (routes/) names its action and calls a query (queries/) with the person's ScopedLake;
the query is an Ibis expression over scoped tables; a template shows its rows. policy.py decides who may do what,
lake/table_rules.py which rows of each lake table a scope covers. Routes and queries never see the Lake itself.

Who asks is found out in auth/; the lake as the portal reads it is in lake/; what pages show besides its rows in views/;
how answers are written in web/. gallery/ serves all parts of the design alone.

Nothing imports this package. It computes no numbers of its own: the close does, or metrics/ defines them.
`python -m lending_pipelines.portal` serves it. docs/portal.md says how to add a page.
"""
