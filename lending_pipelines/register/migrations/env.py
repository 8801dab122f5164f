"""Runs the migrations on the connection and in the transaction of Register.upgrade().

A migration is a file in versions/, written by hand and never changed after its release. There are no downgrades. The
tests compare the migrated schema with the models.
"""

from alembic import context

from lending_pipelines.register.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
