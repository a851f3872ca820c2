-- All that it was granted here, and with it the policies that are for it alone. The role itself may be another database's
-- as well.
DROP OWNED BY virtapi_server;
