# The plans that a session keeps for batches follow what others and itself do to the table, and whose rights it uses;
# they use nothing that somebody has put into the search path.  A batch of any size is one SELECT and one UPDATE.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('batch_plans');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 2");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION occ_lock; CREATE ROLE clerk; CREATE ROLE mallory');

sub session
{
    my $session = $node->background_psql('postgres', on_error_stop => 0);
    $session->query('SET search_path = shop, public;');
    return $session;
}

# Run statements in a session.  Returns what they print, and their errors.
sub run_sql
{
    my ($session, $sql) = @_;
    $session->{stderr} = '';
    my $stdout = $session->query($sql);
    return join "\n", grep { $_ ne '' } $stdout, $session->{stderr};
}

# A new table for each story.
sub create_product
{
    $node->safe_psql(
        'postgres', q{
        SET client_min_messages = warning;
        DROP SCHEMA IF EXISTS shop, store CASCADE;
        CREATE SCHEMA shop;
        CREATE TABLE shop.product (id int PRIMARY KEY, name text, stock int, version bigint NOT NULL DEFAULT 1);
        SELECT occ.enable('shop.product');
        INSERT INTO shop.product VALUES (1, 'teapot', 10, 5), (2, 'cup', 20, 5)});
}

# Calls of all functions for all rows as they are, whatever columns they have.
my $rows = '(SELECT jsonb_agg(to_jsonb(p) ORDER BY p) FROM product AS p)';
my $calls = qq{
    SELECT status, version FROM occ.check('product', $rows);
    SELECT status, version FROM occ.update('product', $rows);
    SELECT status, version FROM occ.touch('product', $rows);
    SELECT status, version FROM occ.update_safely('product', $rows, '{"stock": 7}');
    SELECT status, version FROM occ.update_safely('product', $rows, '{"stock": 8}', '{stock}');
    BEGIN;
    SELECT status, version FROM occ.delete('product', $rows);
    ROLLBACK;};

# What they print for two rows with a version.
sub printed
{
    my ($version) = @_;
    my $line = "checked|$version\n" x 2;

    $line .= "updated|$_\n" x 2 foreach ($version + 1 .. $version + 4);
    return $line . "deleted|\ndeleted|";
}

# What becomes of a table, and what a call that fits it then says.
my $set = q{SELECT key, status, version FROM occ.update('product',};
my @cases = (
    [ 'ADD COLUMN', 'ALTER TABLE product ADD price numeric(8, 2)', 9,
        qq{$set '{"id": 1, "version": 13, "price": 1.005}'); SELECT price FROM product WHERE id = 1;},
        qq{{"id": 1}|updated|14\n1.01} ],
    [ 'DROP COLUMN', 'ALTER TABLE product DROP name', 9,
        qq{$set '{"id": 1, "version": 13, "name": "pot"}');},
        qr/ERROR:  column "name" of relation "product" does not exist/ ],
    [ 'DROP and ADD COLUMN', 'ALTER TABLE product DROP name, ADD name int', 9,
        qq{$set '{"id": 1, "version": 13, "name": "pot"}');},
        qr/ERROR:  invalid input syntax for type integer: "pot"/ ],
    [ 'RENAME COLUMN', 'ALTER TABLE product RENAME name TO title', 9,
        qq{$set '{"id": 1, "version": 13, "title": "pot"}'); SELECT title FROM product WHERE id = 1;},
        qq{{"id": 1}|updated|14\npot} ],
    [ 'columns that swap their names', 'ALTER TABLE product RENAME name TO n; ALTER TABLE product RENAME stock TO name;
        ALTER TABLE product RENAME n TO stock', 9,
        qq{$set '{"id": 1, "version": 13, "name": 3, "stock": "many"}'); SELECT * FROM product WHERE id = 1;},
        qq{{"id": 1}|updated|14\n1|many|3|14} ],
    [ 'int to bigint', 'ALTER TABLE product ALTER stock TYPE bigint', 9,
        qq{$set '{"id": 1, "version": 13, "stock": 3000000000}'); SELECT stock FROM product WHERE id = 1;},
        qq{{"id": 1}|updated|14\n3000000000} ],
    [ 'text to varchar(6)', 'ALTER TABLE product ALTER name TYPE varchar(6)', 9,
        qq{$set '{"id": 1, "version": 13, "name": "samovar"}');},
        qr/ERROR:  value too long for type character varying\(6\)/ ],
    [ 'int to text', 'ALTER TABLE product ALTER stock TYPE text', 9,
        qq{$set '{"id": 1, "version": 13, "stock": "many"}'); SELECT stock FROM product WHERE id = 1;},
        qq{{"id": 1}|updated|14\nmany} ],
    [ 'a key of type bigint', 'ALTER TABLE product ALTER id TYPE bigint; UPDATE product SET id = id + 3000000000', 10,
        qq{$set '{"id": 3000000001, "version": 14, "stock": 1}');}, qq{{"id": 3000000001}|updated|15} ],
    [ 'a key of type text', q{ALTER TABLE product ALTER id TYPE text USING 'no. ' || id}, 9,
        qq{$set '{"id": "no. 1", "version": 13, "stock": 1}');}, qq{{"id": "no. 1"}|updated|14} ],
    [ 'another primary key', 'ALTER TABLE product DROP CONSTRAINT product_pkey, ADD PRIMARY KEY (name)', 9,
        qq{$set '{"id": 7, "name": "cup", "version": 13}'); SELECT * FROM product WHERE name = 'cup';},
        qq{{"name": "cup"}|updated|14\n7|cup|8|14} ],
    [ 'a longer primary key', 'ALTER TABLE product DROP CONSTRAINT product_pkey, ADD PRIMARY KEY (name, id)', 9,
        qq{$set '{"id": 2, "name": "cup", "version": 13, "stock": 1}');}, qq{{"id": 2, "name": "cup"}|updated|14} ],
    [ 'no primary key', 'ALTER TABLE product DROP CONSTRAINT product_pkey', undef,
        qq{$set '{"id": 2, "version": 9}');}, qr/ERROR:  table "product" has no key/ ],
    [ 'a version of type int', 'ALTER TABLE product ALTER version TYPE int', 9,
        qq{$set '{"id": 2, "version": 13, "stock": 1}');}, qq{{"id": 2}|updated|14} ],
    [ 'a version of type uuid',
        'ALTER TABLE product DROP version, ADD version uuid NOT NULL DEFAULT gen_random_uuid()', undef,
        qq{SELECT status, version = (SELECT version::text FROM product WHERE id = 2) FROM occ.touch('product', $rows)
            WHERE key = '{"id": 2}'; SELECT DISTINCT status FROM occ.check('product', $rows);},
        qq{updated|f\nchecked} ],
    [ 'another version column', q{ALTER TABLE product ADD v int NOT NULL DEFAULT 9;
        SET client_min_messages = warning; SELECT occ.enable('product', 'v')}, 9,
        qq{$set '{"id": 2, "v": 13, "version": 3}'); SELECT version FROM product WHERE id = 2;},
        qq{{"id": 2}|updated|14\n3} ],
    [ 'DROP TABLE and another of that name', q{
        DROP TABLE product;
        CREATE TABLE product (stock numeric, name int, id text PRIMARY KEY, version int NOT NULL DEFAULT 9);
        INSERT INTO product VALUES (1.5, 7, 'pot'), (2.5, 8, 'cup'); SELECT occ.enable('product')}, 9,
        qq{$set '{"id": "pot", "version": 13, "name": 3, "stock": 4.5}'); SELECT * FROM product WHERE id = 'pot';},
        qq{{"id": "pot"}|updated|14\n4.5|3|pot|14} ],
    [ 'RENAME TO', 'ALTER TABLE product RENAME TO goods', undef,
        qq{$set '{"id": 2, "version": 9}');\n} . q{SELECT key, status, version FROM
            occ.update('goods', '{"id": 2, "version": 9, "stock": 1}');},
        qr/^\{"id": 2\}\|updated\|10\n.*ERROR:  relation "product" does not exist/s ],
    [ 'RENAME TO and another of that name', q{
        ALTER TABLE product RENAME TO goods;
        CREATE TABLE product (stock numeric, name int, id text PRIMARY KEY, version int NOT NULL DEFAULT 9);
        INSERT INTO product VALUES (1.5, 7, 'pot'), (2.5, 8, 'cup'); SELECT occ.enable('product')}, 9,
        q{SELECT key, status, version FROM occ.update('goods', '{"id": 2, "version": 9, "stock": 1}');
            SELECT * FROM product ORDER BY id; SELECT * FROM goods ORDER BY id;},
        qq{{"id": 2}|updated|10\n8|8|cup|13\n8|7|pot|13\n1|teapot|8|9\n2|cup|1|10} ],
    [ 'ALTER SCHEMA and another of that name', q{
        ALTER SCHEMA shop RENAME TO store;
        CREATE SCHEMA shop;
        CREATE TABLE shop.product (stock numeric, name int, id text PRIMARY KEY, version int NOT NULL DEFAULT 9);
        INSERT INTO shop.product VALUES (1.5, 7, 'pot'), (2.5, 8, 'cup'); SELECT occ.enable('shop.product')}, 9,
        q{SELECT key, status, version FROM occ.update('store.product', '{"id": 2, "version": 9, "stock": 1}');
            SELECT * FROM shop.product ORDER BY id; SELECT * FROM store.product ORDER BY id;},
        qq{{"id": 2}|updated|10\n8|8|cup|13\n8|7|pot|13\n1|teapot|8|9\n2|cup|1|10} ],
    [ 'SET SCHEMA', 'CREATE SCHEMA store; ALTER TABLE product SET SCHEMA store', undef,
        q{SELECT key, status, version FROM occ.update('store.product', '{"id": 2, "version": 9, "stock": 1}');},
        qq{{"id": 2}|updated|10} ],
    [ 'occ.disable()', q{SELECT occ.disable('product')}, undef,
        qq{SELECT status, version FROM occ.update_safely('product', $rows, '{"stock": 1}', '{name}');
            SELECT stock, version FROM product; $calls},
        qr/^updated\|\nupdated\|\n1\|9\n1\|9\n.*updated\|\nupdated\|\n.*ERROR:  table "product" is not guarded/s ],
    [ 'DROP EXTENSION and CREATE EXTENSION', q{SET client_min_messages = warning; DROP EXTENSION occ_lock CASCADE;
        CREATE EXTENSION occ_lock; SELECT occ.enable('product')}, 9,
        qq{$set '{"id": 1, "version": 13, "stock": 1}');}, qq{{"id": 1}|updated|14} ],
    [ 'CREATE INDEX, ANALYZE', 'CREATE INDEX ON product (stock); ANALYZE product', 9,
        qq{$set '{"id": 1, "version": 13, "stock": 1}');}, qq{{"id": 1}|updated|14} ]);

my ($alice, $bob) = (session(), session());
foreach my $ddl_session ($alice, $bob)
{
    my $who = $ddl_session == $bob ? 'in the same session' : 'in another session';

    foreach my $case (@cases)
    {
        my ($name, $change, $version, $call, $result) = @$case;

        create_product();
        is(run_sql($bob, $calls), printed(5), "before $name $who");
        unlike(run_sql($ddl_session, "$change;"), qr/ERROR/, '... which works');
        is(run_sql($bob, $calls), printed($version), '... all functions follow') if defined $version;
        my $got = run_sql($bob, $call);
        ref $result ? like($got, $result, '... down to the types') : is($got, $result, '... down to the types');
    }
}

# "char" without a length is char(1), and so with bit: a cast to it would find another row.
foreach my $case ([ 'char(4)', 'no.2', 'no.1' ], [ 'varchar(4)', 'no.2', 'no.1' ], [ 'bit(4)', '1000', '1001' ])
{
    my ($type, $there, $not_there) = @$case;

    create_product();
    run_sql(
        $alice, qq{
        CREATE DOMAIN word AS $type;
        DELETE FROM product WHERE id = 2;
        ALTER TABLE product ALTER id TYPE word USING '$there'::$type, ADD last $type DEFAULT '$there';});
    is( run_sql(
            $bob,
            qq{SELECT status FROM occ.update('product', '{"id": "$not_there", "version": 5, "stock": 0}', 'skip');
            SELECT status FROM occ.delete('product', '{"id": "$not_there", "version": 5}', 'skip');
            SELECT status FROM occ.touch('product', '{"id": "$there", "version": 5}');
            SELECT status FROM occ.update_safely('product', '{"id": "$there", "last": "$not_there"}', '{"stock": 1}',
                '{last}', 'skip');}),
        "missing\nmissing\nupdated\nstale", "a key that is a domain over $type");
}

# Temporary tables come and go, and all have one name.
foreach my $type ('int', 'text', 'numeric')
{
    is( run_sql(
            $bob, qq{
            SET client_min_messages = warning;
            BEGIN;
            CREATE TEMP TABLE product (id $type PRIMARY KEY, stock $type) ON COMMIT DROP;
            SELECT FROM occ.enable('product');
            INSERT INTO product VALUES (1, 2), (3, 4);
            SELECT status, version FROM occ.update('product', $rows);
            COMMIT;
            RESET client_min_messages;}),
        "updated|2\nupdated|2", "a temporary table with $type");
}
create_product();
run_sql($bob, $calls);
is(run_sql($bob, "DISCARD PLANS; $calls"), printed(9), 'DISCARD PLANS');
is(run_sql($bob, "DISCARD ALL; SET search_path = shop; $calls"), printed(13), 'DISCARD ALL');

# Rights are those of whoever calls, not of whoever called first.
sub as_clerk
{
    my ($sql) = @_;
    return run_sql($bob, "SET ROLE clerk; $sql RESET ROLE;");
}
create_product();
is(run_sql($bob, $calls), printed(5), 'rights: a superuser');
run_sql($alice, 'GRANT USAGE ON SCHEMA shop TO clerk; GRANT SELECT ON product TO clerk;');
my $denied = qr/ERROR:  permission denied for table product/;
my $update = q{SELECT key, status, version FROM occ.update('product', } . $rows . q{, 'skip');};
my $safely = qq{SELECT key, status, version
    FROM occ.update_safely('product', $rows, '{"stock": 1}', '{name}', 'skip');};
my $touch = qq{SELECT key, status, version FROM occ.touch('product', $rows, 'skip');};
my $delete = qq{SELECT key, status, version FROM occ.delete('product', $rows, 'skip');};
my $check = qq{SELECT key, status, version FROM occ.check('product', $rows, 'share');};
like(as_clerk($_), $denied, '... a role that may only read') foreach ($update, $safely, $touch, $delete, $check);
is(run_sql($bob, $calls), printed(9), '... the superuser again');
run_sql($alice, 'GRANT UPDATE (stock, version) ON product TO clerk;');
is(as_clerk($touch), qq{{"id": 1}|updated|14\n{"id": 2}|updated|14}, '... a role that may update the version');
is(as_clerk($safely), qq{{"id": 1}|updated|15\n{"id": 2}|updated|15}, '... and the stock');
like(as_clerk($update), $denied, '... but not the name');
like(as_clerk($delete), $denied, '... and may not delete');
run_sql($alice, 'REVOKE UPDATE (stock) ON product FROM clerk;');
like(as_clerk($safely), $denied, '... until it may no more');

# Rows that a policy hides are missing, whatever plan is there: here, the second one.
run_sql($alice, 'GRANT ALL ON product TO clerk;');
is(as_clerk($update), qq{{"id": 1}|updated|16\n{"id": 2}|updated|16}, 'policies: none');
run_sql(
    $alice, q{
    ALTER TABLE product ENABLE ROW LEVEL SECURITY;
    CREATE POLICY first ON product TO clerk USING (id = 1) WITH CHECK (id = 1 AND stock > 0);});
foreach my $case (
    [ 16, q{occ.check('product', ROWS)}, undef ],
    [ 16, q{occ.touch('product', ROWS)}, 'updated|17' ],
    [ 17, q{occ.update('product', ROWS)}, 'updated|18' ],
    [ 18, q{occ.update_safely('product', ROWS, '{"stock": 4}')}, 'updated|19' ],
    [ 19, q{occ.update_safely('product', ROWS, '{"stock": 4}', '{version}')}, 'updated|20' ],
    [ 20, q{occ.delete('product', ROWS)}, 'deleted|' ])
{
    my ($version, $call, $result) = @$case;
    my $two = qq{'[{"id": 2, "version": 16, "stock": 3}, {"id": 1, "version": $version, "stock": 3}]'};

    $call =~ s/ROWS/$two/;
    like(as_clerk("SELECT * FROM $call;"),
        qr/ERROR:  optimistic lock conflict on 1 row .*"key":\{"id":2\},"status":"missing"/s, "policies: $call");
    is(as_clerk('SELECT * FROM ' . $call =~ s/\)$/, on_conflict => 'skip')/r . ';'),
        qq{{"id": 2}|missing|\n{"id": 1}|$result}, '... skips it')
      if defined $result;
    is(run_sql($bob, 'SELECT id, version FROM product WHERE id = 2;'), '2|16', '... and it is as it was');
}
run_sql($bob, q{INSERT INTO product VALUES (1, 'pot', 10, 5);});
run_sql($alice, 'CREATE POLICY read ON product FOR SELECT TO clerk USING (true);');
is(as_clerk($touch), qq{{"id": 1}|updated|6\n{"id": 2}|missing|}, '... one that may be read, but not updated, is, too');
like(as_clerk(q{SELECT * FROM occ.update('product', '{"id": 1, "version": 6, "stock": 0}');}),
    qr/ERROR:  new row violates row-level security policy for table "product"/,
    '... what may not be written is refused');
like(as_clerk("SET row_security = off; $touch RESET row_security;"),
    qr/ERROR:  query would be affected by row-level security policy for table "product"/,
    '... as is row_security = off');
run_sql($alice, 'ALTER TABLE product DISABLE ROW LEVEL SECURITY;');
is(as_clerk($touch), qq{{"id": 1}|updated|7\n{"id": 2}|updated|17}, '... without policies, all is there again');

# What somebody has put in front of pg_catalog is not used.
my %key = (
    uuid => q{'00000000-0000-0000-0000-000000000001'},
    timestamptz => q{'2026-01-01'},
    map { $_ => q{'1'} } ('int', 'bigint', 'numeric', 'text', 'varchar', 'name', 'bool'));
my $body = q{LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION $$trapped$$; END'};
my $traps = '';
foreach my $type (grep { $_ ne 'varchar' } sort keys %key)
{
    $traps .= "CREATE FUNCTION evil.trap(a $type, b $type) RETURNS bool $body;\n";
    $traps .= "CREATE OPERATOR evil.$_ (LEFTARG = $type, RIGHTARG = $type, FUNCTION = evil.trap);\n"
      foreach ('=', '<>', '<', '<=', '>', '>=');
}
$node->safe_psql(
    'postgres', qq{
    CREATE SCHEMA evil AUTHORIZATION mallory;
    SET ROLE mallory;
    SET search_path = pg_catalog, evil;
    $traps
    CREATE FUNCTION evil.jsonb_to_record(jsonb) RETURNS record $body;
    CREATE DOMAIN evil.int4 AS text;
    CREATE DOMAIN evil.int8 AS text;
    CREATE DOMAIN evil.text AS text CHECK (false);
    CREATE TABLE evil.product (id int PRIMARY KEY, stock int, version int);
    CREATE TABLE evil.occ_rows (number bigint, k1 int, version int);
    CREATE TABLE evil.occ_changes (c1 int);
    GRANT ALL ON SCHEMA evil TO PUBLIC;
    GRANT ALL ON ALL TABLES IN SCHEMA evil TO PUBLIC;
});
my $victim = session();
run_sql($victim, 'SET search_path = evil, pg_catalog;');
like(run_sql($victim, "SELECT '1'::pg_catalog.$_ = '1'::pg_catalog.$_;"), qr/trapped/, "a trap for $_")
  foreach ('int4', 'text', 'numeric');
foreach my $type (sort keys %key)
{
    $node->safe_psql(
        'postgres', qq{
        SET client_min_messages = warning;
        DROP SCHEMA IF EXISTS shop CASCADE;
        CREATE SCHEMA shop;
        CREATE TABLE shop.product (id $type PRIMARY KEY, stock $type, version bigint NOT NULL DEFAULT 1);
        SELECT occ.enable('shop.product');
        INSERT INTO shop.product VALUES ($key{$type}, $key{$type})});
    my $calls_there = $calls =~ s/FROM product|'product'/$& =~ s,product,shop.product,r/ger;
    is(run_sql($victim, $calls_there =~ s/"stock": \d/"stock": null/gr),
        "checked|1\nupdated|2\nupdated|3\nupdated|4\nupdated|5\ndeleted|",
        "... a key and a lock field of type $type don't step into it");
}
is(run_sql($victim, 'TABLE evil.product; TABLE evil.occ_rows;'), '', '... nor is anything written elsewhere');
$_->quit foreach ($alice, $bob, $victim);

# A batch is few statements.
SKIP: {
    skip 'needs pg_stat_statements', 1
      if $node->safe_psql('postgres',
        q{SELECT count(*) FROM pg_available_extensions WHERE name = 'pg_stat_statements'}) eq '0';
    $node->append_conf('postgresql.conf',
        "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = all");
    $node->restart;
    create_product();
    $node->safe_psql('postgres', q{
        CREATE EXTENSION pg_stat_statements;
        TRUNCATE shop.product;
        INSERT INTO shop.product SELECT i, 'pot', i FROM generate_series(1, 1000) AS i});
    my $session = session();
    foreach my $case (
        [ q{occ.check('product', ROWS)}, 'SELECT 1 1000' ],
        [ q{occ.update('product', ROWS)}, 'UPDATE 1 1000' ],
        [ q{occ.update('product', ROWS, on_conflict => 'skip')}, 'SELECT 1 1000, UPDATE 1 1000' ],
        [ q{occ.update_safely('product', ROWS, '{"stock": 1}')}, 'UPDATE 1 1000' ],
        [ q{occ.update_safely('product', ROWS, '{"stock": 2}', '{name}')}, 'SELECT 1 1000, UPDATE 1 1000' ],
        [ q{occ.touch('product', ROWS)}, 'UPDATE 1 1000' ],
        [ q{occ.delete('product', ROWS)}, 'DELETE 1 1000, SELECT 1 1000' ])
    {
        my ($call, $statements) = @$case;

        run_sql($session, 'SELECT FROM pg_stat_statements_reset();');
        is(run_sql($session, 'SELECT count(*) FROM ' . $call =~ s/ROWS/$rows/r . ';'), '1000', "$call of 1000 rows");
        is( run_sql(
                $session,
                q{SELECT string_agg(format('%s %s %s', left(query, 6), calls, rows), ', ' ORDER BY query)
                FROM pg_stat_statements WHERE NOT toplevel;}),
            $statements, '... statements, how often they ran, and for how many rows');
    }
    $session->quit;
}

$node->stop;
done_testing();
