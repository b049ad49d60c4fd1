-- A row for each record in use that was collected; without a grid of its own it counts where its
-- collector says that it is. Two parts, so that an index leads to the records of an area.
SELECT r.id, r.area_id, r.geom, CAST(NULL AS bigint) AS organisation_id, r.kind,
       coalesce(r.collected, r.created) AS at, 1 AS collected, 1 AS placed
FROM record r
WHERE r.withdrawn IS NULL AND r.area_id IS NOT NULL
UNION ALL
SELECT r.id, r.stated_area_id, r.geom, CAST(NULL AS bigint), r.kind,
       coalesce(r.collected, r.created), 1, 0
FROM record r
WHERE r.withdrawn IS NULL AND r.area_id IS NULL
