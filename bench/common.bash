# Sourced by the benchmarks: a cluster of their own, in the directory $dir, where they are then, and tables that keep a
# version in the way that $variant names.  Nothing here is guarded, locked or checked otherwise than the variant says.
#
#   hand            no trigger: the statement says version = version + 1
#   empty           a C++ trigger that does nothing: PostgreSQL's own share
#   guard, inline   the guard with occ_lock.inline off, and on
#   plpgsql         the guard's default, written in PL/pgSQL
#   transition      the same check after the statement, by transition tables
#   moddatetime     contrib's trigger, which stamps a time and checks nothing
#   suppress        suppress_redundant_updates_trigger(), which checks nothing either
#
# shellcheck shell=bash disable=SC2154

dir=$(mktemp -d)
pg_ctl=(pg_ctl -s -w -D "$dir/data")
trap '"${pg_ctl[@]}" stop -m immediate 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir" || exit

if ! initdb --no-sync --auth=trust --username=postgres --encoding=UTF8 --locale=C.UTF-8 -D data >initdb.log; then
    cat initdb.log >&2
    exit 1
fi
cat >>data/postgresql.conf <<END
listen_addresses = ''
unix_socket_directories = '$dir'
port = 5432
max_connections = 1000 # more room for what SERIALIZABLE has to remember
fsync = off
full_page_writes = off # what a row costs, not what a checkpoint does
max_wal_size = 16GB
checkpoint_timeout = 1d
autovacuum = off
jit = off
END
export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
unset PGOPTIONS

stop() { "${pg_ctl[@]}" stop; }

# SQL that is to run first, from standard input.
setup() { cat >>setup.sql; }

# Start the server and run that.
start() {
    echo 'VACUUM (FREEZE, ANALYZE);' | setup
    "${pg_ctl[@]}" start -l server.log || { cat server.log >&2; exit 1; }
    psql -Xq -v ON_ERROR_STOP=1 -f setup.sql >setup.log 2>&1 || { tail setup.log >&2; exit 1; }
    # By psql, because VACUUM does not write what is in the buffers.
    psql -Xqc CHECKPOINT
}

setup <<'SQL'
CREATE EXTENSION occ_lock;
SELECT 'CREATE EXTENSION moddatetime' FROM pg_available_extensions WHERE name = 'moddatetime' \gexec
CREATE FUNCTION empty_trigger() RETURNS trigger LANGUAGE c AS 'empty_trigger';

-- What one writes who has no extension: the guard's default preset, for one type of column and without its error's detail.
CREATE FUNCTION plpgsql_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.version = OLD.version THEN
        NEW.version := OLD.version + 1;
    ELSIF NEW.version <> OLD.version + 1 THEN
        RAISE EXCEPTION 'row % of "%" is stale', OLD.id, TG_TABLE_NAME USING ERRCODE = 'PT409';
    END IF;
    RETURN NEW;
END $$;

-- It can't write the version, only find out afterwards that it was not advanced.
CREATE FUNCTION plpgsql_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    stale int[];
BEGIN
    stale := ARRAY(SELECT id FROM old_rows JOIN new_rows USING (id) WHERE new_rows.version <> old_rows.version + 1);
    IF stale <> '{}' THEN
        RAISE EXCEPTION 'rows % of "%" are stale', stale, TG_TABLE_NAME USING ERRCODE = 'PT409';
    END IF;
    RETURN NULL;
END $$;
SQL

# table NAME ROWS [INDEXES COLUMNS PARTITIONS]: with the variant's trigger; the first index is the primary key, and columns are
# those beside the usual six.  With fillfactor=40, say, pages have room for an update of each row.
table() {
    local type='bigint NOT NULL DEFAULT 1' key='' with="WITH (fillfactor = ${fillfactor-100})" i
    [[ $variant != moddatetime ]] || type='timestamptz NOT NULL DEFAULT now()'
    {
        ((${5-0} == 0)) || with='PARTITION BY HASH (id)'
        [[ ${3-1} == 0 ]] || key='PRIMARY KEY'
        echo "CREATE TABLE $1 (id int $key, name text, price numeric, stock int, note text"
        for ((i = 1; i <= ${4-0}; i++)); do
            echo ", more$i int DEFAULT $i"
        done
        echo ", version $type) $with;"
        for ((i = 0; i < ${5-0}; i++)); do
            echo "CREATE TABLE ${1}_$i PARTITION OF $1 FOR VALUES WITH (MODULUS $5, REMAINDER $i);"
        done
        for ((i = 2; i <= ${3-1}; i++)); do
            echo "CREATE INDEX ON $1 (name, (id + $i));"
        done
        echo "INSERT INTO $1 SELECT i, 'name ' || i, i, i, 'a note about ' || i FROM generate_series(1, $2) AS i;"
        case $variant in
            guard | inline)
                if [[ $key ]]; then
                    echo "SELECT occ.enable('$1');"
                else
                    echo "CREATE TRIGGER _occ_guard BEFORE UPDATE ON $1 FOR EACH ROW EXECUTE FUNCTION occ.guard('version');"
                fi ;;
            empty) echo "CREATE TRIGGER t BEFORE UPDATE ON $1 FOR EACH ROW EXECUTE FUNCTION empty_trigger();" ;;
            plpgsql) echo "CREATE TRIGGER t BEFORE UPDATE ON $1 FOR EACH ROW EXECUTE FUNCTION plpgsql_guard();" ;;
            transition)
                echo "CREATE TRIGGER t AFTER UPDATE ON $1 REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows"
                echo "FOR EACH STATEMENT EXECUTE FUNCTION plpgsql_check();" ;;
            moddatetime)
                echo "CREATE TRIGGER t BEFORE UPDATE ON $1 FOR EACH ROW EXECUTE FUNCTION moddatetime('version');" ;;
            suppress)
                echo "CREATE TRIGGER t BEFORE UPDATE ON $1 FOR EACH ROW"
                echo "EXECUTE FUNCTION suppress_redundant_updates_trigger();" ;;
        esac
    } | setup
}

# update TABLE [VERSION]: the version advances in each variant; with VERSION because the statement states what was read.
update() {
    local set='stock = stock + 1'
    case $variant in
        hand | transition | suppress) set+=', version = version + 1' ;;
        *) [[ -z ${2-} ]] || set+=", version = $2" ;;
    esac
    echo "UPDATE $1 SET $set"
}
