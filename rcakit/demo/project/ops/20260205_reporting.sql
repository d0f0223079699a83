-- For the operations report: where we teach, and how many seats a location has.
CREATE VIEW public.venue_directory AS
SELECT v.id, v.name AS venue, v.capacity, l.code AS location_code, l.name AS location
FROM "adm.venues" v
JOIN "adm.locations" l ON l.id = v.location_id;

CREATE FUNCTION public.seats_at(wanted text) RETURNS bigint
LANGUAGE plpgsql STABLE AS $$
DECLARE
    seats bigint;
BEGIN
    SELECT coalesce(sum(v.capacity), 0) INTO seats
    FROM "adm.locations" l
    JOIN "adm.venues" v ON v.location_id = l.id
    WHERE l.code = wanted;
    RETURN seats;
END;
$$;

GRANT SELECT ON public.venue_directory TO acted_app;
