-- The register has a database of its own: it and Dagster both keep their schema's version in a table alembic_version.
CREATE DATABASE register OWNER lending;
