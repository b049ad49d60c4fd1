"""Roles without rights for the service, which see the rows of the areas that they act for."""

from pathlib import Path

from alembic import op
from sqlalchemy.exc import ProgrammingError

from data.server_programs import ServerError

revision = "0009"
down_revision = "0008"

ROLES = ("wangge_app", "wangge_city")
FUNCTIONS = (
    "deployment_in_reach", "helped_from_reach", "helpers_in_reach", "in_reach", "areas_below",
    "see_by",
)  # fmt: skip

# Another database of this server may have them already, or be about to make them.
_ROLE = """
DO $$ BEGIN
    IF to_regrole('{role}') IS NULL THEN
        BEGIN
            CREATE ROLE {role} NOLOGIN;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN
            NULL;
        END;
    END IF;
    IF NOT pg_has_role('{role}', 'MEMBER') THEN
        GRANT {role} TO CURRENT_USER;
    END IF;
END $$
"""
_NO_POLICIES = """
DO $$ DECLARE p record; BEGIN
    FOR p IN SELECT DISTINCT schemaname, tablename, policyname FROM pg_policies
             WHERE roles && ARRAY['wangge_app', 'wangge_city']::name[] LOOP
        EXECUTE format('DROP POLICY %I ON %I.%I', p.policyname, p.schemaname, p.tablename);
        EXECUTE format('ALTER TABLE %I.%I DISABLE ROW LEVEL SECURITY', p.schemaname, p.tablename);
    END LOOP;
END $$
"""


def upgrade() -> None:
    bind = op.get_bind().execution_options(no_parameters=True)
    try:
        for role in ROLES:
            bind.exec_driver_sql(_ROLE.format(role=role))
    except ProgrammingError as error:
        login = bind.engine.url.username
        asked = "; ".join(f"CREATE ROLE {role} NOLOGIN; GRANT {role} TO {login}" for role in ROLES)
        raise ServerError(
            f"The login {login} may not make the roles under which the service works. Let whoever "
            f"runs that server do it once: {asked};"
        ) from error
    bind.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text(encoding="utf-8"))


def downgrade() -> None:
    op.execute(_NO_POLICIES)
    op.execute("ALTER FUNCTION keep_load() SECURITY INVOKER RESET search_path")
    for name in FUNCTIONS:
        op.execute(f"DROP FUNCTION {name}")
    names = ", ".join(ROLES)
    for things in ("TABLES", "SEQUENCES"):
        op.execute(f"REVOKE ALL ON ALL {things} IN SCHEMA public FROM {names}")
        op.execute(f"ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON {things} FROM {names}")
