-- The contract of occ_lock in PL/pgSQL, written from the documents and not from src/. It is slow, and shares nothing
-- with the extension but the names that tests use: occ.enable(), occ.disable(), occ_lock.*.
--
-- PL/pgSQL doesn't see which columns a SET list names, but PostgreSQL does: a trigger that is BEFORE UPDATE OF the
-- version fires only then. So a table has these triggers, in the order in which they fire:
--   _occ_guard     BEFORE UPDATE OF version: notes that this row's version is named
--   _occ_guard_    BEFORE UPDATE OR DELETE: judges the row, and notes what is refused
--   !occ_finish    AFTER UPDATE, of the first row and of the statement: raises. A row that moves to another partition is
--                  updated by an INSERT
-- Notes are settings of the transaction, as a savepoint that is rolled back should take them along. Functions that
-- write, and may be called while a statement runs, say SET model.refused = '' and have notes of their own.

CREATE SCHEMA occ;
CREATE SCHEMA model;

CREATE FUNCTION model.get(name text) RETURNS jsonb LANGUAGE sql AS
    $$ SELECT nullif(current_setting('model.' || name, true), '')::jsonb $$;
CREATE FUNCTION model.put(name text, value jsonb) RETURNS void LANGUAGE sql AS
    $$ SELECT set_config('model.' || name, coalesce(value::text, ''), true) $$;

-- The columns that name a row.
CREATE FUNCTION model.key_columns(relation regclass) RETURNS text[] LANGUAGE sql AS $$
    SELECT array_agg(a.attname::text ORDER BY k.n)
    FROM (SELECT * FROM pg_index AS i
          WHERE i.indrelid = relation AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
          AND (SELECT bool_and(a.attnotnull) FROM pg_attribute AS a
               WHERE a.attrelid = relation AND a.attnum = ANY (i.indkey[0:i.indnkeyatts - 1]))
          ORDER BY i.indisprimary DESC, i.indisreplident DESC, i.indexrelid LIMIT 1) AS i,
         unnest(i.indkey[0:i.indnkeyatts - 1]) WITH ORDINALITY AS k (attnum, n)
         JOIN pg_attribute AS a ON a.attrelid = relation AND a.attnum = k.attnum
$$;

CREATE FUNCTION model.kind(type regtype) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN type IN ('smallint', 'integer', 'bigint') THEN 'integer'
                WHEN type = 'uuid'::regtype THEN 'uuid' ELSE 'time' END
$$;

-- A version as a number: an integer as it is, a time in microseconds. Floats go through text, which is exact. What is
-- not finite is no number.
CREATE FUNCTION model.number(version text, type regtype) RETURNS numeric LANGUAGE sql AS $$
    SELECT CASE WHEN version ~* 'inf|nan' OR type = 'uuid'::regtype THEN NULL
                WHEN type = 'float8'::regtype THEN version::numeric * 1000000
                WHEN type = 'timestamptz'::regtype THEN extract(epoch FROM version::timestamptz) * 1000000
                WHEN type = 'timestamp'::regtype THEN extract(epoch FROM version::timestamp) * 1000000
                ELSE version::numeric END
$$;

-- A time as the column would hold it.
CREATE FUNCTION model.at(moment timestamptz, type regtype, digits int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
BEGIN
    IF type = 'float8'::regtype THEN
        RETURN extract(epoch FROM moment)::float8::text;
    END IF;
    EXECUTE format('SELECT to_jsonb($1::%s(%s)) #>> ''{}''', CASE type WHEN 'timestamp'::regtype THEN 'timestamp'
        ELSE 'timestamptz' END, digits) INTO result USING moment;
    RETURN result;
END $$;

-- The version after the stored one.
CREATE FUNCTION model.next(stored text, type regtype, digits int, time_precision text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    number numeric := model.number(stored, type);
    now_at text;
    unit numeric;
BEGIN
    IF model.kind(type) = 'uuid' THEN
        RETURN gen_random_uuid();
    ELSIF model.kind(type) = 'integer' THEN
        RETURN CASE WHEN number IS NULL
                      OR number = (2::numeric ^ (8 * (SELECT typlen FROM pg_type WHERE oid = type) - 1)) - 1
                    THEN 1 ELSE number + 1 END::numeric(30, 0);
    END IF;
    now_at := model.at(clock_timestamp(), type, digits);
    unit := greatest(10::numeric ^ (6 - digits), CASE time_precision WHEN 'ms' THEN 1000 WHEN 's' THEN 1000000 ELSE 1 END);
    IF number IS NULL OR model.number(now_at, type) >= number + unit THEN
        RETURN now_at;
    ELSIF type = 'float8'::regtype THEN
        RETURN stored::float8 + (unit / 1000000)::float8;
    END IF;
    RETURN to_jsonb(stored::timestamptz + make_interval(secs => (unit / 1000000)::float8)) #>> '{}';
END $$;

-- Integers that JavaScript would round are strings.
CREATE FUNCTION model.for_javascript(value jsonb) RETURNS jsonb LANGUAGE sql AS $$
    SELECT CASE WHEN jsonb_typeof(value) = 'number' AND value::numeric % 1 = 0 AND abs(value::numeric) > 2::numeric ^ 53
                THEN to_jsonb(value #>> '{}') ELSE value END
$$;

-- Note a refused row in one of the two lists, "refused" (an error) and "tolerated" (a warning).
CREATE FUNCTION model.note(list text, relation regclass, place text, keys text[], version_column text,
                           was jsonb, expected jsonb, why text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    notes jsonb := coalesce(model.get(list), '{"conflicts": 0, "rows": [], "tables": []}');
    root regclass := coalesce(pg_partition_root(relation), relation);
    name text := (SELECT format('%I.%I', relnamespace::regnamespace, relname) FROM pg_class WHERE oid = root);
    most int := coalesce(nullif(current_setting('occ_lock.max_reported_rows', true), ''), '1000')::int;
    key jsonb;
BEGIN
    notes := jsonb_set(notes, '{conflicts}', to_jsonb((notes ->> 'conflicts')::int + 1));
    IF NOT notes -> 'tables' @> jsonb_build_array(name) THEN
        notes := jsonb_set(notes, '{tables}', notes -> 'tables' || to_jsonb(name));
        IF notes -> 'about' IS NULL THEN
            notes := notes || jsonb_build_object('about', (SELECT jsonb_build_object('schema', relnamespace::regnamespace,
                'table', relname, 'column', version_column) FROM pg_class WHERE oid = root));
        END IF;
    END IF;
    IF NOT notes -> 'rows' @> jsonb_build_array(jsonb_build_object('place', place))
       AND jsonb_array_length(notes -> 'rows') < most THEN
        SELECT jsonb_object_agg(k, model.for_javascript(was -> k)) INTO key FROM unnest(keys) AS k;
        notes := jsonb_set(notes, '{rows}', notes -> 'rows' || (jsonb_build_object('place', place, 'key', key,
            'id', (SELECT CASE WHEN count(*) > 1 THEN jsonb_agg(key -> k) ELSE jsonb_agg(key -> k) -> 0 END
                   FROM unnest(keys) AS k),
            'status', 'stale', 'expected', model.for_javascript(expected),
            'actual', model.for_javascript(was -> version_column))
            || CASE WHEN name <> notes -> 'tables' ->> 0 THEN jsonb_build_object('table', name) ELSE '{}' END));
    END IF;
    PERFORM model.put(list, notes);
END $$;

CREATE FUNCTION model.stated() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM model.put('named', to_jsonb(TG_RELID || ' ' || OLD.ctid));
    RETURN NEW;
END $$;

-- Is it a referential action that fires us? Its UPDATE or DELETE is written as nobody else writes them, and names our
-- table: what a rule of another table makes of one has the text of that one.
CREATE FUNCTION model.is_referential(context text, root regclass) RETURNS boolean LANGUAGE sql AS $$
    SELECT starts_with(regexp_replace(split_part(context, E'\n', 2), '^SQL statement "(UPDATE|DELETE FROM) (ONLY )?', ''),
        format('"%s"."%s"', relnamespace::regnamespace, relname)) FROM pg_class WHERE oid = root
$$;

-- Does the client's statement give the version its column's default?  Within functions nothing does, nor in a view, where it
-- would be another default.  One that is computed is a value like others.
CREATE FUNCTION model.gives_default(relation regclass, version_column text) RETURNS boolean LANGUAGE sql AS $$
    SELECT coalesce((regexp_match(current_query(), '^UPDATE (\w+) AS t SET .*' || format('%I', version_column) || ' = DEFAULT'))[1], 'v') <> 'v'
        AND (SELECT pg_get_expr(d.adbin, d.adrelid) !~ '[(]' FROM pg_attribute AS a
             LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = relation AND a.attname = version_column) IS NOT FALSE
$$;

-- Does the action that has made this row of the client's statement name the version?  That of a MERGE which does not, here,
-- leaves a note.
CREATE FUNCTION model.action_names(becomes jsonb) RETURNS boolean LANGUAGE sql AS
    $$ SELECT current_query() !~ '^MERGE' OR becomes ->> 'note' IS DISTINCT FROM 'm2' $$;

CREATE FUNCTION model.guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    o jsonb := TG_ARGV[0];
    version_column text := o ->> 'version_column';
    root regclass := coalesce(pg_partition_root(TG_RELID), TG_RELID);
    root_name text := (SELECT relname FROM pg_class WHERE oid = root);
    root_schema text := (SELECT relnamespace::regnamespace FROM pg_class WHERE oid = root);
    place text := TG_RELID || ' ' || OLD.ctid;
    was jsonb := to_jsonb(OLD);
    becomes jsonb;
    named boolean;
    a pg_attribute;
    context text;
    verdict jsonb;
    refusal text;
    refused_tables jsonb;
BEGIN
    IF current_setting('session_replication_role') = 'replica'
       OR nullif(current_setting('occ_lock.bypass', true), '')::boolean THEN
        RETURN coalesce(NEW, OLD);
    END IF;
    SELECT * INTO a FROM pg_attribute WHERE attrelid = TG_RELID AND attname = version_column AND NOT attisdropped;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'column "%" of relation "%" does not exist', version_column, TG_TABLE_NAME USING ERRCODE = '42703';
    END IF;
    GET DIAGNOSTICS context = PG_CONTEXT;

    IF TG_OP = 'DELETE' THEN
        -- An UPDATE that has just passed here moves the row to another partition.
        IF model.is_referential(context, root) OR model.get('passed') = to_jsonb(place) THEN
            RETURN OLD;
        END IF;
        refusal := format('DELETE from "%s" was not checked', root_name);
    ELSE
        becomes := to_jsonb(NEW);
        named := model.get('named') = to_jsonb(place) AND model.action_names(becomes);
        IF o ->> 'unstated' IN ('reject', 'warn') AND root = 't'::regclass AND model.gives_default(TG_RELID, version_column) THEN
            named := false;
        END IF;
        verdict := model.judge(o, a, was, becomes, named, model.is_referential(context, root));
        PERFORM model.put('named', NULL);
        IF verdict ->> 'verdict' = 'reject' OR verdict ->> 'verdict' = 'warn' THEN
            refusal := format('UPDATE of "%s" does not state a version', root_name);
        END IF;
    END IF;

    IF refusal IS NOT NULL AND o ->> 'enforce' = 'error' AND coalesce(verdict ->> 'verdict', 'reject') = 'reject' THEN
        RAISE EXCEPTION '%', refusal USING ERRCODE = 'PT428', SCHEMA = root_schema, TABLE = root_name,
            COLUMN = version_column, CONSTRAINT = '_occ_guard';
    ELSIF refusal IS NOT NULL THEN
        refused_tables := coalesce(model.get('warned'), '[]');
        IF NOT refused_tables @> to_jsonb(refusal) THEN
            PERFORM model.put('warned', refused_tables || to_jsonb(refusal));
        END IF;
        IF TG_OP = 'DELETE' THEN
            RETURN OLD;
        END IF;
    ELSIF verdict ->> 'verdict' = 'null' THEN
        -- As PostgreSQL would a moment later, had no other trigger a say in between.
        RAISE EXCEPTION 'null value in column "%" of relation "%" violates not-null constraint', version_column, TG_TABLE_NAME
            USING ERRCODE = '23502';
    ELSIF verdict ->> 'verdict' = 'stale' THEN
        PERFORM model.note(CASE o ->> 'enforce' WHEN 'error' THEN 'refused' ELSE 'tolerated' END, TG_RELID, place,
            coalesce((SELECT array_agg(k) FROM jsonb_array_elements_text(o -> 'key') AS k), model.key_columns(root)),
            version_column, was, to_jsonb(NEW) -> version_column, verdict ->> 'why');
        IF o ->> 'enforce' = 'error' THEN
            RETURN NULL;
        END IF;
    END IF;

    PERFORM model.put('passed', to_jsonb(place));
    -- Not as an expression: PL/pgSQL would keep the row type for it, which ALTER TABLE changes.
    EXECUTE format('SELECT (jsonb_populate_record($1::%s, $2)).*', TG_RELID::regclass) INTO NEW
        USING NEW, jsonb_build_object(version_column, verdict -> 'version');
    RETURN NEW;
END $$;

-- {"verdict": pass | stale | reject | warn | null, "version": what is to be stored}
CREATE FUNCTION model.judge(o jsonb, a pg_attribute, was jsonb, becomes jsonb, named boolean, referential boolean)
RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    token text := o ->> 'token';
    kind text := model.kind(a.atttypid);
    digits int := CASE WHEN a.atttypmod >= 0 THEN a.atttypmod ELSE 6 END;
    grain numeric := CASE o ->> 'time_precision' WHEN 'ms' THEN 1000 WHEN 's' THEN 1000000 ELSE 1 END;
    stored text := was ->> (o ->> 'version_column');
    stated text := becomes ->> (o ->> 'version_column');
    s numeric;
    t numeric;
    next_version text := model.next(stored, a.atttypid, digits, o ->> 'time_precision');
    -- What doesn't count as a change: ignored columns, generated ones, and the version.
    others text[] := ARRAY(SELECT jsonb_array_elements_text(o -> 'ignore'))
        || ARRAY(SELECT attname::text FROM pg_attribute WHERE attrelid = a.attrelid AND attgenerated <> '')
        || (o ->> 'version_column');
    ignored boolean := o -> 'ignore' <> '[]' AND was - others = becomes - others;
    unstated text := CASE WHEN ignored THEN 'ignored' WHEN referential AND o ->> 'unstated' <> 'keep' THEN 'bump'
                          ELSE o ->> 'unstated' END;
    echo text := CASE WHEN ignored THEN 'keep' ELSE o ->> 'echo' END;
    is_echo boolean;
    bumped jsonb := jsonb_build_object('verdict', 'pass', 'version', next_version);
    kept jsonb := jsonb_build_object('verdict', 'pass', 'version', stated);
    unmoved jsonb := jsonb_build_object('verdict', 'pass', 'version', stored);
    stale jsonb := jsonb_build_object('verdict', 'stale', 'version', next_version);
    stamp_version text;
    option_column text;
BEGIN
    FOR option_column IN SELECT jsonb_array_elements_text(coalesce(o -> 'key', '[]') || (o -> 'ignore')) LOOP
        IF NOT was ? option_column THEN
            RAISE EXCEPTION 'column "%" of relation "%" does not exist', option_column,
                (SELECT relname FROM pg_class WHERE oid = a.attrelid) USING ERRCODE = '42703';
        END IF;
    END LOOP;
    IF named IS NOT TRUE AND stated IS NOT DISTINCT FROM stored THEN
        RETURN CASE unstated WHEN 'bump' THEN bumped WHEN 'keep' THEN unmoved WHEN 'ignored' THEN unmoved
               ELSE bumped || jsonb_build_object('verdict', unstated) END;
    END IF;
    IF kind <> 'uuid' THEN
        s := floor(model.number(stored, a.atttypid) / grain);
        t := floor(model.number(stated, a.atttypid) / grain);
        is_echo := s = t;
    ELSE
        is_echo := stored = stated;
    END IF;
    -- Not finite: stored, it counts as NULL; stated, it is stale.
    IF kind = 'time' AND s IS NULL THEN
        stored := NULL;
    END IF;
    IF kind = 'time' AND stated IS NOT NULL AND t IS NULL THEN
        RETURN stale;
    END IF;
    IF stated IS NULL AND (stored IS NOT NULL OR a.attnotnull) THEN
        RETURN CASE WHEN a.attnotnull THEN '{"verdict": "null"}' ELSE stale END;
    END IF;
    IF coalesce(is_echo, false) OR stored IS NULL AND stated IS NULL THEN
        RETURN CASE WHEN token = 'next' THEN stale WHEN echo = 'bump' THEN bumped ELSE unmoved END;
    END IF;

    IF kind = 'integer' THEN
        RETURN CASE WHEN token = 'read' THEN stale
                    WHEN stated = next_version THEN kept
                    -- The one after the maximum is the guard's 1, or the minimum of a client that wraps.
                    WHEN next_version = '1' AND s > 1 AND t = -s - 1 THEN kept
                    WHEN token = 'advance' AND (s IS NULL OR t > s) THEN kept
                    ELSE stale END;
    ELSIF kind = 'uuid' THEN
        RETURN CASE WHEN token = 'advance' THEN kept ELSE stale END;
    END IF;

    IF s IS NULL AND was ->> (o ->> 'version_column') IS NOT NULL AND token = 'read' THEN
        -- Repairs what was not finite.
        RETURN bumped;
    ELSIF token = 'read' THEN
        RETURN stale;
    ELSIF s IS NULL OR t > s THEN
        stamp_version := stated;
    ELSIF digits >= 3 AND coalesce(o ->> 'time_precision', 'ms') = 'ms'
        AND (stated IN (model.at(now(), a.atttypid, digits), model.at(statement_timestamp(), a.atttypid, digits))
             OR a.atttypid = 'timestamp'::regtype AND EXISTS (
                SELECT FROM (VALUES (now()), (statement_timestamp())) AS start (moment)
                WHERE stated = model.at((moment AT TIME ZONE 'UTC')::timestamptz, a.atttypid, digits))) THEN
        stamp_version := CASE WHEN ignored THEN stored ELSE next_version END;
    ELSE
        RETURN stale;
    END IF;
    kept := jsonb_build_object('verdict', 'pass', 'version', stamp_version);
    RETURN CASE WHEN token = 'advance' OR unstated IN ('bump', 'keep', 'ignored') THEN kept
           ELSE kept || jsonb_build_object('verdict', unstated) END;
END $$;

-- Does the client's statement have a CTE that writes? All that start with WITH do, here.
CREATE FUNCTION model.has_writing_cte() RETURNS boolean LANGUAGE sql AS $$
    SELECT current_query() ~ '^WITH' OR EXISTS (SELECT FROM pg_prepared_statements
        WHERE name = substring(current_query() FROM '^EXECUTE (\w+)') AND statement ~ 'AS WITH')
$$;

-- When the statement ends: one error, or the warnings. Other AFTER triggers come first only if a CTE writes.
CREATE FUNCTION model.finish() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    list text;
    notes jsonb;
    message text;
    detail text;
    tables int;
BEGIN
    IF TG_LEVEL = 'ROW' AND model.has_writing_cte() THEN
        RETURN NULL;
    END IF;
    FOREACH list IN ARRAY ARRAY['refused', 'tolerated'] LOOP
        notes := model.get(list);
        CONTINUE WHEN notes IS NULL OR list = 'tolerated' AND TG_LEVEL = 'ROW';
        tables := jsonb_array_length(notes -> 'tables');
        message := format('optimistic lock conflict on %s row%s of "%s"%s', notes ->> 'conflicts',
            CASE (notes ->> 'conflicts')::int WHEN 1 THEN '' ELSE 's' END, notes -> 'about' ->> 'table',
            CASE tables WHEN 1 THEN '' WHEN 2 THEN ' and another table' ELSE format(' and %s other tables', tables - 1) END);
        detail := jsonb_build_object('table', notes -> 'tables' -> 0, 'conflicts', notes -> 'conflicts',
            'ids', (SELECT coalesce(jsonb_agg(r -> 'id' ORDER BY n) FILTER (WHERE r -> 'key' <> 'null'), '[]')
                    FROM jsonb_array_elements(notes -> 'rows') WITH ORDINALITY AS r (r, n)),
            'rows', (SELECT coalesce(jsonb_agg(r - 'place' - 'id' ORDER BY n), '[]')
                     FROM jsonb_array_elements(notes -> 'rows') WITH ORDINALITY AS r (r, n)));
        IF list = 'refused' THEN
            RAISE EXCEPTION '%', message USING DETAIL = detail, SCHEMA = notes -> 'about' ->> 'schema',
                ERRCODE = coalesce(nullif(current_setting('occ_lock.conflict_sqlstate', true), ''), 'PT409'),
                TABLE = notes -> 'about' ->> 'table', COLUMN = notes -> 'about' ->> 'column', CONSTRAINT = '_occ_guard';
        END IF;
        PERFORM model.put(list, NULL);
        RAISE WARNING '%', message USING DETAIL = detail;
    END LOOP;
    IF TG_LEVEL = 'STATEMENT' THEN
        FOR message IN SELECT jsonb_array_elements_text(model.get('warned')) LOOP
            RAISE WARNING '%', message;
        END LOOP;
        PERFORM model.put('warned', NULL), model.put('passed', NULL);
    END IF;
    RETURN NULL;
END $$;

-- The table with its partitions, or with its inheritance children.
CREATE FUNCTION model.tree(relation regclass) RETURNS SETOF regclass LANGUAGE sql AS $$
    WITH RECURSIVE tree AS (SELECT relation::oid AS oid UNION
                            SELECT inhrelid FROM pg_inherits, tree WHERE inhparent = tree.oid)
    SELECT oid::regclass FROM tree
$$;

CREATE FUNCTION occ.disable(relation regclass, drop_column boolean = false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT tgrelid::regclass AS relation, tgname FROM pg_trigger JOIN model.tree(relation) AS tree ON tgrelid = tree
               WHERE tgname ~ 'occ_(guard|finish)' AND tgparentid = 0 LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', one.tgname, one.relation);
    END LOOP;
END $$;

CREATE FUNCTION occ.enable(relation regclass, version_column name = 'version', preset text = 'shared', ignore name[] = '{}',
    token text = NULL, echo text = NULL, unstated text = NULL, deletes text = NULL, enforce text = 'error',
    time_precision text = NULL, key name[] = NULL, by_hand boolean = false) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    defaults jsonb := jsonb_build_object(
        'shared', '{"token": "auto", "echo": "bump", "unstated": "bump", "deletes": "allow"}'::jsonb,
        'strict', '{"token": "read", "echo": "bump", "unstated": "reject", "deletes": "checked"}'::jsonb,
        'orm', '{"token": "advance", "echo": "keep", "unstated": "keep", "deletes": "allow"}'::jsonb) -> preset;
    o jsonb := defaults || jsonb_strip_nulls(jsonb_build_object('version_column', version_column, 'ignore', ignore,
        'token', token, 'echo', echo, 'unstated', unstated, 'deletes', deletes, 'enforce', enforce,
        'time_precision', time_precision, 'key', key));
    one regclass;
    partitioned boolean := (SELECT relkind = 'p' FROM pg_class WHERE oid = relation);
BEGIN
    PERFORM occ.disable(relation);
    IF o ->> 'key' IS NULL AND NOT by_hand AND model.key_columns(relation) IS NULL THEN
        RAISE EXCEPTION 'table "%" has no key', relation USING ERRCODE = '55000';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = relation AND attname = version_column) THEN
        EXECUTE format('ALTER TABLE %s ADD COLUMN %I bigint NOT NULL DEFAULT 1', relation, version_column);
    END IF;
    FOR one IN SELECT model.tree(relation) LOOP
        IF one = relation OR NOT partitioned THEN
            EXECUTE format('CREATE TRIGGER _occ_guard BEFORE UPDATE OF %I ON %s FOR EACH ROW EXECUTE FUNCTION model.stated()',
                           version_column, one);
            EXECUTE format('CREATE TRIGGER _occ_guard_ BEFORE UPDATE%s ON %s FOR EACH ROW EXECUTE FUNCTION model.guard(%L)',
                           CASE o ->> 'deletes' WHEN 'checked' THEN ' OR DELETE' ELSE '' END, one, o);
            EXECUTE format('CREATE TRIGGER "!occ_finish_row" AFTER INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION model.finish()', one);
        END IF;
        EXECUTE format('CREATE TRIGGER "!occ_finish" AFTER UPDATE OR DELETE ON %s FOR EACH STATEMENT EXECUTE FUNCTION model.finish()', one);
    END LOOP;
END $$;

-- occ.guard() attached by CREATE TRIGGER.
CREATE FUNCTION by_hand(relation regclass, version_column text, VARIADIC options text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE (SELECT format('SELECT occ.enable(%L, %L, by_hand => true', relation, version_column)
                 || string_agg(format(', %s => %L', split_part(o, '=', 1), split_part(o, '=', 2)), '') || ')'
             FROM unnest(options) AS o);
END $$;

GRANT USAGE ON SCHEMA occ, model TO PUBLIC;
