DROP TABLE events_forgotten;
DROP TABLE events;
