-- The set functions under every preset and option: they state what was read, and the version always advances.

CREATE FUNCTION each_function(options text, version_type text, first text) RETURNS TABLE (call text, result text)
    LANGUAGE plpgsql AS $$
DECLARE
    state text;
    r record;
BEGIN
    EXECUTE format('CREATE TABLE t (id int PRIMARY KEY, note text, seen int, version %s)', version_type);
    EXECUTE format('INSERT INTO t VALUES (1, ''old'', 0, %L)', first);
    SET LOCAL client_min_messages = error;
    EXECUTE format('SELECT occ.enable(''t'', %s)', options);
    FOREACH call IN ARRAY ARRAY[
        'occ.update(''t'', (SELECT jsonb_agg(to_jsonb(t) || ''{"note":"new"}'') FROM t))',
        'occ.update(''t'', (SELECT jsonb_agg(to_jsonb(t) - ''note'' - ''seen'') FROM t))',
        'occ.update(''t'', ''[{"id":1,"seen":7,"version":null}]'', ''skip'')',
        'occ.update_safely(''t'', (SELECT jsonb_agg(to_jsonb(t)) FROM t), ''{"note":"newer"}'')',
        'occ.update_safely(''t'', (SELECT jsonb_agg(to_jsonb(t)) FROM t), ''{"note":"newest"}'', ''{note}'')',
        'occ.touch(''t'', (SELECT jsonb_agg(to_jsonb(t)) FROM t))',
        'occ.check(''t'', (SELECT jsonb_agg(to_jsonb(t)) FROM t))',
        'occ.delete(''t'', (SELECT jsonb_agg(to_jsonb(t)) FROM t))'] LOOP
        DECLARE
            before text;
            after text;
        BEGIN
            SELECT t.version::text INTO before FROM t;
            EXECUTE 'SELECT * FROM ' || call INTO r;
            SELECT t.version::text INTO after FROM t;
            result := r.status || CASE WHEN after IS NOT DISTINCT FROM before THEN ' unmoved'
                                       WHEN after IS NULL THEN ' gone'
                                       ELSE ' moved' END
                      || CASE WHEN to_jsonb(r) ->> 'version' IS NOT DISTINCT FROM (SELECT to_jsonb(t) ->> 'version' FROM t) THEN ''
                              ELSE ' WRONG RESULT ' || (r.version) END;
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE;
            result := state || ' ' || SQLERRM;
        END;
        call := substring(call from 'occ\.[a-z_]+');
        RETURN NEXT;
    END LOOP;
    DROP TABLE t;
END $$;

-- Whatever the options and the version's type, the results are the same.
SELECT results, count(*)
FROM (
SELECT o.options, v.type, string_agg(f.call || ': ' || f.result, E'\n' ORDER BY f.number) AS results
FROM (VALUES (1, 'preset => ''shared'''), (2, 'preset => ''strict'''), (3, 'preset => ''orm'''),
             (4, 'token => ''next'''), (5, 'token => ''read'', echo => ''keep'', unstated => ''reject'''),
             (6, 'echo => ''keep'', unstated => ''warn''')) AS o (n, options),
     (VALUES (1, 'smallint', '32767'), (2, 'bigint NOT NULL', '9223372036854775807'), (3, 'int', NULL), (4, 'timestamptz', '2026-01-01 12:00:00.123456+01'),
             (5, 'timestamp(3)', '2026-01-01 12:00:00.123'), (6, 'double precision', '1767225600.1234567'), (7, 'uuid', '00000000-0000-4000-8000-000000000000')) AS v (n, type, first),
     LATERAL each_function(o.options, v.type, v.first) WITH ORDINALITY AS f (call, result, number)
WHERE NOT (o.n = 4 AND v.n >= 4)
GROUP BY o.n, o.options, v.n, v.type) AS each
GROUP BY results ORDER BY count(*) DESC, results COLLATE "C";

-- ignore: an update of ignored columns moves nothing, as ever; occ.touch() always does.
CREATE TABLE page (id int PRIMARY KEY, title text, views int DEFAULT 0, version int NOT NULL DEFAULT 1);
INSERT INTO page VALUES (1, 'one'), (2, 'two');
SELECT occ.enable('page', preset => 'strict', ignore => '{views}');
SELECT * FROM occ.update('page', '[{"id":1,"version":1,"views":5},{"id":2,"version":1,"views":6,"title":"zwei"}]');
SELECT * FROM occ.touch('page', '[{"id":1,"version":1}]');
SELECT * FROM page ORDER BY id;
DROP TABLE page;

-- time_precision: what JavaScript sends back is equal.
CREATE TABLE page (id int PRIMARY KEY, title text, updated_at timestamptz NOT NULL);
INSERT INTO page VALUES (1, 'one', '2026-01-01 12:00:00.123456Z');
SELECT occ.enable('page', 'updated_at', time_precision => 'ms');
SELECT status FROM occ.update('page', '[{"id":1,"updated_at":"2026-01-01T12:00:00.123Z","title":"eins"}]');
SELECT occ.disable('page');
UPDATE page SET updated_at = '2026-01-01 12:00:00.123456Z';
SELECT occ.enable('page', 'updated_at', time_precision => 'ms');
SELECT status FROM occ.update_safely('page', '[{"id":1,"updated_at":"2026-01-01T12:00:00.123Z","title":"eins"}]', '{"title":"uno"}', '{updated_at,title}');
SELECT title, updated_at > '2026-01-01 12:00:00.123456Z' AS moved FROM page;
DROP TABLE page;

-- An infinite time is no version that could have been read, also where it is stored.
CREATE TABLE page (id int PRIMARY KEY, title text, updated_at timestamptz);
INSERT INTO page VALUES (1, 'one', 'infinity'), (2, 'two', NULL);
SELECT occ.enable('page', 'updated_at');
SELECT * FROM occ.update('page', '[{"id":1,"updated_at":"infinity","title":"eins"}]');
SELECT key, status FROM occ.update('page', '[{"id":2,"updated_at":null,"title":"zwei"},{"id":1,"updated_at":null,"title":"eins"}]');
SELECT id, title, isfinite(updated_at) FROM page ORDER BY id;
-- Whatever finite time is stated repairs it, and the version goes on from the clock, under each preset.
SELECT occ.enable('page', 'updated_at', preset => 'orm');
ALTER TABLE page DISABLE TRIGGER _occ_guard;
UPDATE page SET updated_at = CASE id WHEN 1 THEN timestamptz 'infinity' ELSE '2020-01-01Z' END;
ALTER TABLE page ENABLE TRIGGER _occ_guard;
SELECT key, status, version::timestamptz BETWEEN now() AND clock_timestamp() AS now
FROM occ.update('page', '[{"id":2,"updated_at":"2020-01-01Z","title":"two"},{"id":1,"updated_at":"2019-01-01Z","title":"one"}]');
ALTER TABLE page ALTER updated_at TYPE float8 USING CASE id WHEN 1 THEN float8 'NaN' ELSE 7 END;
SELECT key, status, version::float8 > 1e9 AS now
FROM occ.update('page', '[{"id":2,"updated_at":7,"title":"zwei"},{"id":1,"updated_at":1,"title":"eins"}]');
DROP TABLE page;

-- enforce => 'warn': stale rows are written with a warning, as everywhere; the caller's own conditions hold.
CREATE TABLE page (id int PRIMARY KEY, title text, version int NOT NULL DEFAULT 5);
INSERT INTO page VALUES (1, 'one'), (2, 'two'), (3, 'three');
SELECT occ.enable('page', preset => 'strict', enforce => 'warn');
SELECT * FROM occ.update('page', '[{"id":1,"version":1,"title":"eins"},{"id":2,"version":5,"title":"zwei"},{"id":9,"version":5,"title":"neun"}]');
SELECT * FROM occ.check('page', '[{"id":1,"version":1}]');
SELECT * FROM occ.touch('page', '[{"id":1,"version":1}]', 'skip');
SELECT * FROM occ.update_safely('page', '[{"id":1,"title":"uno"}]', '{"title":"un"}', '{title}');
SELECT * FROM occ.delete('page', '[{"id":1,"version":1}]');
DELETE FROM page WHERE id = 2;
SELECT * FROM page;

-- occ_lock.bypass and replication roles: the functions verify, and the guard lets pass what they state.
SELECT occ.enable('page');
SET occ_lock.bypass = on;
SELECT * FROM occ.update('page', '[{"id":3,"version":5,"title":"trois"}]');
SELECT * FROM occ.update('page', '[{"id":3,"version":4,"title":"quatre"}]');
RESET occ_lock.bypass;

-- A guard that is disabled would not move the version.
ALTER TABLE page DISABLE TRIGGER _occ_guard;
SELECT * FROM occ.update('page', '[{"id":3,"version":5,"title":"trois"}]');
SELECT * FROM occ.update_safely('page', '[{"id":3,"title":"trois"}]', '{"title":"three"}', '{title}');
ALTER TABLE page ENABLE ALWAYS TRIGGER _occ_guard;
SELECT * FROM occ.update('page', '[{"id":3,"version":5,"title":"trois"}]');
DROP TABLE page;
DROP FUNCTION each_function;
