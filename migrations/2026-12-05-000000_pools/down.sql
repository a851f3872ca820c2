DROP INDEX vlans_tag_idx, vlans_vni_idx;
DROP TRIGGER vlans_fill ON vlans;
DROP FUNCTION vlans_fill();
