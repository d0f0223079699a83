-- What the application's own role may do. Run by the owner of the database after `migrate`.
GRANT USAGE ON SCHEMA public, acted TO acted_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public, acted TO acted_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public, acted TO acted_app;
