-- A row for each case that was received: where it happened, whose it is, and what became of it.
-- A case that became part of another is no case of its own. A kind is of the class that it had when
-- the case was opened, or first had, where the catalogue is younger than the case.
SELECT i.id, i.area_id, i.geom, i.organisation_id, i.kind, i.opened AS at,
       1 AS received,
       (i.closed IS NOT NULL)::integer AS closed,
       (i.solved IS NOT NULL)::integer AS solved,
       (i.solved_level >= 4 AND i.solved IS NOT NULL)::integer AS solved_in_grid,
       (i.solved_level >= 3 AND i.solved IS NOT NULL)::integer AS solved_in_village,
       (i.solved_level >= 2 AND i.solved IS NOT NULL)::integer AS solved_in_town,
       (steps.across_levels OR steps.across_bodies)::integer AS moved,
       steps.across_levels::integer AS across_levels,
       steps.across_bodies::integer AS across_bodies,
       (k.class = 'dispute')::integer AS dispute,
       (k.class = 'dispute' AND i.solved IS NOT NULL)::integer AS dispute_resolved,
       timed.decided AS timed,
       (timed.decided > 0 AND timed.late = 0)::integer AS on_time,
       i.bounces AS bounced,
       (i.solved IS NOT NULL OR i.reopened > 0)::integer AS answered,
       (i.reopened > 0)::integer AS reopened,
       said.answers AS asked, said.marks AS satisfaction
FROM incident i
LEFT JOIN (
    SELECT code, class, CASE WHEN row_number() OVER (PARTITION BY code ORDER BY valid) = 1
                        THEN tstzrange(NULL, upper(valid)) ELSE valid END AS valid
    FROM case_kind
) k ON k.code = i.kind AND k.valid @> i.opened
-- A whistle is a consultation of several bodies, even where the case was in one already.
CROSS JOIN LATERAL (
    SELECT coalesce(bool_or(s.action IN ('escalate', 'delegate')), false) AS across_levels,
           coalesce(bool_or(s.action IN ('transfer', 'refer', 'consult')), false)
           OR EXISTS (SELECT FROM whistle w WHERE w.incident_id = i.id) AS across_bodies
    FROM case_step s WHERE s.incident_id = i.id
) steps
-- A clock has been decided when it was stopped or has run out; all of a case's have to be in time.
CROSS JOIN LATERAL (
    SELECT least(count(*), 1)::integer AS decided,
           count(*) FILTER (WHERE c.stopped IS NULL OR c.stopped > c.due) AS late
    FROM clock c
    WHERE c.incident_id = i.id AND c.name = 'case.handle'
      AND (c.stopped IS NOT NULL OR c.late IS NOT NULL)
) timed
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS answers, coalesce(sum(v.satisfaction), 0)::integer AS marks
    FROM return_visit v WHERE v.incident_id = i.id AND v.satisfaction IS NOT NULL
) said
WHERE i.merged_into IS NULL
