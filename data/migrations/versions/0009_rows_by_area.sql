-- Who sees which rows (docs/decisions/0018-rows-by-area.md). The roles are made beside this file.

GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO wangge_app, wangge_city;
GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA public TO wangge_app, wangge_city;
-- What is written down stays, and the schema is the owner's.
REVOKE UPDATE, DELETE ON audit FROM wangge_app, wangge_city;
REVOKE INSERT, UPDATE, DELETE ON alembic_version, spatial_ref_sys FROM wangge_app, wangge_city;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO wangge_app, wangge_city;
ALTER DEFAULT PRIVILEGES IN SCHEMA public
    GRANT USAGE, SELECT, UPDATE ON SEQUENCES TO wangge_app, wangge_city;

-- These areas and all below them, as the tree is now.
CREATE FUNCTION areas_below(granted bigint[]) RETURNS bigint[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE below AS (
        SELECT unnest(granted) AS id
        UNION
        SELECT v.area_id FROM below b JOIN area_version v ON v.parent_id = b.id
        WHERE upper_inf(v.recorded)
    )
    SELECT coalesce(array_agg(id), '{}') FROM below
$$;

-- The areas for which the one who acts is permitted what they do; nobody acts: none.
CREATE FUNCTION in_reach() RETURNS bigint[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('wangge.areas', true), '')::bigint[], '{}')
$$;

-- People of elsewhere who were sent to open incidents in reach, and open incidents elsewhere to
-- which people in reach were sent. The owner looks, for the policies would ask each other in turn.
CREATE FUNCTION helpers_in_reach() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT s.resource_id), '{}')
    FROM incident i JOIN assignment s ON s.incident_id = i.id
    WHERE i.closed IS NULL AND i.area_id = ANY (in_reach())
$$;

CREATE FUNCTION helped_from_reach() RETURNS bigint[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT i.id), '{}')
    FROM incident i JOIN assignment s ON s.incident_id = i.id
    JOIN resource r ON r.id = s.resource_id
    WHERE i.closed IS NULL AND r.home_area_id = ANY (in_reach())
$$;

-- A plan is made before its sites are, and then belongs to those who have one of them.
CREATE FUNCTION deployment_in_reach(number bigint) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT coalesce(bool_or(coalesce(area_id = ANY (in_reach()), false)), true)
    FROM deployment_site WHERE deployment_id = number
$$;

-- A task that ends lightens whoever had it, also who is out of reach from then on.
ALTER FUNCTION keep_load() SECURITY DEFINER SET search_path = public, pg_temp;

-- The whole city is a role of its own: for it a policy is the constant true, which the planner
-- drops, and with it the barrier that keeps other conditions from the indexes.
CREATE FUNCTION see_by(which regclass, rule text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', which);
    EXECUTE format('CREATE POLICY whole_city ON %s TO wangge_city USING (true)', which);
    EXECUTE format('CREATE POLICY by_area ON %s TO wangge_app USING (%s)', which, rule);
END $$;

-- `(SELECT …)` is asked once for a statement, not once for a row.
SELECT see_by(of::regclass, 'area_id = ANY ((SELECT in_reach())::bigint[])')
FROM unnest(ARRAY['record', 'visit_plan', 'visit', 'watched_place', 'deployment_site']) AS of;

SELECT see_by('resource', 'home_area_id = ANY ((SELECT in_reach())::bigint[])'
    ' OR id = ANY ((SELECT helpers_in_reach())::bigint[])');
SELECT see_by('incident', 'area_id = ANY ((SELECT in_reach())::bigint[])'
    ' OR id = ANY ((SELECT helped_from_reach())::bigint[])');
SELECT see_by('report', 'area_id = ANY ((SELECT in_reach())::bigint[])'
    ' OR incident_id = ANY ((SELECT helped_from_reach())::bigint[])');
SELECT see_by('deployment', 'deployment_in_reach(id)');

-- Whoever does something tells of it, also of what concerns no area.
SELECT see_by('event', 'area_id = ANY ((SELECT in_reach())::bigint[])');
CREATE POLICY told ON event FOR INSERT TO wangge_app WITH CHECK (true);

-- What belongs to something is seen with it: the policy of the one asks that of the other.
SELECT see_by(of::regclass, format('EXISTS (SELECT FROM %1$I x WHERE x.id = %2$I)', parent, key))
FROM (VALUES
    ('dispatch', 'incident', 'incident_id'), ('case_step', 'incident', 'incident_id'),
    ('clock', 'incident', 'incident_id'), ('supervision', 'incident', 'incident_id'),
    ('party', 'incident', 'incident_id'), ('attachment', 'incident', 'incident_id'),
    ('return_visit', 'incident', 'incident_id'),
    ('supervision_answer', 'supervision', 'supervision_id'),
    ('return_try', 'return_visit', 'visit_id'),
    ('assignment_step', 'assignment', 'assignment_id'),
    ('position', 'resource', 'resource_id'), ('track', 'resource', 'resource_id'),
    ('leave', 'resource', 'resource_id'), ('resource_area', 'resource', 'resource_id'),
    ('device', 'resource', 'resource_id'),
    ('record_change', 'record', 'record_id'), ('visit_proof', 'visit', 'visit_id'),
    ('watched_reading', 'watched_place', 'place_id'), ('watch_episode', 'watched_place', 'place_id'),
    ('deployment_shift', 'deployment_site', 'site_id'),
    ('whistle', 'incident', 'incident_id'), ('referral', 'incident', 'incident_id'),
    ('agreement', 'incident', 'incident_id'), ('referral_step', 'referral', 'referral_id'),
    ('whistle_call', 'whistle', 'whistle_id'), ('whistle_step', 'whistle', 'whistle_id'),
    ('whistle_member', 'whistle', 'whistle_id'), ('whistle_visit', 'whistle', 'whistle_id'),
    ('whistle_plan_step', 'whistle', 'whistle_id')
) AS kept (of, parent, key);

-- Theirs who were sent as well as theirs to whom they were sent.
SELECT see_by('assignment', 'EXISTS (SELECT FROM incident x WHERE x.id = incident_id)'
    ' OR EXISTS (SELECT FROM resource x WHERE x.id = resource_id)');
SELECT see_by('attendance', 'EXISTS (SELECT FROM deployment_shift x WHERE x.id = shift_id)'
    ' OR EXISTS (SELECT FROM resource x WHERE x.id = resource_id)');
