-- A processor begins with the open sessions, and asks for those that were closed long ago: neither may cost more with more history.
-- `opened_at_us` never changes, so a step of an open session touches neither index.
CREATE INDEX sessions_open ON sessions (log, part) WHERE NOT closed;
CREATE INDEX sessions_closed ON sessions (log, part, opened_at_us) WHERE closed AND NOT retired;
