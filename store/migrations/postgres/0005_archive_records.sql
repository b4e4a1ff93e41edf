-- Blocks of the archive also have records of other kinds than frames of the own car.

-- How many of them a block has; NULL: it was planned before they were kept.
ALTER TABLE archive_plans ADD COLUMN records BIGINT;
