-- Values that are too large to be listed: the conflict is one all the same, and is counted.

CREATE FUNCTION conflict(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN concat_ws(' ', SQLSTATE, SQLERRM, CASE WHEN length(detail) < 1000 THEN detail ELSE length(detail) || ' characters' END);
END $$;

-- Keys, where no index limits them.
CREATE TABLE document (name text, number int, version bigint NOT NULL DEFAULT 1) PARTITION BY RANGE (number);
CREATE TABLE document_1 PARTITION OF document DEFAULT;
SELECT occ.enable('document', key => '{name}');
INSERT INTO document VALUES ('small', 1), (repeat('x', 17000000), 2), ('other', 3);
SELECT conflict('UPDATE document SET number = 4, version = 7');
SELECT conflict($$SELECT * FROM occ.touch('document', jsonb_build_array(
    '{"name":"small","version":7}'::jsonb, jsonb_build_object('name', repeat('x', 17000000), 'version', 7), '{"name":"other","version":7}'::jsonb))$$);
SELECT occ.enable('document', key => '{name}', enforce => 'warn');
UPDATE document SET number = number + 10, version = 7;
SELECT number, version, length(name) FROM document ORDER BY number;

-- Lock fields: what was read, and what is there.
CREATE TABLE page (id int PRIMARY KEY, body text);
INSERT INTO page VALUES (1, 'short'), (2, repeat('y', 17000000)), (3, 'short');
SELECT conflict($$SELECT * FROM occ.update_safely('page', '[{"id":1,"body":"a"},{"id":2,"body":"b"},{"id":3,"body":"c"}]', '{"body":"d"}', '{body}')$$);
SELECT conflict($$SELECT * FROM occ.update_safely('page', jsonb_build_array(
    jsonb_build_object('id', 1, 'body', repeat('z', 17000000)), '{"id":3,"body":"c"}'::jsonb), '{"body":"d"}', '{body}')$$);
-- What is not listed is not kept either: memory is that of the input, whatever the rows hold.
INSERT INTO page SELECT n, repeat('y', 4000000) FROM generate_series(11, 40) AS n;
SELECT conflict($$SELECT * FROM occ.update_safely('page', (SELECT jsonb_agg(jsonb_build_object('id', id, 'body', 'e')) FROM page), '{"body":"d"}', '{body}')$$)
    ~ '^PT409 optimistic lock conflict on 33 rows of "page" 2\d{7} characters$' AS "no more than a list";
SELECT status, count(*) FROM occ.update_safely('page', (SELECT jsonb_agg(jsonb_build_object('id', id, 'body', 'e')) FROM page), '{"body":"d"}', '{body}', 'skip') GROUP BY status;

DROP TABLE document, page;
DROP FUNCTION conflict;
