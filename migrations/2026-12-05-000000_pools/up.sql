-- A segment that is given neither a tag nor a VNI gets the next free one of the pool that the server gives away: `virtapi.vni_pool`, or
-- `virtapi.vlan_pool`, as `FIRST-LAST`. Those that others were given by hand are not given away again.
CREATE FUNCTION vlans_fill() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    vnis text := COALESCE(current_setting('virtapi.vni_pool', true), '');
    tags text := COALESCE(current_setting('virtapi.vlan_pool', true), '');
    pool text := COALESCE(NULLIF(vnis, ''), tags);
    low int := NULLIF(split_part(pool, '-', 1), '')::int;
    high int := NULLIF(split_part(pool, '-', 2), '')::int;
    free int;
BEGIN
    IF pool = '' THEN
        RETURN NEW;
    END IF;
    -- One after the other: who comes next sees what was taken.
    PERFORM pg_advisory_xact_lock(7310);
    IF vnis <> '' THEN
        SELECT min(c) INTO free FROM (SELECT low UNION ALL SELECT vni + 1 FROM vlans WHERE vni BETWEEN low AND high - 1) AS candidates (c)
        WHERE NOT EXISTS (SELECT FROM vlans WHERE vni = c);
        NEW.vni := free;
    ELSE
        SELECT min(c) INTO free FROM (SELECT low UNION ALL SELECT tag + 1 FROM vlans WHERE tag BETWEEN low AND high - 1) AS candidates (c)
        WHERE NOT EXISTS (SELECT FROM vlans WHERE tag = c);
        NEW.tag := free;
    END IF;
    IF free IS NULL THEN
        RAISE exclusion_violation USING MESSAGE = 'the pool is used up', TABLE = 'vlans', CONSTRAINT = 'vlans_pool_left';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER vlans_fill BEFORE INSERT ON vlans
    FOR EACH ROW WHEN (NEW.tag IS NULL AND NEW.vni IS NULL) EXECUTE FUNCTION vlans_fill();
CREATE INDEX vlans_tag_idx ON vlans (tag);
CREATE INDEX vlans_vni_idx ON vlans (vni);
