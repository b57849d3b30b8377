# Batches for tables on another server: the rows that are named are locked there, and no others; conflicts come out as
# they do for tables that are here, and those that the other server's guard finds come through.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($here, $there) = map { PostgreSQL::Test::Cluster->new($_) } ('here', 'there');
foreach my $node ($here, $there)
{
    $node->init;
    $node->append_conf('postgresql.conf', 'fsync = off');
    $node->start;
    $node->safe_psql('postgres', 'CREATE EXTENSION occ_lock');
}
if ($here->safe_psql('postgres', q{SELECT count(*) FROM pg_available_extensions WHERE name = 'postgres_fdw'}) eq '0')
{
    $_->stop foreach ($here, $there);
    plan skip_all => 'needs postgres_fdw';
}
$here->safe_psql(
    'postgres',
    'CREATE EXTENSION postgres_fdw; CREATE SERVER there FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '
      . "'@{[ $there->host ]}', port '@{[ $there->port ]}', dbname 'postgres', use_remote_estimate 'false');"
      . 'CREATE USER MAPPING FOR PUBLIC SERVER there');

# Run statements in a session.  Returns what they print, and their errors.
sub run_sql
{
    my ($session, $sql) = @_;
    $session->{stderr} = '';
    my $stdout = $session->query($sql);
    return join "\n", grep { $_ ne '' } $stdout, $session->{stderr};
}

sub there
{
    my ($sql) = @_;
    return $there->safe_psql('postgres', $sql);
}

# Five rows there, at version 3, and a table here that reads and writes them.  Both are guarded.
sub create_product
{
    my ($type, $id) = @_;
    $type //= 'int';
    $id //= 'i';

    there(qq{
        SET client_min_messages = warning;
        DROP TABLE IF EXISTS product;
        CREATE TABLE product (id $type PRIMARY KEY, name text, stock int, version bigint NOT NULL DEFAULT 1);
        SELECT occ.enable('product');
        INSERT INTO product SELECT $id, 'no. ' || i, 10, 3 FROM generate_series(1, 5) AS i});
    $here->safe_psql(
        'postgres', qq{
        SET client_min_messages = warning;
        DROP FOREIGN TABLE IF EXISTS product;
        CREATE FOREIGN TABLE product (id $type NOT NULL, name text, stock int, version bigint NOT NULL) SERVER there;
        SELECT occ.enable('product', key => '{id}')});
}

my $session = $here->background_psql('postgres', on_error_stop => 0);

# Three rows: one that is as it was read, one that has changed, one that is not there.
my $three = q{'[{"id": 4, "version": 3, "stock": 7}, {"id": 9, "version": 3, "stock": 7},
    {"id": 2, "version": 1, "stock": 7}]'};
my $two = q{'[{"id": 4, "version": 3, "stock": 10}, {"id": 2, "version": 3, "stock": 10}]'};
my $as_before = "1|no. 1|10|3\n2|no. 2|10|3\n3|no. 3|10|3\n4|no. 4|10|3\n5|no. 5|10|3";
my @calls = (
    # A call; what is done; the rows two and four then.
    [ q{occ.check('product', ROWS)}, 'checked|3', "2|no. 2|10|3\n4|no. 4|10|3" ],
    [ q{occ.update('product', ROWS)}, 'updated|4', "2|no. 2|10|4\n4|no. 4|10|4" ],
    [ q{occ.update_safely('product', ROWS, '{"name": "pot", "stock": 8}')}, 'updated|4', "2|pot|8|4\n4|pot|8|4" ],
    [ q{occ.update_safely('product', ROWS, '{"name": "cup"}', '{stock}')}, 'updated|4', "2|cup|10|4\n4|cup|10|4" ],
    [ q{occ.touch('product', ROWS)}, 'updated|4', "2|no. 2|10|4\n4|no. 4|10|4" ],
    [ q{occ.delete('product', ROWS)}, 'deleted|', '' ]);
foreach my $estimate ('false', 'true')
{
    $here->safe_psql('postgres', "ALTER SERVER there OPTIONS (SET use_remote_estimate '$estimate')");
    foreach my $case (@calls)
    {
        my ($call, $result, $stored) = @$case;
        my $by_stock = $call =~ /stock}/;
        my ($count, $expected) = $by_stock ? (3, '{"stock":7}') : (2, 3);
        my $missing = quotemeta qq{"key":{"id":9},"status":"missing","expected":$expected,"actual":null};

        create_product();
        like(
            run_sql($session, 'SELECT * FROM ' . $call =~ s/ROWS/$three/r . ';'),
            qr/ERROR:  optimistic lock conflict on $count rows of "product"
DETAIL:  .*$missing.*"key":\{"id":2\},"status":"stale"/,
            "$call: a row is stale, one is missing");
        is(there('SELECT * FROM product ORDER BY id'), $as_before, '... and nothing is written');
        my $status = $by_stock ? 'stale' : $result =~ s/\|.*//r;
        my $skipping = $call =~ s/ROWS/$three/r =~ s/\)$/, on_conflict => 'skip')/r;
        is(run_sql($session, "SELECT key, status FROM $skipping;"),
            qq{{"id": 4}|$status\n{"id": 9}|missing\n{"id": 2}|stale},
            '... which can be skipped')
          if $call !~ /check/;

        # In a transaction, the rows are locked there until it ends, and no others.
        create_product();
        is(run_sql($session, 'BEGIN; SELECT * FROM ' . $call =~ s/ROWS/$two/r . ';'),
            qq{{"id": 4}|$result\n{"id": 2}|$result}, '... rows as they were read');
        is(there('SELECT id FROM product FOR UPDATE SKIP LOCKED'), "1\n3\n5", '... and no others are locked there');
        run_sql($session, 'COMMIT;');
        is(there('SELECT * FROM product WHERE id IN (2, 4) ORDER BY id'), $stored, '... and what becomes of them');
        is(there('SELECT count(*) FROM product WHERE version <> 3 AND id NOT IN (2, 4)'), '0', '... and of no other');
    }
}

# Keys of other types are looked up there as well.
foreach my $case (
    [ 'bigint', '3000000000 + i' ],
    [ 'numeric(8, 3)', 'i / 8.0' ],
    [ 'text', q{'key ' || i} ],
    [ 'text COLLATE "C"', q{'key ' || i} ],
    [ 'varchar', q{'key ' || i} ],
    [ 'varchar(20)', q{'key ' || i} ],
    [ 'char(12)', q{'key ' || i} ],
    [ 'bit(4)', 'i::bit(4)' ],
    [ 'date', q{'2026-01-01'::date + i} ],
    [ 'uuid', 'repeat(i::text, 32)::uuid' ],
    [ 'bytea', q{('\x0' || i)::bytea} ],
    [ 'int4range', 'int4range(i, 2 * i)' ])
{
    my ($type, $id) = @$case;
    create_product($type, $id);
    is( run_sql(
            $session, q{
            BEGIN;
            SELECT status, version FROM occ.update('product', (
                SELECT jsonb_agg(to_jsonb(p)) FROM product AS p WHERE name IN ('no. 2', 'no. 4')));}),
        "updated|4\nupdated|4", "a key of type $type");
    is(there('SELECT name FROM product FOR UPDATE SKIP LOCKED'), "no. 1\nno. 3\nno. 5", '... locks no other rows');
    run_sql($session, 'ROLLBACK;');
}

# ... but not all that one could wish: a key of several columns is looked up column by column, and postgres_fdw keeps
# conditions on types that PostgreSQL does not bring along for itself.
create_product();
there(q{CREATE TABLE pair (a int, b int, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (a, b));
    INSERT INTO pair SELECT a, b FROM generate_series(1, 3) AS a, generate_series(1, 3) AS b;
    CREATE TYPE size AS ENUM ('small', 'middle', 'large');
    CREATE TABLE shirt (size size PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
    INSERT INTO shirt VALUES ('small'), ('middle'), ('large')});
$here->safe_psql(
    'postgres', q{
    CREATE TYPE size AS ENUM ('small', 'middle', 'large');
    IMPORT FOREIGN SCHEMA public LIMIT TO (pair, shirt) FROM SERVER there INTO public;
    SELECT occ.enable('pair', key => '{a, b}'), occ.enable('shirt', key => '{size}')});
is( run_sql(
        $session, q{
        BEGIN;
        SELECT * FROM occ.touch('pair', '[{"a": 3, "b": 1, "version": 1}, {"a": 1, "b": 2, "version": 1}]')}),
    qq{{"a": 3, "b": 1}|updated|2\n{"a": 1, "b": 2}|updated|2}, 'a key of two columns');
is(there('SELECT count(*) FROM (SELECT FROM pair FOR UPDATE SKIP LOCKED) AS r'),
    '5', '... locks all pairs of the values that were named');
is(run_sql($session, q{ROLLBACK; BEGIN; SELECT * FROM occ.touch('shirt', '{"size": "small", "version": 1}')}),
    '{"size": "small"}|updated|2', 'a key of an enum');
is(there('SELECT count(*) FROM (SELECT FROM shirt FOR UPDATE SKIP LOCKED) AS r'),
    '0', '... which postgres_fdw does not send, locks all rows');
run_sql($session, 'ROLLBACK;');

# A lock that others may share.
create_product();
run_sql($session, "BEGIN; SELECT FROM occ.check('product', $two, 'share');");
is(there('SELECT id FROM product FOR UPDATE SKIP LOCKED'), "1\n3\n5", 'a shared lock keeps writers off');
is(there('SELECT id FROM product ORDER BY id FOR SHARE SKIP LOCKED'), "1\n2\n3\n4\n5", '... and lets readers in');
run_sql($session, 'COMMIT;');

# Somebody there has a row.  If he writes it, it is not PT409 what we get: postgres_fdw reads on one snapshot there.
my $other = $there->background_psql('postgres', on_error_stop => 0);
foreach my $end ('ROLLBACK', 'COMMIT')
{
    create_product();
    run_sql($other, 'BEGIN; UPDATE product SET stock = 0 WHERE id = 2;');
    $session->{stderr} = '';
    $session->query_until(qr/now/,
        "\\set VERBOSITY verbose\n\\echo now\nSELECT status, version FROM occ.update('product', $two);\n");
    $there->poll_query_until('postgres',
        q{SELECT count(*) = 1 FROM pg_stat_activity
        WHERE application_name = 'postgres_fdw' AND wait_event_type = 'Lock'})
      or die 'the batch does not wait';
    run_sql($other, "$end;");
    my $output = $session->query('\set VERBOSITY default');
    $end eq 'COMMIT'
      ? like($session->{stderr}, qr/ERROR:  40001: could not serialize access/, 'somebody there is first')
      : is($output, "updated|4\nupdated|4", 'somebody there gives up');
}
like(
    run_sql($session, "SELECT FROM occ.update('product', $two);"),
    qr/"key":\{"id":2\},"status":"stale","expected":3,"actual":4/,
    '... and from then on, the row is stale');
$other->quit;

# The other server's guard has the last word.  Under "strict" it is told the next version, which nobody can have read.
create_product();
there(q{SELECT occ.enable('product', preset => 'strict')});
foreach my $on_conflict ('error', 'skip')
{
    $session->query('\set VERBOSITY verbose');
    like(
        run_sql($session, "SELECT FROM occ.update('product', $two, '$on_conflict');"),
        qr/ERROR:  PT409: optimistic lock conflict on 1 row of "product"
DETAIL:  .*"status":"stale","expected":4,"actual":3\}\]\}\nHINT:  .*\nCONTEXT:  remote SQL command: UPDATE/,
        "$on_conflict: a conflict that the guard there finds comes through");
    $session->query('\set VERBOSITY default');
}
is(there('SELECT * FROM product ORDER BY id'), $as_before, '... and nothing is written');

# A table with a partition here and one there.
sub create_parts
{
    create_product();
    there(q{ALTER TABLE product ADD place text NOT NULL DEFAULT 'there'});
    $here->safe_psql(
        'postgres', q{
        SET client_min_messages = warning;
        DROP TABLE IF EXISTS goods;
        CREATE TABLE goods (id int NOT NULL, name text, stock int, version bigint NOT NULL, place text NOT NULL)
            PARTITION BY LIST (place);
        CREATE TABLE goods_here PARTITION OF goods (PRIMARY KEY (id)) FOR VALUES IN ('here');
        CREATE FOREIGN TABLE goods_there PARTITION OF goods FOR VALUES IN ('there') SERVER there
            OPTIONS (table_name 'product');
        SELECT occ.enable('goods', key => '{id}');
        INSERT INTO goods SELECT i, 'no. ' || i, 10, 3, 'here' FROM generate_series(11, 15) AS i});
}
my $mixed = q{'[{"id": 4, "version": 3, "stock": 10}, {"id": 14, "version": 3, "stock": 10},
    {"id": 2, "version": 3, "stock": 10}, {"id": 12, "version": 3, "stock": 10}]'};
my $conflicts = q{'[{"id": 4, "version": 1, "stock": 7}, {"id": 14, "version": 1, "stock": 7},
    {"id": 9, "version": 3, "stock": 7}, {"id": 12, "version": 3, "stock": 10}]'};
foreach my $case (@calls)
{
    my ($call, $result, $stored) = @$case;

    $call =~ s/product/goods/;
    create_parts();
    like(
        run_sql($session, 'SELECT * FROM ' . $call =~ s/ROWS/$conflicts/r . ';'),
        qr/ERROR:  .* on 3 rows of "goods"\nDETAIL:  \Q{"table":"public.goods","conflicts":3,"ids":[4,14,9],/,
        "$call: conflicts in both partitions");
    is(run_sql($session, 'BEGIN; SELECT * FROM ' . $call =~ s/ROWS/$mixed/r . ';'),
        join("\n", map { qq{{"id": $_}|$result} } 4, 14, 2, 12), '... rows of both');
    is(there('SELECT id FROM product FOR UPDATE SKIP LOCKED'), "1\n3\n5", '... and no others are locked there');
    is($here->safe_psql('postgres', 'SELECT id FROM goods_here FOR UPDATE SKIP LOCKED'),
        "11\n13\n15", '... nor here');
    run_sql($session, 'COMMIT;');
    is(there('SELECT id, name, stock, version FROM product WHERE id IN (2, 4) ORDER BY id'),
        $stored, '... what becomes of those there');
    is($here->safe_psql('postgres', 'SELECT id, name, stock, version FROM goods_here WHERE id IN (12, 14) ORDER BY id'),
        $stored =~ s/^(\d)/1$1/mgr =~ s/no\. (\d)/no. 1$1/gr, '... and of those here');
}

# A row can't move there: PostgreSQL does not add rows to a foreign partition in a statement that may update it.
create_parts();
like(
    run_sql(
        $session, q{
        SELECT * FROM occ.update('goods',
            '[{"id": 2, "version": 3, "stock": 9}, {"id": 12, "version": 3, "place": "there"}]');}),
    qr/ERROR:  cannot route tuples into foreign table to be updated "goods_there"/, 'a row that is to move there');
is(there('SELECT id, name, stock, version FROM product ORDER BY id'), $as_before, '... changes nothing');
is(run_sql($session, "SELECT DISTINCT stock, version FROM goods_here;"), '10|3', '... on either side');

# From there, PostgreSQL sends the update there, where the row stays, unless that server refuses it.
my $move = q{SELECT status FROM occ.update('goods', '[{"id": 2, "version": 3, "place": "here"}]');};
is(run_sql($session, $move), 'updated', 'a row that is to move here');
is(run_sql($session, q{SELECT tableoid::regclass FROM goods WHERE id = 2; SELECT count(*) FROM goods WHERE id = 2 AND place = 'here';}),
    "goods_there\n0", '... stays there, and is not found');
create_parts();
there(q{ALTER TABLE product ADD CHECK (place = 'there')});
like(run_sql($session, $move), qr/ERROR:  new row for relation "product" violates check constraint/, '... unless it is refused there');

$session->quit;
$_->stop foreach ($here, $there);
done_testing();
