-- Rows for a development database: always the same ones, no name of a real person or place.
INSERT INTO "adm.locations" (external_id, code, name, region)
SELECT 'LOC-' || n, 'L' || lpad(n::text, 3, '0'), 'Location ' || n, (ARRAY['north', 'south', 'east', 'west'])[1 + n % 4]
FROM generate_series(1, 40) AS n ORDER BY n;

INSERT INTO "adm.venues" (external_id, name, capacity, facilities, location_id)
SELECT 'VEN-' || n, 'Room ' || n, 10 + n % 60,
       jsonb_build_object('projector', n % 2 = 0, 'floor', n % 5), 1 + n % 40
FROM generate_series(1, 160) AS n ORDER BY n;

INSERT INTO "adm.instructors" (external_id, first_name, last_name, email, languages, home_location_id)
SELECT 'INS-' || n, 'First' || n, 'Last' || n, 'instructor' || n || '@example.org',
       CASE n % 3 WHEN 0 THEN ARRAY['en'] WHEN 1 THEN ARRAY['en', 'fr'] ELSE ARRAY[]::text[] END,
       CASE WHEN n % 7 > 0 THEN 1 + n % 40 END
FROM generate_series(1, 300) AS n ORDER BY n;

INSERT INTO "adm.pricelevels" (external_id, name, description)
SELECT 'PRI-' || n, (ARRAY['Standard', 'Retaker', 'Early bird', 'Member', 'Student', 'Group'])[n], ''
FROM generate_series(1, 6) AS n ORDER BY n;

INSERT INTO "adm.course_templates" (external_id, code, title, categories, custom_values, active, created_at)
SELECT 'CRS-' || n, 'C' || lpad(n::text, 4, '0'), 'Course ' || n,
       ARRAY[(ARRAY['classroom', 'online', 'revision'])[1 + n % 3]],
       jsonb_build_object('sitting', CASE WHEN n % 2 = 0 THEN 'April' ELSE 'September' END),
       n % 10 > 0, timestamptz '2026-01-20 09:00Z' + n * interval '1 minute'
FROM generate_series(1, 400) AS n ORDER BY n;

INSERT INTO "adm.course_template_price_levels" (course_template_id, price_level_id, amount)
SELECT course, level, 100 + (course * 7 + level * 31) % 500
FROM generate_series(1, 400) AS course, generate_series(1, 3) AS level ORDER BY course, level;

INSERT INTO "adm.custom_fields" (external_id, label, entity, required, roles)
SELECT 'FLD-' || n, 'Field ' || n, (ARRAY['event', 'contact', 'course'])[1 + n % 3], n % 4 = 0,
       CASE WHEN n % 2 = 0 THEN '["tutor"]' ELSE '["tutor", "admin"]' END::jsonb
FROM generate_series(1, 24) AS n ORDER BY n;

INSERT INTO acted.tutorial_events (code, title, starts_on, cancelled, venue_id)
SELECT 'TUT-' || n, 'Tutorial ' || n, date '2026-03-01' + n % 120, n % 50 = 0, 1 + n % 160
FROM generate_series(1, 1200) AS n ORDER BY n;

INSERT INTO acted.tutorial_events_instructors (tutorialevents_id, instructor_id)
SELECT n, 1 + n % 300 FROM generate_series(1, 1200) AS n ORDER BY n;

INSERT INTO acted.tutorial_sessions (event_id, sequence, starts_at, minutes, materials)
SELECT event, part, timestamptz '2026-03-01 09:00Z' + (event % 120) * interval '1 day' + part * interval '4 hours',
       180, '[]'::jsonb
FROM generate_series(1, 1200) AS event, generate_series(1, 2) AS part ORDER BY event, part;
