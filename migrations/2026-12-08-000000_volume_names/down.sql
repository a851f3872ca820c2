CREATE INDEX volumes_environment_id_idx ON volumes (environment_id);
ALTER TABLE volumes
    DROP CONSTRAINT volumes_name_key,
    DROP COLUMN name;
