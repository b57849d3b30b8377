# Who needs which rights.  A role with nothing but SELECT and UPDATE on a table gets the guard and its conflicts, even
# where default privileges grant PUBLIC nothing; a database's owner can install the extension and guard his own tables;
# nobody can guard or unguard those of others.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('role');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
# Also with INLINE=on: some of what follows is about sessions that have not loaded the library yet.
$node->append_conf('postgresql.conf', "session_preload_libraries = ''");
$node->start;

# Run SQL as a role.  Returns its output, or the error with all of its fields.
sub as
{
    my ($role, $sql, $database) = @_;
    my ($status, $stdout, $stderr) = $node->psql(
        $database // 'app',
        "\\set VERBOSITY verbose\n$sql",
        extra_params => [ '-U', $role ]);

    return $status == 0 ? $stdout : $stderr;
}

$node->safe_psql(
    'postgres', q{
    CREATE ROLE owner LOGIN;
    CREATE ROLE clerk LOGIN;
    CREATE ROLE writer LOGIN;
    CREATE ROLE stranger LOGIN;
    CREATE DATABASE app OWNER owner;
});
$node->safe_psql(
    'app', q{
    ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
    ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO clerk, writer;
    GRANT ALL ON SCHEMA public TO owner;
    ALTER DEFAULT PRIVILEGES FOR ROLE owner REVOKE ALL ON FUNCTIONS FROM PUBLIC;
});

# The owner of the database, who is no superuser.
like(as('clerk', 'CREATE EXTENSION occ_lock'), qr/ERROR:  42501/, 'a plain role cannot create the extension');
is(as('owner', 'CREATE EXTENSION occ_lock'), '', "the database's owner can");
is( as( 'owner', q{
        CREATE TABLE product (id int PRIMARY KEY, stock int, secret text DEFAULT 'x');
        INSERT INTO product SELECT generate_series(1, 3), 10;
        SELECT occ.enable('product');
        SELECT occ.enable('product', preset => 'strict');
        SELECT occ.disable('product');
        SELECT occ.enable('product');
        SELECT version_column, token, enabled FROM occ.tables}) =~ s/^\n+//r,
    'version|auto|t', '... and can guard, unguard and list his tables');
is($node->safe_psql('app', q{SELECT DISTINCT proowner::regrole FROM pg_proc WHERE pronamespace = 'occ'::regnamespace}),
    $node->safe_psql('app', q{SELECT oid::regrole FROM pg_roles WHERE oid = 10}),
    '... but does not own the functions');
like(as('owner', q{ALTER FUNCTION occ.guard() RENAME TO no_guard}), qr/ERROR:  42501/, '... so he cannot change them');

# A role with rights on the table and nothing else.
as('owner', q{
    GRANT SELECT, UPDATE (stock, version) ON product TO clerk;
    GRANT UPDATE ON product TO writer;
    GRANT SELECT (stock) ON product TO writer});
is( as('clerk', 'UPDATE product SET stock = 11, version = 1 WHERE id = 1 RETURNING version'),
    '2', 'a plain role updates, and the version moves');
my $conflict = as('clerk', 'UPDATE product SET stock = 12, version = 1 WHERE id < 3');
like($conflict, qr/^psql:<stdin>:2: ERROR:  PT409: optimistic lock conflict on 1 row of "product"$/m,
    '... or is refused');
my $row = '{"key":{"id":1},"status":"stale","expected":1,"actual":2}';
like($conflict, qr/^DETAIL:  \Q{"table":"public.product","conflicts":1,"ids":[1],"rows":[$row]}\E$/m,
    '... with the stale row');
like(
    $conflict,
    qr/^SCHEMA NAME:  public\nTABLE NAME:  product\nCOLUMN NAME:  version\nCONSTRAINT NAME:  _occ_guard$/m,
    '... and all fields');
is(as('clerk', 'SELECT stock, version FROM product ORDER BY id'), "11|2\n10|1\n10|1", '... and nothing is written');
is(as('clerk', q{SELECT table_name, key_columns FROM occ.tables}), 'product|{id}', '... sees occ.tables');
is( as( 'clerk', q{
        DO $$
        DECLARE
            what text;
        BEGIN
            UPDATE product SET stock = 12, version = 1;
        EXCEPTION WHEN SQLSTATE 'PT409' THEN
            GET STACKED DIAGNOSTICS what = PG_EXCEPTION_DETAIL;
            PERFORM set_config('my.detail', what, false);
        END $$;
        SELECT * FROM occ.conflicts(current_setting('my.detail'))}),
    '{"id": 1}|stale|1|2', '... and can take the error apart with occ.conflicts()');

# PostgreSQL's own refusals.
like(as('clerk', q{UPDATE product SET secret = 'y', version = 2 WHERE id = 1}),
    qr/ERROR:  42501: permission denied for table product/, 'no right on a column: 42501');
like(as('clerk', q{INSERT INTO product VALUES (4)}), qr/ERROR:  42501/, 'no right to insert: 42501');
like(as('stranger', q{UPDATE product SET stock = 1}), qr/ERROR:  (42501|42P01)/, 'no right at all: refused');
like(as('clerk', "SELECT occ.$_('product')"),
    qr/ERROR:  42501: must be owner of table product/, "occ.$_ by another role: 42501")
  foreach ('enable', 'disable');
like(as('clerk', q{CREATE TABLE mine (id int)}), qr/ERROR:  42501/, 'the extension gives no right to create');
like(as('clerk', 'SET occ_lock.bypass = on; UPDATE product SET stock = 1, version = 9'),
    qr/42501: permission denied to set parameter "occ_lock.bypass".*ERROR:  PT409/s, '... nor to set occ_lock.bypass');

# Who may not read key or version is not shown them, only how many rows are stale.
$conflict = as('writer', 'UPDATE product SET stock = 12, version = 1');
like($conflict, qr/ERROR:  PT409: optimistic lock conflict on 1 row of "product"/,
    'a role that cannot read keys is refused');
like($conflict, qr/^DETAIL:  \Q{"table":"public.product","conflicts":1,"ids":[],"rows":[]}\E$/m,
    '... without keys and versions');
as('owner', 'GRANT SELECT (id) ON product TO writer');
like(
    as('writer', 'UPDATE product SET stock = 12, version = 1'),
    qr/\Q"rows":[{"key":{"id":1},"status":"stale","expected":1,"actual":null}]/,
    '... with the key once it may be read');

# A function that runs as its owner: his rights count.
as('owner', q{
    CREATE FUNCTION restock(int, bigint) RETURNS bigint
        LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS
        'UPDATE public.product SET stock = stock + 1, version = $2 WHERE id = $1 RETURNING version';
    GRANT EXECUTE ON FUNCTION restock TO writer});
is(as('writer', 'SELECT restock(1, 2)'), '3', 'a SECURITY DEFINER function updates');
like(as('writer', 'SELECT restock(1, 2)'),
    qr/ERROR:  PT409.*"actual":3/s, '... and reports conflicts with what its owner may see');

# Even with no right on the schema occ, the guard works: triggers need none.
$node->safe_psql('app', 'REVOKE ALL ON SCHEMA occ FROM PUBLIC; REVOKE ALL ON ALL FUNCTIONS IN SCHEMA occ FROM PUBLIC');
like(as('clerk', 'UPDATE product SET stock = 12, version = 1 WHERE id = 1'), qr/ERROR:  PT409.*"ids":\[1\]/s,
    'a role without rights on schema occ is refused all the same');
is(as('clerk', 'UPDATE product SET stock = 13, version = 3 WHERE id = 1 RETURNING version'), '4', '... and can update');

like(as('owner', 'DROP EXTENSION occ_lock CASCADE; UPDATE product SET version = 1 WHERE id = 1 RETURNING version'),
    qr/^1$/, 'the owner can drop the extension, and its guards go with it');

$node->stop;
done_testing();
