-- Give the history of a demo that was built a second ago the dates of its story, and ids in their order.
UPDATE django_migrations SET applied = timestamptz '2026-02-02 08:40:00Z' + id * interval '137 milliseconds';

UPDATE django_migrations AS recorded
SET applied = story.applied
FROM (VALUES
    ('tutorials', '0002_tutorialsessions', timestamptz '2026-02-04 11:24:40.518Z'),
    ('administrate', '0003_migrate_to_adm_schema', timestamptz '2026-02-04 14:21:07.264Z'),
    ('administrate', '0004_alter_customfield_roles_to_jsonfield', timestamptz '2026-02-05 08:52:13.871Z')
) AS story (app, name, applied)
WHERE recorded.app = story.app AND recorded.name = story.name;

UPDATE django_migrations AS recorded
SET id = -ordered.id
FROM (SELECT id AS was, row_number() OVER (ORDER BY applied) AS id FROM django_migrations) AS ordered
WHERE recorded.id = ordered.was;

UPDATE django_migrations SET id = -id;
