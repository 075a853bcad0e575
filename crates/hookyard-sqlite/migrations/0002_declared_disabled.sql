-- What its file last said about a declared endpoint: whether it is switched off. Only a file that says something else switches
-- it, so that what was done by hand meanwhile stays. Unknown of rows that were declared before this column was there.
ALTER TABLE endpoint ADD COLUMN declared_disabled INTEGER CHECK (declared_disabled IN (0, 1));
