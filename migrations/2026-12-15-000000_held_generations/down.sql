DROP TRIGGER ip_claims_hold_until_applied_trigger ON ip_claims;
DROP FUNCTION hold_until_applied();
