# Clients that pass a batch as a parameter: typed or not, as JSON or as text, in prepared statements of SQL and of the
# protocol.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('batch_parameters');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION occ_lock');

# A new table for each story.
sub create_product
{
    $node->safe_psql(
        'postgres', q{
        SET client_min_messages = warning;
        DROP TABLE IF EXISTS product;
        CREATE TABLE product (id int PRIMARY KEY, name text, stock bigint, version bigint NOT NULL DEFAULT 1);
        SELECT occ.enable('product');
        INSERT INTO product VALUES (1, 'teapot', 10), (2, 'cup', 20)});
}

# Run SQL in a new session.  Returns its output, or the error.
sub run_sql
{
    my ($sql) = @_;
    my ($status, $stdout, $stderr) = $node->psql('postgres', $sql);
    return $status == 0 ? $stdout : $stderr;
}

# The value is one that clients get wrong if they quote by hand, or count in floating point.
my $rows = q{'[{"id": 2, "version": VERSION, "name": "O''Reilly''s \"\\\\cup\\\\\"", "stock": 9007199254740993},
    {"id": 1, "version": "VERSION", "name": "{$1}", "stock": "3"}]'};
my $expected = q{'[{"id": 2, "version": VERSION}, {"id": 1, "version": "VERSION"}]'};
my $stored = qq{1|{\$1}|3|VERSION\n2|O'Reilly's "\\cup\\"|9007199254740993|VERSION};
my $table = 'SELECT * FROM product ORDER BY id;';

# A statement is prepared once and executed often, with plans for these parameters and with plans for any.
foreach my $mode ('auto', 'force_generic_plan', 'force_custom_plan')
{
    foreach my $case (
        # How it is prepared, and what it gets.
        [ q{AS SELECT * FROM occ.update('product', $1)}, 'ROWS' ],
        [ q{AS SELECT * FROM occ.update('product', $1, $2)}, q{ROWS, 'skip'} ],
        [ q{AS SELECT * FROM occ.update(on_conflict => $3, rows => $2, relation => $1)}, q{'product', ROWS, NULL} ],
        [ q{AS SELECT * FROM occ.update($2::regclass, $1::jsonb)}, q{ROWS, 'public.product'} ],
        [ q{(text) AS SELECT * FROM occ.update('product', $1::jsonb)}, 'ROWS' ],
        [ q{(json) AS SELECT * FROM occ.update('product', $1::jsonb)}, 'ROWS' ],
        [ q{(varchar, text, text) AS SELECT * FROM occ.update($1::regclass, $2::jsonb, $3)},
            q{'product', ROWS, 'error'} ],
        [ q{(text, jsonb) AS SELECT * FROM occ.update($1, $2)}, q{'product', ROWS} ],
        [ q{(regclass, jsonb) AS SELECT * FROM occ.update($1, $2)}, q{'product', ROWS} ],
        [ q{(oid, jsonb) AS SELECT * FROM occ.update($1, $2)}, q{'product'::regclass, ROWS} ])
    {
        my ($statement, $parameters) = @$case;
        my $executes = '';

        create_product();
        $executes .= 'EXECUTE p (' . $parameters =~ s/ROWS/$rows/r =~ s/VERSION/$_/gr . ');' foreach (1 .. 7);
        is( run_sql("SET plan_cache_mode = $mode; PREPARE p $statement; $executes"),
            join("\n", map { qq{{"id": 2}|updated|$_\n{"id": 1}|updated|$_} } 2 .. 8), "$mode: PREPARE p $statement");
        is(run_sql($table), $stored =~ s/VERSION/8/gr, '... writes what was given');
    }
}

# The others, with parameters of unknown type and with casts.
foreach my $case (
    [ q{AS SELECT * FROM occ.check('product', $1, $2)}, q{ROWS, 'share'}, 'checked|1' ],
    [ q{AS SELECT * FROM occ.check($1, $2)}, q{'product', ROWS}, 'checked|1' ],
    [ q{(text, text) AS SELECT * FROM occ.check($1::regclass, $2::jsonb)}, q{'product', ROWS}, 'checked|1' ],
    [ q{AS SELECT * FROM occ.touch($1, $2, $3)}, q{'product', ROWS, 'skip'}, 'updated|2' ],
    [ q{AS SELECT * FROM occ.update_safely('product', $1, $2)}, q{ROWS, '{"stock": 3}'}, 'updated|2' ],
    [ q{AS SELECT * FROM occ.update_safely('product', $1, $2, $3, $4)}, q{ROWS, '{"stock": 3}', '{version}', 'skip'},
        'updated|2' ],
    [ q{(text, text, text[]) AS SELECT * FROM occ.update_safely('product', $1::jsonb, $2::jsonb, $3)},
        q{ROWS, '{"stock": 3}', '{version}'}, 'updated|2' ],
    [ q{AS SELECT * FROM occ.update_safely($1, $2, $3, lock_fields => $4)}, q{'product', ROWS, '{"stock": 3}', NULL},
        'updated|2' ],
    [ q{AS SELECT * FROM occ.delete($1, $2, $3)}, q{'product', ROWS, 'error'}, 'deleted|' ])
{
    my ($statement, $parameters, $result) = @$case;

    create_product();
    is( run_sql("PREPARE p $statement; EXECUTE p ("
              . $parameters =~ s/ROWS/$expected/r =~ s/VERSION/1/gr . ');'),
        qq{{"id": 2}|$result\n{"id": 1}|$result}, "PREPARE p $statement");
}

# Without a cast, a text is no JSON, and PostgreSQL says so.
foreach my $case (
    [ 'text', q{occ.update('product', $1)}, 'occ.update(unknown, text)' ],
    [ 'varchar', q{occ.update('product'::regclass, $1, 'skip')}, 'occ.update(regclass, character varying, unknown)' ],
    [ 'json', q{occ.touch('product', $1)}, 'occ.touch(unknown, json)' ],
    [ 'text', q{occ.check('product', $1)}, 'occ.check(unknown, text)' ],
    [ 'text', q{occ.delete('product', $1)}, 'occ.delete(unknown, text)' ],
    [ 'text', q{occ.update_safely('product', '[]', $1)}, 'occ.update_safely(unknown, unknown, text)' ],
    [ 'varchar', q{occ.update($1, '[]')}, undef ])
{
    my ($type, $call, $function) = @$case;

    # ... but a name is a table, as a text and as a varchar.
    defined $function
      ? like(run_sql("PREPARE p ($type) AS SELECT * FROM $call;"),
        qr/ERROR:  function \Q$function\E does not exist\n.*HINT:  No function matches .* add explicit type casts/s,
        "$type: $call")
      : is(run_sql("PREPARE p ($type) AS SELECT * FROM $call; EXECUTE p ('product')"), '', "$type: $call");
}

# A parameter is looked at when the statement is executed.
create_product();
is( run_sql(
        q{PREPARE p AS SELECT * FROM occ.touch('product', $1); PREPARE q (regclass) AS SELECT * FROM occ.touch($1, $2);
        EXECUTE p ('{"id": 1, "version": 1}'); EXECUTE q ('product', '{"id": 1, "version": 2}');
        SET client_min_messages = warning;
        DROP TABLE product; CREATE TABLE product (id text PRIMARY KEY); INSERT INTO product VALUES ('pot');
        SELECT FROM occ.enable('product');
        EXECUTE p ('{"id": "pot", "version": 1}'); EXECUTE q ('product', '{"id": "pot", "version": 2}');}),
    qq{{"id": 1}|updated|2\n{"id": 1}|updated|3\n{"id": "pot"}|updated|2\n{"id": "pot"}|updated|3},
    'prepared before the table was made anew');
like(run_sql(q{PREPARE p AS SELECT * FROM occ.touch('product', $1); EXECUTE p ('[')}),
    qr/ERROR:  invalid input syntax for type json/, 'a parameter that is no JSON');
like(run_sql(q{PREPARE p AS SELECT * FROM occ.touch($1, '[]'); EXECUTE p ('nowhere')}),
    qr/ERROR:  relation "nowhere" does not exist/, '... or no table');
like(run_sql(q{PREPARE p AS SELECT * FROM occ.touch('product', $1); EXECUTE p (NULL)}),
    qr/ERROR:  "expected" is null/, '... or null');

# Other ways to call a function that returns rows.
create_product();
is(run_sql('SELECT occ.update(\'product\', ' . $rows =~ s/VERSION/1/gr . ');'),
    qq{("{""id"": 2}",updated,2)\n("{""id"": 1}",updated,2)}, 'in the SELECT list');
is( run_sql(q{SELECT number, r.* FROM (VALUES (1, '{"id": 1, "version": 2}'::jsonb), (2, '[]'),
        (3, '[{"id": 2, "version": 2}, {"id": 1, "version": 3}]')) AS b (number, batch),
        occ.touch('product', batch) AS r}),
    qq{1|{"id": 1}|updated|3\n3|{"id": 2}|updated|3\n3|{"id": 1}|updated|4}, 'once for each row of a query');
is( run_sql(q{BEGIN; DECLARE c CURSOR FOR
        SELECT * FROM occ.touch('product', '[{"id": 2, "version": 3}, {"id": 1, "version": 4}]');
        FETCH 1 FROM c; SELECT id, version FROM product ORDER BY 1; COMMIT;}),
    qq{{"id": 2}|updated|4\n1|5\n2|4}, 'through a cursor: all is done by the first row');
is( run_sql(q{SELECT key FROM occ.touch('product', '[{"id": 2, "version": 4}, {"id": 1, "version": 5}]') LIMIT 1;
        SELECT id, version FROM product ORDER BY 1}),
    qq{{"id": 2}\n1|6\n2|5}, '... and so with LIMIT');
is( run_sql(
        q{CREATE FUNCTION save(batch text) RETURNS TABLE (key jsonb, status text, version text) LANGUAGE sql AS
        'SELECT * FROM occ.touch(''product'', batch::jsonb)';
        CREATE FUNCTION save(which regclass, batch json) RETURNS TABLE (k jsonb, s text, v text) LANGUAGE plpgsql AS
        'BEGIN RETURN QUERY EXECUTE ''SELECT * FROM occ.touch($1, $2)'' USING which, batch::jsonb; END';
        SELECT * FROM save('{"id": 2, "version": 5}'); SELECT * FROM save('product', '{"id": 2, "version": 6}')}),
    qq{{"id": 2}|updated|6\n{"id": 2}|updated|7}, 'through functions');

# psql's own variables, and parameters of the protocol where psql has \bind.
create_product();
my $variable = $rows =~ s/VERSION/1/gr =~ s/\n//r =~ s/\\/\\\\/gr;
is(run_sql("\\set rows $variable\nSELECT * FROM occ.update('product', :'rows');\n$table"),
    qq{{"id": 2}|updated|2\n{"id": 1}|updated|2\n} . $stored =~ s/VERSION/2/gr, 'a variable of psql');
SKIP: {
    my ($version) = run_command([ 'psql', '--version' ]);
    skip 'needs \bind', 3 if $version =~ / (\d+)/ && $1 < 16;
    is(run_sql(q{SELECT * FROM occ.update('product', $1) \bind '{"id": 1, "version": 2, "stock": 4}' \g}),
        '{"id": 1}|updated|3', '\bind: unknown');
    is( run_sql(
            q{SELECT * FROM occ.update($1::regclass, $2::jsonb, $3) \bind product '{"id": 1, "version": 3}' skip \g}),
        '{"id": 1}|updated|4', '... with casts');
    like(run_sql(q{SELECT * FROM occ.update('product', $1::text) \bind '{"id": 1, "version": 3}' \g}),
        qr/function occ\.update\(unknown, text\) does not exist/, '... and with a wrong one');
}

# pgbench is a client of libpq that gives no types.
foreach my $mode ('extended', 'prepared')
{
    my $file = "$PostgreSQL::Test::Utils::tmp_check/script_$mode";

    create_product();
    append_to_file(
        $file, q{
        SELECT 'product' AS table, 'skip' AS mode, '{stock}' AS fields,
            jsonb_agg(to_jsonb(p) || '{"stock": 3}') AS rows FROM product AS p \gset
        SELECT 1 / (count(*) = 2)::int FROM occ.update('product', :rows) WHERE status = 'updated';
        SELECT jsonb_agg(to_jsonb(p)) AS rows, jsonb_build_object('stock', max(version)) AS changes
        FROM product AS p \gset
        SELECT 1 / (count(*) = 2)::int FROM occ.check(:table, :rows, 'share') WHERE status = 'checked';
        SELECT 1 / (count(*) = 2)::int FROM occ.update_safely(:table, :rows, :changes, :fields, :mode)
        WHERE status = 'updated';
        SELECT 1 / (count(*) = 2)::int FROM occ.update_safely(:table, :rows, :changes, NULL, :mode)
        WHERE status = 'stale';
        SELECT jsonb_agg(to_jsonb(p)) AS rows FROM product AS p \gset
        SELECT 1 / (count(*) = 2)::int FROM occ.touch(:table::regclass, :rows::jsonb, :mode::text)
        WHERE status = 'updated';
        });
    my ($stdout, $stderr) = run_command(
        [ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-M', $mode, '-t', 10, '-f', $file, 'postgres' ]);
    like($stdout, qr/^number of transactions actually processed: 10\/10$/m, "pgbench -M $mode") or diag $stderr;
    is(run_sql('SELECT stock, version FROM product'), "29|31\n29|31", '... writes what was given');
}

$node->stop;
done_testing();
