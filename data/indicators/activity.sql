-- A row for each time that people of a grid did something in it: an event that they reported, or a
-- visit or patrol that is proven by place and time.
SELECT r.id, r.area_id, r.geom, CAST(NULL AS bigint) AS organisation_id, CAST(NULL AS text) AS kind,
       r.received AS at, 1 AS acted
FROM report r
WHERE r.channel = 'grid-worker' AND r.area_id IS NOT NULL
UNION ALL
SELECT p.id, v.area_id, p.geom, CAST(NULL AS bigint), CAST(NULL AS text), p.taken, 1
FROM visit_proof p JOIN visit v ON v.id = p.visit_id
WHERE p.verdict = 'proven'
