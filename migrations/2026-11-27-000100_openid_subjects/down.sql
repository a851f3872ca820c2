ALTER TABLE users DROP COLUMN openid_subject;
