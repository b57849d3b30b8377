# Live sessions: the lost update that does not happen, as two people see it; ALTER TABLE in one session while another
# keeps its prepared statements; and the settings that a session may or may not choose for itself.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('sessions');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
# Also with INLINE=on: some of what follows is about sessions that have not loaded the library yet.
$node->append_conf('postgresql.conf', "session_preload_libraries = ''");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION occ_lock;
    CREATE ROLE clerk LOGIN;
    CREATE ROLE repair LOGIN;
    GRANT SET ON PARAMETER occ_lock.bypass TO repair;
});

# A new table for each story.
sub create_product
{
    $node->safe_psql('postgres', q{
        DROP TABLE IF EXISTS product;
        CREATE TABLE product (id int PRIMARY KEY, name text, stock int, version bigint NOT NULL DEFAULT 1);
        SELECT occ.enable('product');
        INSERT INTO product VALUES (1, 'teapot', 10, 5), (2, 'cup', 20, 5);
        GRANT SELECT, UPDATE ON product TO PUBLIC});
}

sub session
{
    my (@options) = @_;
    return $node->background_psql('postgres', on_error_stop => 0, extra_params => \@options);
}

# Run a statement in a session.  Returns what it prints, and its errors.
sub run_sql
{
    my ($session, $sql) = @_;
    $session->{stderr} = '';
    my $stdout = $session->query($sql);
    return join "\n", grep { $_ ne '' } $stdout, $session->{stderr};
}

# What the server log has got since an offset that matches.
sub logged
{
    my ($offset, $pattern) = @_;
    my $count = () = slurp_file($node->logfile, $offset) =~ /$pattern/g;
    return $count;
}

my ($alice, $bob) = (session(), session());

# Both read the teapot; Alice is first.
create_product();
is(run_sql($_, 'SELECT * FROM product WHERE id = 1;'), '1|teapot|10|5', 'both read') foreach ($alice, $bob);
is(run_sql($alice, q{UPDATE product SET name = 'tea pot', version = 5 WHERE id = 1 RETURNING version;}),
    '6', 'Alice writes');
like(run_sql($bob, "UPDATE product SET stock = 9, version = 5 WHERE id = 1 RETURNING version;\n\\echo :SQLSTATE"),
    qr/^PT409\npsql:<stdin>:\d+: ERROR:  optimistic lock conflict on 1 row of "product"\n/, 'Bob is refused');
my $row = '{"key":{"id":1},"status":"stale","expected":5,"actual":6}';
like(
    run_sql($bob, '\errverbose'),
    qr/ERROR:  PT409: optimistic lock conflict on 1 row of "product"
DETAIL:  \Q{"table":"public.product","conflicts":1,"ids":[1],"rows":[$row]}\E
HINT:  Read the listed rows again and reapply .*
SCHEMA NAME:  public
TABLE NAME:  product
COLUMN NAME:  version
CONSTRAINT NAME:  _occ_guard
LOCATION: /,
    '... and all fields of the error');
is(run_sql($bob, 'SELECT * FROM product WHERE id = 1;'), '1|tea pot|10|6', '... reads again');
is(run_sql($bob, 'UPDATE product SET stock = 9, version = 6 WHERE id = 1 RETURNING name, version;'),
    'tea pot|7', '... and writes');

# Bob keeps his prepared statements, with plans for any parameters, while Alice changes the table.
run_sql($bob, q{
    SET plan_cache_mode = force_generic_plan;
    PREPARE set_stock(int) AS UPDATE product SET stock = $1;
    PREPARE set_version(bigint) AS UPDATE product SET version = $1;
    \set VERBOSITY verbose
});

foreach my $case (
    # What Alice does, and what Bob then gets for an update that states no version and for a stale one.
    [ 'VACUUM FULL product', qr/^$/, qr/PT409.*"key":\{"id":1\},"status":"stale","expected":5,"actual":8\}/s ],
    [ 'ALTER TABLE product RENAME version TO v', qr/42703: column "version".*HINT:.*occ\.enable/s, qr/42703: column/ ],
    [ 'ALTER TABLE product DROP version', qr/42703: column "version".*HINT:.*occ\.disable/s, qr/42703: column/ ],
    [ 'ALTER TABLE product ALTER version TYPE int', qr/^$/, qr/PT409.*"expected":5,"actual":8\}/s ],
    [ 'ALTER TABLE product ALTER version TYPE text', qr/42804: column "version"/, qr/42804: column "version"/ ],
    [ 'ALTER TABLE product DROP version, ADD version bigint DEFAULT 30', qr/^$/, qr/PT409.*"actual":31\}/s ],
    [ 'ALTER TABLE product DROP name, ADD a text, ADD b int', qr/^$/, qr/PT409.*"key":\{"id":1\}.*"actual":8\}/s ],
    [ 'ALTER TABLE product RENAME id TO number', qr/^$/, qr/PT409.*"ids":\[1,2\].*"key":\{"number":1\}/s ],
    [ 'ALTER TABLE product ALTER id TYPE numeric(5, 2)', qr/^$/, qr/PT409.*"ids":\[1\.00,2\.00\]/s ],
    [ 'ALTER TABLE product ALTER id TYPE text', qr/^$/, qr/PT409.*"ids":\["1","2"\]/s ],
    [ 'ALTER TABLE product DROP CONSTRAINT product_pkey, ADD PRIMARY KEY (name, id)', qr/^$/,
        qr/PT409.*"ids":\[\["teapot",1\],\["cup",2\]\].*"key":\{"name":"teapot","id":1\}/s ],
    [ 'ALTER TABLE product DROP id', qr/^$/, qr/PT409.*"conflicts":2,"ids":\[\],.*"key":null/s ],
    [ 'ALTER TABLE product DISABLE TRIGGER _occ_guard', qr/^$/, qr/^$/ ],
    [ q{SELECT occ.enable('product', preset => 'strict')}, qr/PT428/, qr/PT409.*"expected":5,"actual":7\}/s ],
    [ q{SELECT occ.enable('product', enforce => 'warn')}, qr/^$/, qr/WARNING:  PT409/ ],
    [ q{SELECT occ.disable('product')}, qr/^$/, qr/^$/ ],
    [ q{DROP EXTENSION occ_lock CASCADE; CREATE EXTENSION occ_lock; SELECT occ.enable('product')},
        qr/^$/, qr/PT409.*"actual":8\}/s ])
{
    my ($change, $unstated, $stale) = @$case;

    create_product();
    is(run_sql($bob, 'EXECUTE set_stock(8); EXECUTE set_version(6);'), '', "before $change");
    run_sql($alice, "$change;");
    like(run_sql($bob, 'EXECUTE set_stock(9);'), $unstated, '... an update that states no version');
    like(run_sql($bob, 'EXECUTE set_version(5);'), $stale, '... a stale one');
}

# occ_lock.bypass is for superusers and those that were granted it, and leaves a line in the log for each transaction.
my $bypass = 'SET occ_lock.bypass = on;';
my $update = 'UPDATE product SET version = 1 WHERE id = 1 RETURNING version;';
foreach my $user ('superuser', 'repair')
{
    my $session = $user eq 'superuser' ? session() : session('-U', $user);
    my $offset = -s $node->logfile;

    create_product();
    is(run_sql($session, "$bypass $update"), '1', "$user: rows pass as stated");
    is(run_sql($session, 'UPDATE product SET stock = 1 WHERE id = 1 RETURNING version;'), '1', '... or as they are');
    is(logged($offset, 'LOG:  occ_lock.bypass is on'), 2, '... a line for each transaction');
    $offset = -s $node->logfile;
    run_sql($session, "BEGIN; $update $update SAVEPOINT s; $update ROLLBACK TO s; $update COMMIT;");
    is(logged($offset, 'LOG:  occ_lock.bypass is on'), 1, '... and only one');
    is(logged($offset, qq{DETAIL:  User ".*" writes to "product"}), 1, '... that says who and where');
    like(run_sql($session, "RESET occ_lock.bypass; $update $update"), qr/^2\n.*conflict/s, '... until it is off');
    is(logged($offset, 'LOG:  occ_lock.bypass is on'), 1, '... which logs nothing');
    $session->quit;
}

my $offset = -s $node->logfile;
my $clerk = session('-U', 'clerk');
like(run_sql($clerk, "$bypass $update $update"), qr/permission denied to set parameter.*conflict/s,
    'a plain role: set before the library is there, it has no effect');
like(run_sql($clerk, "SHOW occ_lock.bypass;"), qr/^off$/, '... and is gone');
like(run_sql($clerk, "RESET occ_lock.bypass; $bypass $update"),
    qr/ERROR:  permission denied to set parameter/, '... later it is refused');
$clerk->quit;
{
    local $ENV{PGOPTIONS} = '-c occ_lock.bypass=on -c occ_lock.conflict_sqlstate=23505 -c occ_lock.max_reported_rows=0';
    $clerk = session('-U', 'clerk');
}
like(
    run_sql($clerk, "\\set VERBOSITY verbose\nUPDATE product SET version = 1;"),
    qr/WARNING: .*WARNING: .*ERROR:  PT409: .*"conflicts":2,"ids":\[\]/s,
    '... in the connection string it has no effect either, nor has an SQLSTATE that is not allowed');
$clerk->quit;
is(logged($offset, 'LOG:  occ_lock.bypass is on'), 0, '... and nothing is logged');

# Preloaded by the server or by the session, it is the same library.
$_->quit foreach ($alice, $bob);
foreach my $setting ('shared_preload_libraries', 'session_preload_libraries')
{
    $node->append_conf('postgresql.conf', "$setting = 'occ_lock'");
    $node->restart;
    create_product();
    my ($status, $stdout, $stderr) = $node->psql('postgres',
        "\\set VERBOSITY sqlstate\nUPDATE product SET version = 5 RETURNING version;\nUPDATE product SET version = 5;");
    is("$stdout\n$stderr", "6\n6\npsql:<stdin>:3: ERROR:  PT409", "$setting: the guard works");
    ($status, $stdout, $stderr) = $node->psql('postgres', "\\set VERBOSITY sqlstate\n$bypass $update",
        extra_params => [ '-U', 'clerk' ]);
    is($stderr, 'psql:<stdin>:2: ERROR:  42501', '... and so do its settings');
    $node->append_conf('postgresql.conf', "$setting = ''");
}

$node->stop;
done_testing();
