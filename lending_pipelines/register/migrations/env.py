"""How Alembic runs the migrations: on the connection that Register.upgrade() hands over, in its transaction.

A migration is a file of versions/, written by hand and never changed once released; it only goes forward. The tests
name what the migrations lack of the models.
"""

from alembic import context

from lending_pipelines.register.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
