"""Indicators: cells that are prepared, marks of what has changed since, the paths of the tree."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"

MARKED = {
    "incident": ("added", "changed", "removed"),
    "case_step": ("added",),
    "clock": ("added", "changed", "removed"),
    "whistle": ("added",),
    "return_visit": ("added", "changed", "removed"),
    "case_kind": ("added", "changed"),
    "record": ("added", "changed", "removed"),
    "report": ("added", "changed", "removed"),
    "visit_proof": ("added", "changed", "removed"),
    "area_version": ("added",),
}


def upgrade() -> None:
    # Its text is not for formatting: a percent sign in it is one.
    bind = op.get_bind().execution_options(no_parameters=True)
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute("DROP TRIGGER path ON area_version")
    for table, triggers in MARKED.items():
        for name in triggers:
            op.execute(f"DROP TRIGGER stale_{name} ON {table}")
    op.execute(
        "DROP FUNCTION stale_incident, stale_of_incident, stale_kind, stale_record, stale_report,"
        " stale_proof, stale_map, quarter, keep_area_path, make_area_path"
    )
    op.execute("DROP INDEX record_by_time, record_stated")
    for table in ("area_path", "indicator_cell", "indicator_stale", "indicator_state"):
        op.execute(f"DROP TABLE {table}")
