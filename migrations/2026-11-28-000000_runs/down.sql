DROP FUNCTION drop_partitions(timestamptz, timestamptz);
DROP FUNCTION prepare_partitions();
DROP TABLE run_events;
DROP TABLE runs;
