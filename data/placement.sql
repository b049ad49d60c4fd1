-- Placement of one point, the twin of gis/placement.py (a test holds the two to each other).
-- Applied anew after every migration; what stood there before goes first.

DO $$
DECLARE f regprocedure;
BEGIN
    FOR f IN SELECT oid FROM pg_proc
             WHERE pronamespace = current_schema()::regnamespace
               AND proname IN ('candidates', 'remembered', 'conformal', 'chain_above')
    LOOP EXECUTE 'DROP FUNCTION ' || f; END LOOP;
    DROP TYPE IF EXISTS hit;
END $$;

-- A point in ellipsoidal Mercator (EPSG:3395), the plane in which a small circle stays a circle:
-- there a short distance is the distance on the ground divided by the local scale.
CREATE FUNCTION conformal(lon double precision, lat double precision) RETURNS geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ST_SetSRID(ST_MakePoint(
        6378137 * radians(lon),
        6378137 * (atanh(sind(lat)) - 0.0818191908426215 * atanh(0.0818191908426215 * sind(lat)))
    ), 3395)
$$;

CREATE TYPE hit AS (layer text, version_id bigint, area_id bigint, dedicated boolean,
                    inside boolean, part geometry);

-- What was confirmed around a point speaks for an area and against its neighbours: at the same
-- point, in the same block, and along the street on the same side at the same kind of place.
CREATE FUNCTION remembered(
    candidate bigint, pt geometry, mx double precision, my double precision,
    target text, known timestamptz, weights double precision[], street text, block text,
    side integer, premises text
) RETURNS double precision LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
#variable_conflict use_column
BEGIN
    RETURN (SELECT coalesce(sum(
        weights[1 + e.n] * (ln(1 + coalesce(e.for_it, 0)) - ln(1 + coalesce(e.against, 0)))
    ), 0)
    FROM (
        SELECT k.n, sum(k.weight) FILTER (WHERE c.area_id = candidate) AS for_it,
               sum(k.weight) FILTER (WHERE c.area_id <> candidate) AS against
        FROM (
            SELECT c.*, ST_Distance(ST_Scale(c.geom, mx, my), ST_Scale(pt, mx, my)) AS d
            FROM confirmation c
            WHERE c.informative AND c.layer = target AND c.recorded <= known
              AND c.geom && ST_Expand(pt, 300 / mx, 300 / my)
              AND ST_DWithin(ST_Scale(c.geom, mx, my), ST_Scale(pt, mx, my), 300)
        ) c
        CROSS JOIN LATERAL (VALUES
            (1, (c.d <= 1)::int::float8),
            (2, coalesce(c.block = remembered.block, false)::int::float8),
            (3, (coalesce(c.street = remembered.street, false)
                 AND c.premises IS NOT DISTINCT FROM remembered.premises
                 AND coalesce(c.side = remembered.side, true))::int * exp(-c.d / 100))
        ) k (n, weight)
        GROUP BY k.n
    ) e);
END $$;

-- The candidates of a point within its accuracy, in `target` and in every overlay, best first.
--   score:    what they are ordered by: geometry first, then what was confirmed before
--   share:    part of the uncertainty disc that lies in the area (what a dedicated grid covers is
--             its own and not the basic grid's)
--   border_m: distance to the area's border, whichever side of it the point is on; of the target
--             layer's areas only
-- at, known: the two moments of the question. weights: share, point, block, street.
CREATE FUNCTION candidates(
    lon double precision, lat double precision, accuracy_m double precision, target text,
    overlays text[], at timestamptz, known timestamptz, border_at_m double precision,
    snap_m double precision, weights double precision[], street text, block text, side integer,
    premises text
) RETURNS TABLE (
    layer text, version_id bigint, area_id bigint, inside boolean, share double precision,
    border_m double precision, score double precision
) LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 4 AS $$
#variable_conflict use_column
DECLARE
    -- No area reaches a pole, where a degree of longitude has no length.
    parallel double precision := greatest(-89.99, least(89.99, lat));
    w double precision := 1 - 0.0066943799901413165 * sind(parallel) ^ 2;
    mx double precision := radians(1) * 6378137 * cosd(parallel) / sqrt(w);
    my double precision := radians(1) * 6378137 * (1 - 0.0066943799901413165) / (w * sqrt(w));
    pt geometry := ST_SetSRID(ST_MakePoint(lon, lat), 4326);
    flat geometry := conformal(lon, parallel);
    scale double precision := cosd(parallel) / sqrt(w);  -- metres on the ground per conformal metre
    radius double precision := greatest(accuracy_m, 0.001);  -- no position is known better
    disc geometry := ST_Translate(
        ST_Scale(ST_SetSRID(ST_Buffer('POINT(0 0)'::geometry, 1, 8), 4326),
                 radius / mx, radius / my), lon, lat);
    disc_area double precision := ST_Area(disc);
    now_known bigint := (SELECT c.id FROM change c WHERE c.recorded <= known
                         ORDER BY c.id DESC LIMIT 1);
    hits hit[];
    h hit;
    listed integer;
    own geometry;  -- what dedicated areas cover of the disc
BEGIN
    IF NOT EXISTS (
        SELECT FROM area_border b WHERE ST_DWithin(b.geom, flat, accuracy_m / scale * 1.01)
    ) THEN  -- most points: no border is near, and what contains the point contains its disc
        RETURN QUERY
        SELECT i.layer, i.version_id, i.area_id, true, 1::float8,
               CASE WHEN i.layer = target THEN (
                   SELECT min(ST_Distance(b.geom, flat)) * scale FROM area_border b
                   WHERE b.version_id = i.version_id) END,
               weights[1] * 2
        FROM (
            SELECT p.layer, p.version_id, v.area_id, v.kind = 'dedicated' AS dedicated,
                   bool_or(v.kind = 'dedicated') OVER (PARTITION BY p.layer) AS overlaid,
                   bool_or(p.layer = target) OVER () AS found  -- if not, it may be snapped
            FROM area_piece p
            CROSS JOIN LATERAL (
                -- OFFSET 0: by its key, never by the index over the ranges, of whose
                -- conditions the planner expects far too few rows
                SELECT v.* FROM area_version v WHERE v.id = p.version_id OFFSET 0
            ) v
            WHERE p.geom && pt AND (p.layer = target OR p.layer = ANY (overlays))
              AND v.valid @> at AND v.recorded @> now_known AND ST_Intersects(p.geom, pt)
            GROUP BY p.layer, p.version_id, v.area_id, v.kind
        ) i
        WHERE i.found AND (i.layer <> target OR i.dedicated OR NOT i.overlaid)
        ORDER BY i.layer <> target, i.layer, i.version_id;
        GET DIAGNOSTICS listed = ROW_COUNT;
        IF listed > 0 THEN
            RETURN;
        END IF;
    END IF;

    SELECT array_agg(ROW(f.layer, f.version_id, f.area_id, f.dedicated, f.inside, f.part)::hit),
           count(*) FILTER (WHERE f.layer = target)
    INTO hits, listed
    FROM (
        SELECT t.layer, t.version_id, t.area_id, t.dedicated,
               bool_or(t.whole OR ST_Intersects(t.geom, pt)) AS inside,
               CASE WHEN bool_or(t.whole) THEN disc
                    ELSE ST_Collect(ST_Intersection(t.geom, disc)) END AS part
        FROM (
            SELECT p.layer, p.version_id, v.area_id, v.kind = 'dedicated' AS dedicated, p.geom,
                   ST_Covers(p.geom, disc) AS whole
            FROM area_piece p
            CROSS JOIN LATERAL (
                SELECT v.* FROM area_version v WHERE v.id = p.version_id OFFSET 0
            ) v
            WHERE p.geom && disc AND (p.layer = target OR p.layer = ANY (overlays))
              AND v.valid @> at AND v.recorded @> now_known
            OFFSET 0  -- so that ST_Covers is evaluated once
        ) t
        WHERE t.whole OR ST_Intersects(t.geom, disc)
        GROUP BY t.layer, t.version_id, t.area_id, t.dedicated
    ) f
    WHERE ST_Area(f.part) > 1e-9 * disc_area;  -- less is rounding

    IF listed > 1 THEN
        SELECT ST_UnaryUnion(ST_Collect(h.part)) INTO own
        FROM unnest(hits) h WHERE h.dedicated AND h.layer = target;
        IF own IS NOT NULL THEN
            SELECT array_agg(ROW(h.layer, h.version_id, h.area_id, h.dedicated,
                                 h.inside AND NOT ST_Intersects(own, pt),
                                 ST_Difference(ST_UnaryUnion(h.part), own))::hit)
                       FILTER (WHERE h.layer = target AND NOT h.dedicated)
                   || array_agg(h) FILTER (WHERE h.layer <> target OR h.dedicated)
            INTO hits FROM unnest(hits) h;
            SELECT array_agg(h) INTO hits FROM unnest(hits) h
            WHERE ST_Area(h.part) > 1e-9 * disc_area;
            SELECT count(*) INTO listed FROM unnest(hits) h WHERE h.layer = target;
        END IF;
    ELSIF coalesce(listed, 0) = 0 AND snap_m > 0 THEN
        RETURN QUERY
        SELECT target, n.version_id, n.area_id, false, 0::float8, n.d, 0::float8
        FROM (
            SELECT p.version_id, v.area_id, ST_Distance(ST_Scale(p.geom, mx, my), ST_Scale(pt, mx, my)) AS d
            FROM area_piece p
            CROSS JOIN LATERAL (
                SELECT v.* FROM area_version v WHERE v.id = p.version_id OFFSET 0
            ) v
            WHERE p.layer = target AND v.valid @> at AND v.recorded @> now_known
              AND p.geom && ST_Expand(pt, snap_m / mx, snap_m / my)
        ) n
        WHERE n.d <= snap_m ORDER BY n.d, n.version_id LIMIT 1;
    END IF;

    RETURN QUERY
    WITH measured AS (
        SELECT h.layer, h.version_id, h.area_id, h.inside, ST_Area(h.part) / disc_area AS share,
               CASE WHEN h.layer = target THEN (
                   SELECT min(ST_Distance(b.geom, flat)) * scale FROM area_border b
                   WHERE b.version_id = h.version_id) END AS border_m
        FROM unnest(hits) h
    ), voted AS (
        SELECT m.*, m.layer = target AND listed > 1 AS votes FROM measured m
    )
    SELECT v.layer, v.version_id, v.area_id, v.inside, v.share, v.border_m,
           weights[1] * (v.share + (v.inside AND coalesce(v.border_m > border_at_m, true))::int)
           + CASE WHEN v.votes THEN remembered(v.area_id, pt, mx, my, target, known,
                                               weights, street, block, side, premises)
                  ELSE 0 END
    FROM voted v
    ORDER BY v.layer <> target, v.layer, 7 DESC, v.share DESC, v.version_id;
END $$;

-- The areas above one, from its parent up, as [{layer, code, name}, …].
CREATE FUNCTION chain_above(parent bigint, at timestamptz, known timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE
    now_known bigint := (SELECT c.id FROM change c WHERE c.recorded <= known
                         ORDER BY c.id DESC LIMIT 1);
    chain jsonb := '[]';
    area record;
BEGIN
    WHILE parent IS NOT NULL LOOP
        SELECT a.layer, a.code, v.name, v.parent_id INTO area
        FROM area a CROSS JOIN LATERAL (
            SELECT v.* FROM area_version v WHERE v.area_id = a.id OFFSET 0
        ) v
        WHERE a.id = parent AND v.valid @> at AND v.recorded @> now_known;
        EXIT WHEN NOT FOUND;
        chain := chain || jsonb_build_object('layer', area.layer, 'code', area.code,
                                             'name', area.name);
        parent := area.parent_id;
    END LOOP;
    RETURN chain;
END $$;
