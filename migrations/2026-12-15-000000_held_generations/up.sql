-- An address is held until the agent has applied the document without it. Which generation that is, is known when all of the transaction
-- is done: what others have raised meanwhile is a document that still has it.
CREATE FUNCTION hold_until_applied() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE ip_claims c SET held_generation = GREATEST(c.held_generation, n.desired_generation - 1) FROM nodes n
    WHERE c.ip = NEW.ip AND n.id = c.held_node_id;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER ip_claims_hold_until_applied_trigger AFTER UPDATE OF held_node_id ON ip_claims DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.held_node_id IS NOT NULL) EXECUTE FUNCTION hold_until_applied();
