"""Keys, jobs, campaigns, remembered answers and revisions."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(128), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
    )
    op.create_table(
        "jobs",
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("account_id", sa.String(128), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("company", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("geo", sa.Text(), nullable=False),
        sa.Column("occupation", sa.Text()),
        sa.Column("skills", sa.JSON(), nullable=False),
        sa.Column("seniority", sa.Text()),
        sa.Column("remote", sa.Boolean(), nullable=False),
        sa.Column("wage", sa.Double()),
        sa.Column("expires_at", TIME),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_revision", "jobs", ["revision", "job_id"])
    op.create_index("ix_jobs_expires_at", "jobs", ["expires_at"])
    op.create_table(
        "campaigns",
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("account_id", sa.String(128), nullable=False),
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("currency", sa.String(3), nullable=False),
        sa.Column("total_micros", sa.BigInteger(), nullable=False),
        sa.Column("daily_micros", sa.BigInteger()),
        sa.Column("bid_mode", sa.String(16), nullable=False),
        sa.Column("max_cpc_micros", sa.BigInteger()),
        sa.Column("objective", sa.String(32), nullable=False),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME),
        sa.Column("time_zone", sa.String(64), nullable=False),
        sa.Column("pacing", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_campaigns"),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.job_id"], name="fk_campaigns_job_id"),
        sa.CheckConstraint(
            "total_micros > 0 AND total_micros <= 1000000000000000000", name=op.f("ck_campaigns_total_in_range")
        ),
        sa.CheckConstraint(
            "daily_micros > 0 AND daily_micros <= total_micros", name=op.f("ck_campaigns_daily_in_range")
        ),
        sa.CheckConstraint(
            "max_cpc_micros > 0 AND max_cpc_micros <= total_micros", name=op.f("ck_campaigns_max_cpc_in_range")
        ),
        sa.CheckConstraint("ends_at > starts_at", name=op.f("ck_campaigns_ends_after_start")),
    )
    op.create_index("ix_campaigns_account_id", "campaigns", ["account_id", "campaign_id"])
    op.create_index("ix_campaigns_status", "campaigns", ["status"])
    op.create_table(
        "answers",
        sa.Column("key_id", sa.String(64), nullable=False),
        sa.Column("idempotency_key", sa.String(255), nullable=False),
        sa.Column("request_digest", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("etag", sa.String(64)),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("key_id", "idempotency_key", name="pk_answers"),
    )
    op.create_index("ix_answers_created_at", "answers", ["created_at"])
    revisions = op.create_table(
        "revisions",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_revisions"),
    )
    op.bulk_insert(revisions, [{"name": "jobs", "value": 0}, {"name": "campaigns", "value": 0}])
