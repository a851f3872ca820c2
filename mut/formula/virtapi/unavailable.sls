#!jinja|json
{# Assigned by the tops module when it could not ask virtapi: it never renders, so that the highstate runs nothing. #}
{{ raise("virtapi could not say what runs on this minion; the reason is in the log of the master (masterless: of the minion)") }}
