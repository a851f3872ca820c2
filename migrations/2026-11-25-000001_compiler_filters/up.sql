-- A compiler may serve the nodes that a filter matches: what stands behind `/v1/nodes?`. Whether it can be understood
-- only the program knows.
ALTER TABLE compilers
    ADD COLUMN node_filter text CONSTRAINT compilers_node_filter_check
        CHECK (length(node_filter) BETWEEN 1 AND 255 AND node_filter !~ '[\x01-\x1f]'),
    DROP CONSTRAINT compilers_serves_check,
    ADD CONSTRAINT compilers_serves_check CHECK (serves IN ('all', 'listed', 'filter')),
    ADD CONSTRAINT compilers_filter_given_check CHECK (serves <> 'filter' OR node_filter IS NOT NULL);
