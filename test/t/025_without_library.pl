# A node that has no library of occ_lock: a standby on which the package was forgotten, and that is promoted.  What works there, what
# fails and how, and the ways out, as docs/operations/clusters.md says.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use File::Basename;
use File::Copy;
use File::Path;

# The server once more, without the library.  It finds its files by where its program is, so that is copied; the rest are links.
my $copy = "$PostgreSQL::Test::Utils::tmp_check/without";
my %path = map { $_ => scalar `pg_config --$_` } ('bindir', 'pkglibdir', 'sharedir');
chomp(%path);
mkpath("$copy/$path{$_}") foreach ('bindir', 'pkglibdir');
mkpath(dirname("$copy/$path{sharedir}"));
symlink($path{sharedir}, "$copy/$path{sharedir}") or die "$!";
foreach my $file (glob "$path{bindir}/*")
{
	copy($file, "$copy/$path{bindir}") or die "$file: $!";
	chmod 0755, "$copy/$path{bindir}/" . basename($file);
}
foreach my $file (grep { basename($_) !~ /^(occ_lock\.so|bitcode)$/ } glob "$path{pkglibdir}/*")
{
	symlink($file, "$copy/$path{pkglibdir}/" . basename($file)) or die "$!";
}

# Settings for all tests may preload the library, which is what this one looks at.
delete $ENV{TEMP_CONFIG};
my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', 'fsync = off');
$primary->start;
$primary->safe_psql(
	'postgres', q{
	CREATE EXTENSION occ_lock;
	CREATE TABLE product (id int PRIMARY KEY, stock int, version bigint NOT NULL DEFAULT 1);
	CREATE TABLE account (id int PRIMARY KEY, balance int, version bigint NOT NULL DEFAULT 1);
	CREATE TABLE parts (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1) PARTITION BY RANGE (id);
	CREATE TABLE part PARTITION OF parts DEFAULT;
	SELECT occ.enable('product'), occ.enable('account', preset => 'strict'), occ.enable('parts');
	SELECT occ.auto_enable();
	INSERT INTO product VALUES (1, 10), (2, 10);
	INSERT INTO account VALUES (1, 10);
	INSERT INTO parts VALUES (1);
	CREATE TABLE free (n int);
	INSERT INTO free VALUES (1);
	CREATE DATABASE other;
});
$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby', install_path => dirname("$copy/$path{bindir}"));
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));

my $superuser = $primary->safe_psql('postgres', 'SELECT current_user');

# What psql prints; errors with SQLSTATE and message.
sub run
{
	my ($sql, %how) = @_;
	local $ENV{PGOPTIONS} = $how{options} // '';
	my ($status, $stdout, $stderr) = $standby->psql($how{database} // 'postgres', "\\set VERBOSITY verbose\n$sql",
		on_error_stop => 0, extra_params => [ '-U', $how{user} // $superuser ]);
	return $stderr =~ /ERROR: +(.*)/ ? $1 : $stderr =~ /(FATAL: .*)/ ? $1 : $stdout;
}
# Since 18 without $libdir.
my $missing = qr{58P01: could not access file "(\$libdir/)?occ_lock": No such file or directory};

is(run('SELECT * FROM product WHERE id = 1'), '1|10|1', 'a standby without the library shows rows');
like(run('SELECT occ.etag(p) FROM product AS p'), $missing, '... but has no occ.etag()');
like(run('SELECT * FROM occ.tables'), $missing, '... nor occ.tables');

# With session_preload_libraries, wherever it is set, only a superuser gets in, who takes the setting off for himself.
my $refused = qr{FATAL:  could not access file "occ_lock": No such file or directory};
my $without = '-c session_preload_libraries=';
$primary->safe_psql('postgres', q{ALTER DATABASE postgres SET session_preload_libraries = 'occ_lock'; CREATE ROLE clerk LOGIN; GRANT ALL ON product TO clerk});
$primary->wait_for_catchup($standby, 'replay', $primary->lsn('write'));
like(run('SELECT 1'), $refused, 'session_preload_libraries of a database: nobody gets in');
is(run('SELECT 1', database => 'other'), '1', '... but to another one');
is(run('SELECT 1', options => $without), '1', '... or as a superuser without the setting');
$standby->append_conf('postgresql.conf', q{session_preload_libraries = 'occ_lock'});
$standby->restart;
like(run('SELECT 1', database => 'other'), $refused, 'session_preload_libraries of the server: to no database');
is(run('SELECT 1', database => 'other', options => $without), '1', '... but as a superuser without the setting');
like(run('SELECT 1', options => $without, user => 'clerk'), qr/FATAL:  (permission denied to set parameter|could not access file)/, '... not as another role');
my ($status, undef, $error) = $standby->psql('other', 'IDENTIFY_SYSTEM', replication => 'database');
is("$status$error", '0', '... and what replicates from it');
$standby->promote;
run('ALTER DATABASE postgres RESET session_preload_libraries', options => $without);
$standby->append_conf('postgresql.conf', q{session_preload_libraries = ''});
$standby->restart;
is(run('SELECT 1', user => 'clerk'), '1', 'everybody does, once it is reset on the promoted node');

# What fails is what calls one of its functions.
is(run('INSERT INTO product VALUES (3, 1) RETURNING id'), '3', 'INSERT needs no library');
is(run('DELETE FROM product WHERE id = 3 RETURNING id'), '3', '... nor DELETE');
is(run('SELECT stock FROM product WHERE id = 1 FOR UPDATE'), '10', '... nor locks');
is(run('UPDATE free SET n = 2 RETURNING n'), '2', '... nor tables without a guard');
like(run($_), $missing, $_)
	foreach (
	'UPDATE product SET stock = 1 WHERE id = 1',
	'UPDATE parts SET version = 1',
	'INSERT INTO product VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET stock = 4',
	'DELETE FROM account WHERE id = 1',
	q{SELECT * FROM occ.update('product', '{"id": 1, "version": 1, "stock": 9}')},
	q{SELECT occ.disable('product')},
	'CREATE TABLE fresh (id int)',    # because of occ.auto_enable(), and the next one as well
	'ALTER TABLE product DISABLE TRIGGER _occ_guard');

# The ways out.
is(run('SET session_replication_role = replica; UPDATE product SET stock = 3 WHERE id = 1 RETURNING *'), '1|3|1', 'session_replication_role = replica');
run('ALTER EVENT TRIGGER occ_auto_enable_version DISABLE; ALTER EVENT TRIGGER occ_auto_attach_version DISABLE');
is(run('ALTER TABLE product DISABLE TRIGGER _occ_guard; UPDATE product SET stock = 5 WHERE id = 1 RETURNING *'), '1|5|1',
	'without the event triggers, the guard can be disabled; versions stay where they are');
is(run('ALTER TABLE parts DISABLE TRIGGER _occ_guard; UPDATE parts SET version = 1 RETURNING *'), '1|1', '... that of partitions, too');
is(run('ALTER TABLE product ENABLE TRIGGER _occ_guard; SELECT 1'), '1', '... and enabled again');
symlink("$path{pkglibdir}/occ_lock.so", "$copy/$path{pkglibdir}/occ_lock.so") or die "$!";
is(run('UPDATE product SET stock = 6, version = 1 WHERE id = 1 RETURNING *'), '1|6|2', 'with the library it goes on as ever, without a restart');
unlink "$copy/$path{pkglibdir}/occ_lock.so";
like(run('DROP EXTENSION occ_lock'), qr/2BP01/, 'DROP EXTENSION says what hangs on it');
is(run('DROP EXTENSION occ_lock CASCADE; UPDATE account SET balance = 5 RETURNING *; SELECT count(*) FROM pg_event_trigger'), "1|5|1\n0",
	'... and with CASCADE takes it away, without the library');

# With shared_preload_libraries it does not even start.
$standby->stop;
$standby->append_conf('postgresql.conf', q{shared_preload_libraries = 'occ_lock'});
ok(!$standby->start(fail_ok => 1), 'shared_preload_libraries: the server does not start');
like(slurp_file($standby->logfile), qr/FATAL:  could not access file "occ_lock"/, '... and says why');
$primary->stop;
done_testing();
