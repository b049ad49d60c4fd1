"""Questions to who reported a case; those who are called to a case see it."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"

BEFORE = (
    "open", "note", "triage", "assign", "accept", "decline", "start", "return", "transfer",
    "escalate", "delegate", "consult", "refer", "refer_back", "reject", "resolve", "visit", "close",
    "reopen", "merge", "unmerge", "succeed",
)  # fmt: skip


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


_BY_AREA = """
DROP POLICY by_area ON {table};
CREATE POLICY by_area ON {table} TO wangge_app USING (
    area_id = ANY ((SELECT in_reach())::bigint[])
    OR {incident} = ANY ((SELECT helped_from_reach())::bigint[]))
"""


def downgrade() -> None:
    op.execute(_BY_AREA.format(table="incident", incident="id"))
    op.execute(_BY_AREA.format(table="report", incident="incident_id"))
    op.execute("DROP FUNCTION called_from_reach, acting_for")
    op.execute("DROP TABLE question")
    # What was asked stays in the timeline as a note.
    op.execute("ALTER TABLE case_step DROP CONSTRAINT action_known")
    op.execute("ALTER TABLE case_step DISABLE TRIGGER keep")
    op.execute(
        "UPDATE case_step SET action = 'note' WHERE action IN ('ask', 'reply', 'unanswered')"
    )
    op.execute("ALTER TABLE case_step ENABLE TRIGGER keep")
    known = ", ".join(f"'{action}'" for action in BEFORE)
    op.execute(f"ALTER TABLE case_step ADD CONSTRAINT action_known CHECK (action IN ({known}))")
