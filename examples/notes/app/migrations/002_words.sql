ALTER TABLE notes ADD COLUMN words integer;
