-- A row for each record in use that was collected; without a grid of its own it counts where its
-- collector says that it is.
SELECT r.id, coalesce(r.area_id, r.stated_area_id) AS area_id, r.geom,
       CAST(NULL AS bigint) AS organisation_id, r.kind, coalesce(r.collected, r.created) AS at,
       1 AS collected,
       (r.area_id IS NOT NULL)::integer AS placed
FROM record r
WHERE r.withdrawn IS NULL
