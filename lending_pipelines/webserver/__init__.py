"""Dagster's web server with the lender's name at the top of every page, and the files of the exports at /exports.

`python -m lending_pipelines.webserver` takes the options of `dagster-webserver`, and
`python -m lending_pipelines.webserver.dev` those of `dagster dev`. What the pages show is Dagster's.
"""
