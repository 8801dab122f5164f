"""How Alembic runs the migrations: on the connection that Register.upgrade() hands over, in its transaction."""

from alembic import context

from lending_pipelines.register.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
