ALTER TABLE compilers DROP COLUMN certname;
