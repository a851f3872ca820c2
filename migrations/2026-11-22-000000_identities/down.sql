DROP TABLE token_secrets, tokens, compiler_nodes, compilers, users;
