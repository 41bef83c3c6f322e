"""Link edits, audit log, operations, credits, profiles, erasures and traffic; keys can be revoked."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TIME = sa.DateTime(timezone=True)
ID = sa.String(64)
PERSON = sa.String(128)


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("revoked_at", TIME))
    op.create_index("ix_reserves_seeker_id", "reserves", ["seeker_id", "release_at"])
    clicked = sa.text("state = 'clicked'")
    op.create_index("ix_reserves_clicked", "reserves", ["campaign_id"], sqlite_where=clicked, postgresql_where=clicked)
    op.create_table(
        "link_edits",
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("link_id", ID, nullable=False),
        sa.Column("seeker", sa.JSON(), nullable=False),
        sa.Column("job", sa.JSON(), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("weight", sa.Double()),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("edited_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("campaign_id", "link_id", name="pk_link_edits"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name="fk_link_edits_campaign_id"),
        sa.CheckConstraint("action IN ('veto', 'boost')", name=op.f("ck_link_edits_action_known")),
        sa.CheckConstraint("(action = 'boost') = (weight IS NOT NULL)", name=op.f("ck_link_edits_weight_of_boosts")),
    )
    op.create_table(
        "audit_log",
        sa.Column("number", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("account_id", PERSON, nullable=False),
        sa.Column("key_id", ID, nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("object_id", sa.String(160), nullable=False),
        sa.Column("before", sa.JSON()),
        sa.Column("after", sa.JSON()),
        sa.Column("digest", ID, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_log"),
    )
    op.create_index("ix_audit_log_account_id", "audit_log", ["account_id", "number"])
    op.create_index("ix_audit_log_digest", "audit_log", ["digest"], unique=True)
    op.execute("INSERT INTO revisions (name, value) VALUES ('audit', 0)")
    op.create_table(
        "operations",
        sa.Column("operation_id", ID, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", ID, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME),
        sa.Column("result", sa.JSON()),
        sa.PrimaryKeyConstraint("operation_id", name="pk_operations"),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_operations_state_known")),
    )
    op.create_table(
        "credits",
        sa.Column("event_id", PERSON, nullable=False),
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("amount_micros", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.String(32), nullable=False),
        sa.Column("credited_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_credits"),
        sa.ForeignKeyConstraint(["event_id"], ["postings.event_id"], name="fk_credits_event_id"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name="fk_credits_campaign_id"),
        sa.CheckConstraint("amount_micros > 0", name=op.f("ck_credits_amount_positive")),
    )
    op.create_index("ix_credits_campaign_id", "credits", ["campaign_id", "day"])
    op.create_table(
        "seekers",
        sa.Column("seeker_id", PERSON, nullable=False),
        sa.Column("geo", sa.Text()),
        sa.Column("education_years", sa.Double()),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("seeker_id", name="pk_seekers"),
    )
    op.create_table(
        "seeker_titles",
        sa.Column("seeker_id", PERSON, nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("occupation", sa.Text()),
        sa.Column("geo", sa.Text()),
        sa.Column("first_seen_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("seeker_id", "title", name="pk_seeker_titles"),
        sa.ForeignKeyConstraint(["seeker_id"], ["seekers.seeker_id"], name="fk_seeker_titles_seeker_id"),
    )
    op.create_table(
        "erased_seekers",
        sa.Column("digest", ID, nullable=False),
        sa.Column("erased_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_erased_seekers"),
    )
    op.create_table(
        "traffic",
        sa.Column("hour", TIME, nullable=False),
        sa.Column("occupation", sa.Text(), nullable=False),
        sa.Column("geo", sa.Text(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("requests", "slots", "sold")),
        sa.PrimaryKeyConstraint("hour", "occupation", "geo", name="pk_traffic"),
    )
    op.create_table(
        "price_levels",
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("occupation", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("slates", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", "occupation", "level", name="pk_price_levels"),
    )
    for table in ("audit_log", "credits"):
        _keep_for_ever(table)


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
