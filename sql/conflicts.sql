-- occ.conflicts(): a conflict's DETAIL as rows.

CREATE TABLE t (a int, b text, note text, version bigint, PRIMARY KEY (a, b));
INSERT INTO t VALUES (1, 'x', 'note', 9007199254740993), (2, 'y', 'note', NULL), (3, 'z', 'note', 7);
SELECT occ.enable('t');
DO $$
DECLARE
    detail text;
    r record;
BEGIN
    UPDATE t SET version = 4;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    FOR r IN SELECT * FROM occ.conflicts(detail) LOOP
        RAISE NOTICE '% % expected % actual %', r.key, r.status, r.expected, r.actual;
    END LOOP;
    -- What it says can be used: the rows as they are now.
    FOR r IN SELECT t.* FROM occ.conflicts(detail) AS c JOIN t ON t.a = (c.key ->> 'a')::int AND t.b = c.key ->> 'b' LOOP
        RAISE NOTICE '%', r;
    END LOOP;
END $$;
DROP TABLE t;

SELECT * FROM occ.conflicts('{"table":"t","conflicts":2,"ids":[],"rows":[]}');
SELECT * FROM occ.conflicts(NULL);
SELECT key, status, expected, actual FROM occ.conflicts('{"rows":[{"key":null,"status":"missing","expected":"2026-01-01T00:00:00","actual":null}, {"key":{"id":1},"status":"stale","expected":1.5,"actual":"NaN","more":true}]}');

-- Anything else is refused.
SELECT * FROM occ.conflicts('Key (id)=(1) already exists.');
SELECT * FROM occ.conflicts('');
SELECT * FROM occ.conflicts('null');
SELECT * FROM occ.conflicts('[]');
SELECT * FROM occ.conflicts('7');
SELECT * FROM occ.conflicts('{}');
SELECT * FROM occ.conflicts('{"rows":1}');
SELECT * FROM occ.conflicts('{"rows":{}}');
SELECT * FROM occ.conflicts('{"rows":[1]}');
SELECT * FROM occ.conflicts('{"rows":[[]]}');
SELECT * FROM occ.conflicts('{"rows":[{}]}');
SELECT * FROM occ.conflicts('{"rows":[{"key":{}}]}');
SELECT * FROM occ.conflicts('{"rows":[{"key":{},"status":true,"expected":1,"actual":1}]}');
SELECT * FROM occ.conflicts('{"rows":[{"key":{},"status":"stale","expected":[1],"actual":1}]}');
SELECT occ.conflicts('{"rows":[{"key":{"id":1},"status":"stale","expected":1,"actual":2}]}');
