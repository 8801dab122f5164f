"""A lender's reporting in Dagster: from a servicing database to positions, snapshots, reports and loan tapes."""

__version__ = "1.0.0"
"""The version of this package, in every manifest, report and certificate. CHANGELOG.md says what changed."""
