# Rows that arrive by replication are already what they shall be: logical replication and session_replication_role =
# replica write versions verbatim, also where the trigger is ENABLE ALWAYS.  On the subscriber the guard works as
# everywhere for its own clients.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'fsync = off');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf', 'fsync = off');
$subscriber->start;

# Guarded on both sides, on the publisher only, and on the subscriber only; the last one once more with ENABLE ALWAYS,
# and with partitions.
my @tables = ('twice', 'sender', 'receiver', 'always', 'parts', 'times');
foreach my $node ($publisher, $subscriber)
{
    $node->safe_psql(
        'postgres', q{
        CREATE EXTENSION occ_lock;
        CREATE TABLE twice (id int PRIMARY KEY, data text, version bigint NOT NULL DEFAULT 1);
        CREATE TABLE sender (LIKE twice INCLUDING ALL);
        CREATE TABLE receiver (LIKE twice INCLUDING ALL);
        CREATE TABLE always (LIKE twice INCLUDING ALL);
        CREATE TABLE times (id int PRIMARY KEY, data text, version timestamptz NOT NULL);
        CREATE TABLE parts (LIKE twice INCLUDING ALL) PARTITION BY HASH (id);
        CREATE TABLE parts0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
        CREATE TABLE parts1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1)});
    $node->safe_psql('postgres', "SELECT occ.enable('$_', preset => 'strict')") foreach ('twice', 'times');
}
$publisher->safe_psql('postgres', q{SELECT occ.enable('sender')});
$subscriber->safe_psql(
    'postgres', q{
    SELECT occ.enable('receiver', preset => 'strict');
    SELECT occ.enable('always', preset => 'strict');
    SELECT occ.enable('parts', preset => 'strict');
    ALTER TABLE always ENABLE ALWAYS TRIGGER _occ_guard;
    ALTER TABLE parts0 ENABLE ALWAYS TRIGGER _occ_guard;
    ALTER TABLE parts1 ENABLE ALWAYS TRIGGER _occ_guard});

# Rows that are there before the subscription, and later ones.
my $times = q{INSERT INTO times VALUES (%d, 'new', '2024-05-06 07:08:09.123456+00')};
$publisher->safe_psql('postgres',
    $_ eq 'times' ? sprintf($times, 1) : "INSERT INTO $_ VALUES (1, 'new', 7), (2, 'new', 7)")
  foreach @tables;
$publisher->safe_psql('postgres', 'CREATE PUBLICATION p FOR ALL TABLES');
my $connstr = $publisher->connstr . ' dbname=postgres';
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION s CONNECTION '$connstr' PUBLICATION p");
$subscriber->wait_for_subscription_sync($publisher, 's');

sub rows
{
    my ($node) = @_;
    return join "\n", map { $node->safe_psql('postgres', "SELECT '$_', t FROM $_ AS t ORDER BY id") } @tables;
}

sub caught_up
{
    my ($name) = @_;

    $publisher->wait_for_catchup('s');
    is(rows($subscriber), rows($publisher), $name);
}

caught_up('the first copy');

$publisher->safe_psql('postgres', $_) foreach (
    q{UPDATE twice SET data = 'changed', version = 7 WHERE id = 1},
    q{UPDATE sender SET data = 'changed'},
    q{UPDATE receiver SET data = 'changed', version = 3 WHERE id = 1},
    q{UPDATE receiver SET data = 'no version' WHERE id = 2},
    q{UPDATE always SET data = 'changed', version = 3 WHERE id = 1},
    q{UPDATE always SET data = 'no version' WHERE id = 2},
    q{UPDATE parts SET data = 'changed', version = 3 WHERE id = 1},
    q{UPDATE parts SET data = 'no version' WHERE id = 2},
    q{UPDATE times SET data = 'changed', version = '2024-05-06 07:08:09.123456+00'},
    sprintf($times, 2),
    q{BEGIN; UPDATE twice SET version = 8 WHERE id = 1; UPDATE twice SET version = 9 WHERE id = 1; COMMIT},
    q{UPDATE twice SET id = 3, version = 7 WHERE id = 2});
caught_up('updates: versions that the guard moved, that went back, and that stayed');
is( $subscriber->safe_psql(
        'postgres', q{
        SELECT * FROM twice UNION ALL SELECT * FROM sender UNION ALL SELECT * FROM always ORDER BY 2, 1, 3}),
    join("\n", '1|changed|3', '1|changed|8', '1|changed|10', '2|changed|8', '3|new|8', '2|no version|7'),
    '... as they should be');

$publisher->safe_psql('postgres', q{SELECT occ.delete('twice', to_jsonb(twice)) FROM twice WHERE id = 3});
caught_up('a delete');

# The subscriber's own clients are checked, against what has arrived.
sub refused
{
    my ($sql, $state, $name) = @_;
    my (undef, undef, $stderr) = $subscriber->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");

    is($stderr, "psql:<stdin>:2: ERROR:  $state", $name);
}
refused(q{UPDATE receiver SET version = 7 WHERE id = 1}, 'PT409', 'a subscriber refuses its own stale client');
refused(q{UPDATE receiver SET data = 'x'}, 'PT428', '... and one that states no version');
refused(q{UPDATE always SET version = 7 WHERE id = 1}, 'PT409', '... also with ENABLE ALWAYS');
is($subscriber->safe_psql('postgres', q{UPDATE receiver SET data = 'x', version = 3 WHERE id = 1 RETURNING version}),
    '4', '... and moves the version for a current one');

# session_replication_role = replica, as restores and other replication tools use it.
foreach my $table ('receiver', 'always', 'parts')
{
    is( $subscriber->safe_psql(
            'postgres', qq{
            SET session_replication_role = replica;
            UPDATE $table SET data = 'repaired', version = 2 WHERE id = 1 RETURNING version;
            UPDATE $table SET data = 'again' WHERE id = 1 RETURNING version}),
        "2\n2", "session_replication_role = replica: $table is written as stated");
}

# A row that the subscriber has changed on its own is overwritten, not refused: that is for the replication to solve.
$publisher->safe_psql('postgres', q{UPDATE receiver SET data = 'published', version = 12 WHERE id = 1});
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT * FROM receiver WHERE id = 1'), '1|published|12', 'replication goes on');

# A version column that the publisher has and the subscriber has not stops the subscription; subscribers first, and it does not.
my $log = -s $subscriber->logfile;
foreach my $node ($subscriber, $publisher)
{
    $node->safe_psql('postgres', "CREATE TABLE $_ (id int PRIMARY KEY, data text)") foreach ('first', 'last', 'listed');
}
$publisher->safe_psql('postgres', 'CREATE PUBLICATION listing FOR TABLE listed (id, data)');
$publisher->safe_psql('postgres', 'DROP PUBLICATION p; CREATE PUBLICATION p FOR TABLE first, last');
$subscriber->safe_psql('postgres', 'ALTER SUBSCRIPTION s SET PUBLICATION p, listing');
$subscriber->wait_for_subscription_sync($publisher, 's');
$publisher->safe_psql('postgres', 'INSERT INTO listed VALUES (1, \'new\')');
$subscriber->safe_psql('postgres', q{SELECT occ.enable('first')});
$publisher->safe_psql('postgres', q{INSERT INTO first VALUES (1, 'new'); UPDATE first SET data = 'changed'});
$publisher->safe_psql('postgres', q{SELECT occ.enable('first'), occ.enable('listed')});
$publisher->safe_psql('postgres', q{UPDATE first SET data = 'again'; INSERT INTO first VALUES (2, 'new'); UPDATE listed SET data = 'again'});
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT * FROM first ORDER BY id'), "1|again|2\n2|new|1", 'subscribers get the column first: rows arrive before, between and after');
is($subscriber->safe_psql('postgres', 'SELECT * FROM listed'), '1|again', 'a publication with a list of columns leaves the version out');
$publisher->safe_psql('postgres', q{SELECT occ.enable('last')});
$publisher->safe_psql('postgres', q{INSERT INTO last VALUES (1, 'new')});
$publisher->safe_psql('postgres', q{INSERT INTO first VALUES (3, 'behind it')});
$subscriber->wait_for_log(qr/target relation "public.last" is missing replicated column: "version"/, $log);
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM first'), '2', 'a column that the subscriber has not: the subscription stands still');
$subscriber->safe_psql('postgres', q{SELECT occ.enable('last')});
$publisher->wait_for_catchup('s');
is($subscriber->safe_psql('postgres', 'SELECT last.*, first.data FROM last, first WHERE first.id = 3'), '1|new|1|behind it', '... and goes on once it has it');

$subscriber->stop;
$publisher->stop;
done_testing();
