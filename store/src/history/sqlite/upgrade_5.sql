-- Version 5.

-- From which recorded second on a link shows the past; those of before show all of it.
ALTER TABLE scoped_tokens ADD COLUMN history_from INTEGER NOT NULL DEFAULT 0;
