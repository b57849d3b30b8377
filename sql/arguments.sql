-- Guards attached by hand: their arguments, and triggers that the guard refuses to be.

CREATE TABLE t (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 1);
INSERT INTO t VALUES (1, 'one');

-- Attach a guard with those arguments and update; what does it say?
CREATE FUNCTION attach(arguments text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE format('CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard(%s)', arguments);
    UPDATE t SET note = 'new';
    RAISE SQLSTATE 'OK000';
EXCEPTION
    WHEN SQLSTATE 'OK000' THEN
        RETURN 'fine';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
        RETURN concat_ws(E'\n', sqlstate || ' ' || sqlerrm, nullif(detail, ''), hint);
END $$;

SELECT arguments, attach(arguments)
FROM unnest(ARRAY[
    $$$$,
    $$'version'$$,
    $$version$$,
    $$'version', 'token=next', 'echo=keep', 'unstated=keep', 'deletes=allow', 'enforce=warn', 'key={id}', 'ignore={note}', 'preset=orm'$$,
    $$'version', 'ignore={}'$$,
    $$'version', 'ignore={ note , "id" }'$$,
    $$''$$,
    $$'nothing'$$,
    $$'Version'$$,
    $$'note'$$,
    $$'version', 'token'$$,
    $$'version', ''$$,
    $$'version', '='$$,
    $$'version', 'tokens=next'$$,
    $$'version', 'Token=next'$$,
    $$'version', 'token=next', 'token=next'$$,
    $$'version', 'preset=orm', 'preset=orm'$$,
    $$'version', 'token=latest'$$,
    $$'version', 'token='$$,
    $$'version', 'token = next'$$,
    $$'version', 'deletes=never'$$,
    $$'version', 'time_precision=ms'$$,
    $$'version', 'ignore=note'$$,
    $$'version', 'ignore={note'$$,
    $$'version', 'ignore={note}}'$$,
    $$'version', 'ignore={note,}'$$,
    $$'version', 'ignore={"note}'$$,
    $$'version', 'ignore={nothing}'$$,
    $$'version', 'key={id,nothing}'$$,
    $$'version', 'key={a123456789b123456789c123456789d123456789e123456789f123456789abcd}'$$,
    $$'version', 'preset=shared', 'token=auto', 'echo=bump', 'unstated=bump', 'deletes=allow', 'enforce=error', 'time_precision=us', 'key={id}', 'ignore={}', 'token=auto', 'echo=bump'$$,
    $$version, 5$$
]) WITH ORDINALITY AS a (arguments, n)
ORDER BY n \gx

-- Broken arguments do not break the view; it shows nothing of them.
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version', 'token=latest');
SELECT * FROM occ.tables \gx
DROP TRIGGER g ON t;

-- The function behind the view takes any bytes.
SELECT * FROM occ.guard_options('t'::regclass, '') \gx
SELECT (occ.guard_options('t'::regclass, b)).*
FROM unnest(ARRAY['\x00', '\x61', '\x610062', '\x6100746f6b656e3d6e65787400', '\x610069676e6f72653d7b22', '\xff00fe3d00',
                  decode(repeat('7800', 100), 'hex'), decode(repeat('78', 10000), 'hex')]::bytea[]) AS b;
SELECT version_column, token, key_columns FROM occ.guard_options(0, 'version\000token=next\000');
SELECT occ.guard_options(NULL, NULL);
SELECT length(version_column::text), octet_length(version_column::text)
FROM occ.guard_options(0, convert_to('bb' || repeat('é', 40), 'UTF8') || '\x00');

-- Triggers of another kind.
CREATE VIEW v AS SELECT * FROM t;
CREATE TRIGGER g AFTER UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = 'x';
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = 'x';
DROP TRIGGER g ON t;
CREATE TRIGGER g AFTER UPDATE ON t FOR EACH STATEMENT EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = 'x';
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE INSERT OR UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
INSERT INTO t VALUES (2, 'two');
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE DELETE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
DELETE FROM t;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE TRUNCATE ON t FOR EACH STATEMENT EXECUTE FUNCTION occ.guard('version');
TRUNCATE t;
DROP TRIGGER g ON t;
CREATE CONSTRAINT TRIGGER g AFTER UPDATE ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = 'x';
DROP TRIGGER g ON t;
CREATE TRIGGER g INSTEAD OF UPDATE ON v FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
UPDATE v SET note = 'x';
DROP VIEW v;
SELECT note FROM t;

-- Two guards on one table.
CREATE TRIGGER one BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
CREATE TRIGGER two BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = 'x';
SELECT occ.enable('t');
SELECT occ.disable('t');
ALTER TABLE t DISABLE TRIGGER two;
UPDATE t SET note = 'one guard' RETURNING version;
DROP TRIGGER one ON t;
DROP TRIGGER two ON t;

-- A guard with a column list or a condition fires only then: that is its owner's choice.
CREATE TRIGGER g BEFORE UPDATE OF version ON t FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = 'unseen' RETURNING version;
UPDATE t SET note = 'seen', version = 2 RETURNING version;
UPDATE t SET note = 'seen', version = 2 RETURNING version;
DROP TRIGGER g ON t;
CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW WHEN (OLD.note IS DISTINCT FROM NEW.note) EXECUTE FUNCTION occ.guard('version');
UPDATE t SET note = note RETURNING version;
UPDATE t SET note = 'new' RETURNING version;
UPDATE t SET note = 'newer', version = 3 RETURNING version;
-- occ.enable() makes it fire on every update.
ALTER TRIGGER g ON t RENAME TO _occ_guard;
SELECT occ.enable('t');
UPDATE t SET note = note RETURNING version;
SELECT occ.enable('t');
DROP TABLE t;
DROP FUNCTION attach;
