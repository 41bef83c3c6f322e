"""The ledger: balances, slates, reserves, events, quarantine and postings; every campaign gets its balance."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

TIME = sa.DateTime(timezone=True)
WITHIN_CAP = "posted_micros >= 0 AND posted_micros <= cap_micros"


def upgrade() -> None:
    for table, keys in (("balances", ()), ("day_balances", (sa.Column("day", sa.String(10), nullable=False),))):
        op.create_table(
            table,
            sa.Column("campaign_id", sa.String(64), nullable=False),
            *keys,
            sa.Column("cap_micros", sa.BigInteger(), nullable=False),
            sa.Column("posted_micros", sa.BigInteger(), nullable=False),
            sa.Column("reserved_micros", sa.BigInteger(), nullable=False),
            sa.PrimaryKeyConstraint("campaign_id", *(key.name for key in keys), name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name=f"fk_{table}_campaign_id"),
            sa.CheckConstraint(WITHIN_CAP, name=op.f(f"ck_{table}_posted_within_cap")),
            sa.CheckConstraint("reserved_micros >= 0", name=op.f(f"ck_{table}_reserved_not_negative")),
        )
    op.create_index("ix_day_balances_day", "day_balances", ["day"])
    op.execute("INSERT INTO balances SELECT campaign_id, total_micros, 0, 0 FROM campaigns")
    op.create_table(
        "slates",
        sa.Column("slate_id", sa.String(64), nullable=False),
        sa.Column("seeker_id", sa.String(128)),
        sa.Column("served_at", TIME, nullable=False),
        sa.Column("items", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("slate_id", name="pk_slates"),
    )
    op.create_table(
        "reserves",
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("slate_id", sa.String(64), nullable=False),
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("seeker_id", sa.String(128)),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("lane", sa.String(64)),
        sa.Column("price_micros", sa.BigInteger(), nullable=False),
        sa.Column("held_micros", sa.BigInteger(), nullable=False),
        sa.Column("posted_micros", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("release_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("token_id", name="pk_reserves"),
        sa.ForeignKeyConstraint(["slate_id"], ["slates.slate_id"], name="fk_reserves_slate_id"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name="fk_reserves_campaign_id"),
        sa.CheckConstraint("price_micros >= 0 AND held_micros >= 0", name=op.f("ck_reserves_not_negative")),
        sa.CheckConstraint(
            "posted_micros >= 0 AND posted_micros <= price_micros", name=op.f("ck_reserves_posted_within_price")
        ),
        sa.CheckConstraint("state IN ('open', 'clicked', 'released')", name=op.f("ck_reserves_state_known")),
    )
    op.create_index("ix_reserves_lane", "reserves", ["lane"])
    op.create_index("ix_reserves_due", "reserves", ["state", "release_at"])
    op.create_table(
        "events",
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("type", sa.String(16), nullable=False),
        sa.Column("occurred_at", TIME, nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("seeker_id", sa.String(128)),
        sa.Column("job_id", sa.String(128), nullable=False),
        sa.Column("request_id", sa.String(128)),
        sa.Column("position", sa.Integer()),
        sa.Column("reason", sa.Text()),
        sa.Column("token_id", sa.String(64)),
        sa.Column("campaign_id", sa.String(64)),
        sa.Column("billed_micros", sa.BigInteger()),
        sa.Column("currency", sa.String(3)),
        sa.Column("code", sa.String(32)),
        sa.PrimaryKeyConstraint("event_id", name="pk_events"),
    )
    op.create_index("ix_events_type", "events", ["type", "occurred_at"])
    op.create_index("ix_events_campaign_id", "events", ["campaign_id"])
    op.create_table(
        "quarantine",
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("received_at", TIME, nullable=False),
        sa.Column("campaign_id", sa.String(64)),
        sa.Column("price_micros", sa.BigInteger()),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_quarantine"),
    )
    op.create_index("ix_quarantine_campaign_id", "quarantine", ["campaign_id"])
    op.create_table(
        "postings",
        sa.Column("event_id", sa.String(128), nullable=False),
        sa.Column("token_id", sa.String(64), nullable=False),
        sa.Column("campaign_id", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False),
        sa.Column("posted_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_postings"),
        sa.UniqueConstraint("token_id", name="uq_postings_token_id"),
        sa.ForeignKeyConstraint(["event_id"], ["events.event_id"], name="fk_postings_event_id"),
        sa.ForeignKeyConstraint(["token_id"], ["reserves.token_id"], name="fk_postings_token_id"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name="fk_postings_campaign_id"),
        sa.CheckConstraint("amount_micros > 0", name=op.f("ck_postings_amount_positive")),
    )
    op.create_index("ix_postings_campaign_id", "postings", ["campaign_id", "day"])
    _keep_for_ever("postings")


def _keep_for_ever(table: str) -> None:
    """Rows of the table can be added, never changed or deleted."""
    if op.get_bind().dialect.name == "sqlite":
        for action in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {table}_no_{action.lower()} BEFORE {action} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{table} can only be added to'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {table}_are_final() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} can only be added to' "
        "USING ERRCODE = 'integrity_constraint_violation'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER {table}_are_final BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_are_final()"
    )
