-- Integer versions: what each token accepts, how the version moves, where it wraps.

CREATE TABLE t (id int PRIMARY KEY, note text, version bigint DEFAULT 1);

-- Guard t as told, set the stored version, run one UPDATE; what happened?
CREATE FUNCTION try(options text, stored bigint, set_list text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    SET LOCAL client_min_messages = warning;
    EXECUTE 'DROP TRIGGER IF EXISTS g ON t';
    RESET client_min_messages;
    DELETE FROM t;
    INSERT INTO t VALUES (1, 'old', stored);
    EXECUTE format('CREATE TRIGGER g BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION occ.guard(''version'', %s)', options);
    EXECUTE format('UPDATE t SET %s RETURNING coalesce(version::text, ''NULL'')', set_list) INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;

-- The table of the contract: rows are the stated version against a stored 5, columns the tokens.
SELECT stated,
       try($$'token=read'$$, 5, stated) AS read,
       try($$'token=next'$$, 5, stated) AS next,
       try($$'token=auto'$$, 5, stated) AS auto,
       try($$'token=advance'$$, 5, stated) AS advance
FROM (VALUES (1, 'note = ''new'''), (2, 'version = 5'), (3, 'version = 6'), (4, 'version = 7'),
             (5, 'version = 4'), (6, 'version = -5'), (7, 'version = NULL'),
             (8, 'version = version'), (9, 'version = version + 1')) AS s (n, stated)
ORDER BY n;

-- echo: what stating the stored version does.
SELECT token, try(format('%L, %L', 'token=' || token, 'echo=bump'), 5, 'version = 5') AS bump,
              try(format('%L, %L', 'token=' || token, 'echo=keep'), 5, 'version = 5') AS keep
FROM unnest('{read,next,auto,advance}'::text[]) AS token;

-- unstated: what stating none does.
SELECT unstated, try(format('%L', 'unstated=' || unstated), 5, 'note = ''new''')
FROM unnest('{bump,keep,warn,reject}'::text[]) AS unstated;

-- The presets.
SELECT preset,
       try(format('%L', 'preset=' || preset), 5, 'version = 5') AS "= stored",
       try(format('%L', 'preset=' || preset), 5, 'version = 6') AS "= next",
       try(format('%L', 'preset=' || preset), 5, 'version = 4') AS "lower",
       try(format('%L', 'preset=' || preset), 5, 'version = 9') AS "higher",
       try(format('%L', 'preset=' || preset), 5, 'note = ''new''') AS "no version"
FROM unnest('{shared,strict,orm}'::text[]) AS preset;

-- A single option overrides the preset, in whatever order they stand.
SELECT try($$'token=next', 'preset=strict'$$, 5, 'version = 6') AS token_overridden,
       try($$'unstated=bump', 'preset=strict'$$, 5, 'note = ''new''') AS unstated_overridden;

-- A stored NULL: equals a stated NULL, and 1 comes next.
SELECT stated,
       try($$'token=read'$$, NULL, stated) AS read,
       try($$'token=next'$$, NULL, stated) AS next,
       try($$'token=auto'$$, NULL, stated) AS auto,
       try($$'token=advance'$$, NULL, stated) AS advance
FROM (VALUES (1, 'note = ''new'''), (2, 'version = NULL'), (3, 'version = 1'), (4, 'version = 0'),
             (5, 'version = 7')) AS s (n, stated)
ORDER BY n;

-- Zero, negative and huge versions are versions like others.
SELECT stored, try($$'token=auto'$$, stored, 'note = ''new''') AS unstated,
       try($$'token=auto'$$, stored, format('version = %s', stored)) AS echoed
FROM unnest('{0,-1,-9223372036854775808,9007199254740993,9223372036854775806,9223372036854775807}'::bigint[]) AS stored;

-- After the maximum comes 1, which is then the next version, not a lower one.
SELECT try($$'token=next'$$, 9223372036854775807, 'version = 1') AS next,
       try($$'token=auto'$$, 9223372036854775807, 'version = 1') AS auto,
       try($$'token=read'$$, 9223372036854775807, 'version = 1') AS read;

-- smallint and integer wrap at their own maximum.
ALTER TABLE t ALTER COLUMN version TYPE smallint;
SELECT try($$'token=auto'$$, 32766, 'note = ''new''') AS before, try($$'token=auto'$$, 32767, 'note = ''new''') AS wrapped,
       try($$'token=next'$$, 32767, 'version = 1') AS next;
ALTER TABLE t ALTER COLUMN version TYPE integer;
SELECT try($$'token=auto'$$, 2147483646, 'note = ''new''') AS before, try($$'token=auto'$$, 2147483647, 'note = ''new''') AS wrapped,
       try($$'token=next'$$, 2147483647, 'version = 1') AS next;

-- A stated NULL where the column is NOT NULL: PostgreSQL's own error.
ALTER TABLE t ALTER COLUMN version SET NOT NULL;
SELECT try($$'token=auto'$$, 5, 'version = NULL') AS auto, try($$'token=advance'$$, 5, 'version = NULL') AS advance;

DROP TABLE t;
DROP FUNCTION try;

-- A client that counts by itself and wraps to the minimum, as Java does, goes on like any other.
CREATE TABLE w (id int PRIMARY KEY, s smallint, i integer, b bigint);
CREATE FUNCTION save(version text, options text, stated bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    EXECUTE format('CREATE OR REPLACE TRIGGER g BEFORE UPDATE ON w FOR EACH ROW EXECUTE FUNCTION occ.guard(%L, %L)', version, options);
    EXECUTE format('UPDATE w SET %1$s = %2$s RETURNING %1$s', version, stated) INTO result;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END $$;
INSERT INTO w VALUES (1, 32767, 2147483647, 9223372036854775807);
SELECT preset, save('s', preset, -32767) AS beyond, save('s', preset, 0) AS zero, save('s', preset, -32768) AS s,
       save('i', preset, -2147483648) AS i, save('b', preset, -9223372036854775808) AS b
FROM unnest('{preset=strict,preset=shared}'::text[]) AS preset;
SELECT save('s', 'preset=shared', -32767) AS next, save('s', 'preset=shared', 32767) AS back, save('s', 'preset=shared', -32767) AS echo, * FROM w;
DROP TRIGGER g ON w;
UPDATE w SET s = 32767, i = 2147483647;
SELECT token, save('i', token, -2147483648) AS next FROM unnest('{token=next,token=advance}'::text[]) AS token;
SELECT save('s', 'token=advance', -32768) AS wrapped, save('s', 'token=advance', -5) AS ahead;
DROP TABLE w;
DROP FUNCTION save;
