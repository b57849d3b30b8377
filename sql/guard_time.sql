-- Times as versions: they always advance, a client's clock is not a version, typmods and
-- time_precision.  Exact times can't be expected, so each test says how the new one relates.

CREATE TABLE t (id int PRIMARY KEY, note text, at timestamptz);

-- Guard t, set the stored version, run one UPDATE; how does the new version relate?
CREATE FUNCTION try(options text, stored text, set_list text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    before t;
    after t;
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE 'DROP TRIGGER IF EXISTS g ON t';
    RESET client_min_messages;
    DELETE FROM t;
    EXECUTE format('INSERT INTO t VALUES (1, ''old'', %s) RETURNING *', stored) INTO before;
    EXECUTE format('CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard(''at'', %s)', options);
    EXECUTE format('UPDATE t SET %s RETURNING *', set_list) INTO after;
    RETURN CASE WHEN after.at IS NOT DISTINCT FROM before.at THEN 'kept'
                WHEN before.at IS NULL OR NOT isfinite(before.at)
                    THEN CASE WHEN after.at = now() THEN 'now()' WHEN after.at <= clock_timestamp() THEN 'clock' ELSE 'stated' END
                WHEN after.at = before.at + interval '1 us' THEN '+ 1 us'
                WHEN after.at = before.at + interval '1 ms' THEN '+ 1 ms'
                WHEN after.at = before.at + interval '1 s' THEN '+ 1 s'
                WHEN after.at < before.at THEN 'went back'
                WHEN after.at = now() THEN 'now()'
                WHEN after.at <= clock_timestamp() THEN 'clock'
                ELSE 'stated' END;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;

-- Stored: some past time.
SELECT stated,
       try($$'token=read'$$, '''2020-02-02 02:02:02.123456+00''', stated) AS read,
       try($$'token=auto'$$, '''2020-02-02 02:02:02.123456+00''', stated) AS auto,
       try($$'token=advance'$$, '''2020-02-02 02:02:02.123456+00''', stated) AS advance
FROM (VALUES (1, 'note = ''new'''), (2, 'at = ''2020-02-02 02:02:02.123456+00'''),
             (3, 'at = ''2020-02-02 02:02:02.123455+00'''), (4, 'at = now()'),
             (5, 'at = statement_timestamp()'), (6, 'at = clock_timestamp()'), (7, 'at = ''2999-01-01'''),
             (8, 'at = NULL'), (9, 'at = ''infinity'''), (10, 'at = ''-infinity''')) AS s (n, stated)
ORDER BY n;

-- Stored: a time ahead of the clock.  It still advances, and now() is still a stamp, though lower.
SELECT stated,
       try($$'token=read'$$, '''2999-01-01''', stated) AS read,
       try($$'token=auto'$$, '''2999-01-01''', stated) AS auto,
       try($$'token=advance'$$, '''2999-01-01''', stated) AS advance
FROM (VALUES (1, 'note = ''new'''), (2, 'at = ''2999-01-01'''), (3, 'at = now()'),
             (4, 'at = statement_timestamp()'), (5, 'at = clock_timestamp()')) AS s (n, stated)
ORDER BY n;

-- A clock stamp counts as unstated under auto.
SELECT unstated, try(format('%L', 'unstated=' || unstated), '''2020-02-02''', 'at = now()') AS stamp,
       try(format('%L', 'unstated=' || unstated), '''2999-01-01''', 'at = now()') AS late_stamp,
       try(format('%L', 'unstated=' || unstated), '''2020-02-02''', 'note = ''new''') AS unstated
FROM unnest('{bump,keep,warn,reject}'::text[]) AS unstated;

-- A second stamp in one transaction is no conflict, and the version advances each time.
CREATE TRIGGER g2 BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('at');
DROP TRIGGER g ON t;
BEGIN;
UPDATE t SET at = now() RETURNING at = now() AS stamped;
UPDATE t SET at = now() RETURNING at > now() AS advanced;
UPDATE t SET at = now() RETURNING at > now() AS advanced;
SELECT at AS read FROM t \gset
UPDATE t SET at = :'read' RETURNING at > :'read' AS advanced;
\set VERBOSITY sqlstate
UPDATE t SET at = :'read';
\set VERBOSITY default
ROLLBACK;
DROP TRIGGER g2 ON t;

-- NULL, NaN and infinity stored: their owner can repair them.
SELECT stored,
       try($$'token=read'$$, stored, 'at = NULL') AS "NULL",
       try($$'token=auto'$$, stored, 'note = ''new''') AS unstated,
       try($$'token=auto'$$, stored, 'at = now()') AS stamp,
       try($$'token=read'$$, stored, 'at = now()') AS "stamp, read",
       try($$'token=advance'$$, stored, 'at = ''2999-01-01''') AS "future, advance",
       try($$'token=auto'$$, stored, 'at = ''infinity''') AS infinity
FROM unnest('{"NULL",''infinity'',''-infinity''}'::text[]) AS stored;

-- Where the column is NOT NULL, any stated time repairs an infinite one, also under strict.
ALTER TABLE t ALTER COLUMN at SET NOT NULL;
SELECT stated, try($$'preset=strict'$$, '''infinity''', stated)
FROM (VALUES (1, 'at = NULL'), (2, 'at = ''infinity'''), (3, 'at = ''2020-01-01'''), (4, 'at = now()'), (5, 'note = ''new''')) AS s (n, stated)
ORDER BY n;
ALTER TABLE t ALTER COLUMN at DROP NOT NULL;

-- The end of time.
BEGIN;
CREATE TEMP TABLE last (id int PRIMARY KEY, at timestamptz);
INSERT INTO last VALUES (1, '294276-12-31 23:59:59.999999+00');
SELECT occ.enable('last', 'at');
UPDATE last SET id = 1 RETURNING clock_timestamp() - at < interval '1 minute' AS "the clock again";
ROLLBACK;

-- A token that a client can't know, and an unknown precision.
SELECT try($$'token=next'$$, '''2020-02-02''', 'note = ''new''') AS next;

-- time_precision: clients that drop digits.
SELECT precision,
       try(format('''token=read'', %L', 'time_precision=' || precision), '''2999-01-01 00:00:00.123456+00''', 'at = ''2999-01-01 00:00:00.123456+00''') AS us,
       try(format('''token=read'', %L', 'time_precision=' || precision), '''2999-01-01 00:00:00.123456+00''', 'at = ''2999-01-01 00:00:00.123+00''') AS ms,
       try(format('''token=read'', %L', 'time_precision=' || precision), '''2999-01-01 00:00:00.123456+00''', 'at = ''2999-01-01 00:00:00+00''') AS s,
       try(format('''token=read'', %L', 'time_precision=' || precision), '''2999-01-01 00:00:00.123456+00''', 'at = ''2999-01-01 00:00:00.122999+00''') AS earlier,
       try(format('''token=read'', ''echo=keep'', %L', 'time_precision=' || precision), '''2999-01-01 00:00:00.123456+00''', 'at = ''2999-01-01 00:00:00.123+00''') AS "ms, echo=keep"
FROM unnest('{us,ms,s}'::text[]) AS precision;

-- Within a second an echo looks the same as a stamp, so now() is none there.
SELECT try($$'time_precision=ms'$$, '''2999-01-01''', 'at = now()') AS ms,
       try($$'time_precision=s'$$, '''2999-01-01''', 'at = now()') AS s;

-- The typmod is the unit.
ALTER TABLE t ALTER COLUMN at TYPE timestamptz(3);
SELECT try($$'token=auto'$$, '''2999-01-01''', 'note = ''new''') AS unit,
       try($$'token=auto'$$, '''2999-01-01''', 'at = now()') AS rounded_stamp,
       try($$'token=auto'$$, '''2020-01-01''', 'note = ''new''') AS clock;
SELECT at = date_trunc('milliseconds', at) AS fits FROM t;
ALTER TABLE t ALTER COLUMN at TYPE timestamptz(0);
SELECT try($$'token=auto'$$, '''2999-01-01''', 'note = ''new''') AS unit,
       try($$'token=auto'$$, '''2999-01-01''', 'at = now()') AS no_stamp;

-- timestamp goes by the session's zone, as LOCALTIMESTAMP does.
ALTER TABLE t ALTER COLUMN at TYPE timestamp;
\c -
SET timezone = 'Asia/Kolkata';
SELECT try($$'token=auto'$$, '''2020-01-01''', 'note = ''new''') AS clock,
       try($$'token=auto'$$, '''2020-01-01''', 'at = localtimestamp') AS stamp,
       try($$'token=auto'$$, '''2999-01-01''', 'at = localtimestamp') AS late_stamp;
DROP TRIGGER g ON t;
UPDATE t SET at = '2020-01-01';
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('at');
UPDATE t SET note = 'new' RETURNING localtimestamp - at < interval '1 minute' AS local;
RESET timezone;
-- A zone change that sets the local clock back does not set the version back.
SELECT at AS read FROM t \gset
SET timezone = 'America/Los_Angeles';
UPDATE t SET note = 'newer' RETURNING at = timestamp :'read' + interval '1 us' AS advanced;
RESET timezone;
-- Who stamps UTC, in a session of another zone, is behind what the guard has stored.  His now() is a stamp all the same; a
-- clock of his own can't be told from a time that was read: occ.enable() warns.
DROP TRIGGER g ON t;
SELECT occ.enable('t', 'at');
SELECT occ.disable('t');
SET timezone = 'Asia/Kolkata';
SELECT preset, try(format('%L', 'preset=' || preset), $$'2020-01-01'$$, $$note = 'new'$$) AS clock,
       try(format('%L', 'preset=' || preset), $$localtimestamp + interval '1 h'$$, $$at = now() AT TIME ZONE 'UTC'$$) AS start,
       try(format('%L', 'preset=' || preset), $$localtimestamp + interval '1 h'$$, $$at = statement_timestamp() AT TIME ZONE 'UTC'$$) AS statement,
       try(format('%L', 'preset=' || preset), $$localtimestamp + interval '1 h'$$, $$at = clock_timestamp() AT TIME ZONE 'UTC'$$) AS own_clock
FROM unnest('{shared,orm,strict}'::text[]) AS preset;
SET timezone = 'America/Los_Angeles';
SELECT try($$'preset=shared'$$, 'localtimestamp', $$at = now() AT TIME ZONE 'UTC'$$) AS start,
       try($$'preset=shared'$$, 'localtimestamp', $$at = clock_timestamp() AT TIME ZONE 'UTC'$$) AS own_clock;
RESET timezone;
DROP TABLE t;
DROP FUNCTION try;

-- double precision: seconds since 1970.
CREATE TABLE e (id int PRIMARY KEY, note text, at float8);
SELECT occ.enable('e', 'at');
INSERT INTO e VALUES (1, 'past', 1600000000.123456), (2, 'future', 4102444800.5), (3, 'null', NULL),
                     (4, 'nan', 'NaN'), (5, 'infinity', 'infinity'), (6, 'negative', -1.5), (7, 'huge', 1e300);
UPDATE e SET note = note RETURNING id, note, CASE WHEN abs(at - extract(epoch FROM clock_timestamp())) < 60 THEN 'clock' ELSE at::text END AS at;
UPDATE e SET at = 4102444800.5 WHERE id = 2;
UPDATE e SET at = 4102444800.500001, note = 'echo' WHERE id = 2 RETURNING at;
UPDATE e SET at = extract(epoch FROM now()) WHERE id = 2 RETURNING at;
BEGIN;
UPDATE e SET at = extract(epoch FROM now()) WHERE id = 1 RETURNING at = extract(epoch FROM now())::float8 AS stamped;
UPDATE e SET at = extract(epoch FROM now()) WHERE id = 1 RETURNING at > extract(epoch FROM now())::float8 AS advanced;
ROLLBACK;
UPDATE e SET at = 'NaN' WHERE id = 2;
UPDATE e SET at = 'infinity' WHERE id = 2;
SELECT occ.enable('e', 'at', token => 'read', time_precision => 'ms');
UPDATE e SET at = 4102444800.6 WHERE id = 2;
UPDATE e SET at = 4102444800.500 WHERE id = 2 RETURNING at;
DROP TABLE e;

-- A clock of whole seconds, as some ORMs have one, can't tell apart two updates within a second: what it stamps may as well be what
-- another client has read.  Refused, and the hint says what to do; under orm, where the guard adds nothing to the clock, it is an echo.
CREATE TABLE s (id int PRIMARY KEY, note text, at timestamptz, e float8);
INSERT INTO s VALUES (1, 'stored within the second', '2026-01-01 12:00:00.6+00', 1767268800.6), (2, 'at its end', '2026-01-01 12:00:01+00', 1767268801),
                     (3, 'later', '2026-01-01 12:00:01.1+00', 1767268801.1);
CREATE FUNCTION hint(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    hint text;
BEGIN
    EXECUTE statement;
    RETURN 'passed';
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    RETURN CASE WHEN hint ~ 'whole seconds' THEN 'seconds' ELSE 'read again' END;
END $$;
SELECT occ.enable('s', 'at');
SELECT id, hint(format('UPDATE s SET at = ''2026-01-01 12:00:00+00'' WHERE id = %s', id)), hint(format('UPDATE s SET at = ''2026-01-01 12:00:00.1+00'' WHERE id = %s', id)) AS finer FROM s ORDER BY id;
UPDATE s SET at = '2026-01-01 12:00:00+00' WHERE id = 1;
SELECT occ.enable('s', 'at', preset => 'strict');
SELECT hint('UPDATE s SET at = ''2026-01-01 12:00:00+00'' WHERE id = 1');
SELECT occ.disable('s');
SELECT occ.enable('s', 'e');
SELECT id, hint(format('UPDATE s SET e = 1767268800 WHERE id = %s', id)), hint(format('UPDATE s SET e = 1767268800.1 WHERE id = %s', id)) AS finer FROM s ORDER BY id;
SELECT occ.disable('s');
ALTER TABLE s ALTER COLUMN at TYPE timestamptz(0);
UPDATE s SET at = '2026-01-01 12:00:00+00';
SELECT occ.enable('s', 'at', preset => 'orm');
UPDATE s SET note = 'saved', at = '2026-01-01 12:00:00+00' WHERE id = 1;
UPDATE s SET note = 'saved', at = '2026-01-01 12:00:00+00' WHERE id = 1;
SELECT note, at = '2026-01-01 12:00:00+00' AS unmoved FROM s WHERE id = 1;
DROP TABLE s;
DROP FUNCTION hint;
