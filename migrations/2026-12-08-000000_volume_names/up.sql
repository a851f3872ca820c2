-- What people call a volume that they keep.
ALTER TABLE volumes
    ADD COLUMN name name_text,
    ADD CONSTRAINT volumes_name_key UNIQUE (environment_id, name);
DROP INDEX volumes_environment_id_idx;
