-- A raw volume can be a copy of an image, as the root of a container is.
CREATE OR REPLACE FUNCTION volumes_check() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    type_name text := (SELECT name FROM storage_types WHERE id = NEW.storage_type_id);
    -- Locked, so that it stays as it is seen until this is committed.
    image_size bigint := (SELECT size_bytes FROM images WHERE id = NEW.image_id FOR SHARE);
BEGIN
    IF (type_name = 'rbd') <> (NEW.ceph_pool_id IS NOT NULL) THEN
        RAISE check_violation USING MESSAGE = 'an rbd volume has a pool, and no other has',
            TABLE = 'volumes', CONSTRAINT = 'volumes_ceph_pool_check';
    ELSIF NEW.image_id IS NOT NULL AND type_name NOT IN ('qcow2', 'raw') THEN
        RAISE check_violation USING MESSAGE = 'only a qcow2 or raw volume can be made from an image',
            TABLE = 'volumes', CONSTRAINT = 'volumes_image_backing_check';
    ELSIF image_size > NEW.size_bytes THEN
        RAISE check_violation USING MESSAGE = 'a volume is at least as big as its image',
            TABLE = 'volumes', CONSTRAINT = 'volumes_size_of_image_check';
    END IF;
    RETURN NEW;
END $$;
