-- By which client certificate a compiler is known: Puppet's name for it, which is the common name of its subject.
ALTER TABLE compilers ADD COLUMN certname text CONSTRAINT compilers_certname_key UNIQUE
    CONSTRAINT compilers_certname_check CHECK (
        length(certname) <= 253 AND certname ~ '[^0-9]'
        AND certname ~ '^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$');
