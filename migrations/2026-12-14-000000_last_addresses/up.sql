-- As before, but nothing is counted past the last address that a subnet gives away: after 255.255.255.255 there is none.
CREATE OR REPLACE FUNCTION free_ip(subnet bigint) RETURNS inet LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    s subnets;
    low inet;
    high inet;
    highest inet;
    candidate inet;
    wait boolean;
BEGIN
    SELECT * INTO s FROM subnets WHERE id = subnet;
    low := first_ip(s);
    high := last_ip(s);
    SELECT ip INTO highest FROM ip_claims WHERE ip BETWEEN low AND high ORDER BY ip DESC LIMIT 1;
    candidate := CASE WHEN highest IS NULL THEN low WHEN highest < high THEN highest + 1 END;
    WHILE candidate <= high LOOP
        IF candidate IS DISTINCT FROM s.gateway AND take_ip(candidate, FALSE) THEN
            RETURN candidate;
        END IF;
        EXIT WHEN candidate = high;
        candidate := candidate + 1;
    END LOOP;
    FOREACH wait IN ARRAY ARRAY[FALSE, TRUE] LOOP
        FOR candidate IN
            SELECT DISTINCT place FROM (
                SELECT low AS place UNION ALL SELECT ip FROM ip_claims WHERE ip BETWEEN low AND high
                UNION ALL SELECT CASE WHEN ip < high THEN ip + 1 END FROM ip_claims WHERE ip BETWEEN low AND high
                UNION ALL SELECT CASE WHEN s.gateway >= low AND s.gateway < high THEN s.gateway + 1 END) AS places
            WHERE place <= high AND NOT EXISTS (SELECT FROM ip_claims_in_force c WHERE c.ip = place) ORDER BY place
        LOOP
            WHILE candidate <= high AND NOT EXISTS (SELECT FROM ip_claims_in_force WHERE ip = candidate) LOOP
                IF candidate IS DISTINCT FROM s.gateway AND take_ip(candidate, wait) THEN
                    RETURN candidate;
                END IF;
                EXIT WHEN candidate = high;
                candidate := candidate + 1;
            END LOOP;
        END LOOP;
    END LOOP;
    RETURN NULL;
END $$;
