-- What serves by a filter serves only what is listed for it.
UPDATE compilers SET serves = 'listed' WHERE serves = 'filter';
ALTER TABLE compilers
    DROP COLUMN node_filter,
    DROP CONSTRAINT compilers_serves_check,
    ADD CONSTRAINT compilers_serves_check CHECK (serves IN ('all', 'listed'));
