"""A lender's reporting in Dagster: from a servicing database to positions, snapshots, reports and loan tapes."""
