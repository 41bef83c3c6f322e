"""Prices of pacing and whose turn it is, targets of cost per application, expected value of a click."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

TIME = sa.DateTime(timezone=True)
ID = sa.String(64)


def upgrade() -> None:
    op.add_column("reserves", sa.Column("value", sa.Double()))
    # With its check at once: SQLite can not add one later without making the table anew, and others refer to it.
    op.execute(
        "ALTER TABLE campaigns ADD COLUMN target_cpa_micros BIGINT CONSTRAINT ck_campaigns_target_cpa_in_range "
        "CHECK (target_cpa_micros > 0 AND target_cpa_micros <= total_micros)"
    )
    op.create_table(
        "pacing",
        sa.Column("campaign_id", ID, nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("price", "lowest", "highest")),
        sa.Column("planned", sa.Boolean(), nullable=False),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("budget_micros", "spent_micros", "share")),
        sa.Column("cpa_price", sa.Double()),
        *(sa.Column(name, sa.Double(), nullable=False) for name in ("cpa_cost", "cpa_value")),
        sa.Column("stepped_at", TIME, nullable=False),
        sa.Column("plan_price", sa.Double()),
        sa.Column("plan", sa.JSON()),
        sa.PrimaryKeyConstraint("campaign_id", name="pk_pacing"),
        sa.ForeignKeyConstraint(["campaign_id"], ["campaigns.campaign_id"], name="fk_pacing_campaign_id"),
        sa.CheckConstraint("price >= 0 AND lowest >= 0 AND highest >= lowest", name=op.f("ck_pacing_prices_in_order")),
    )
    op.create_table(
        "pacing_turns",
        sa.Column("name", sa.String(16), nullable=False),
        sa.Column("turn", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_pacing_turns"),
    )
    op.execute("INSERT INTO pacing_turns (name, turn) VALUES ('minute', 0), ('plan', 0)")
