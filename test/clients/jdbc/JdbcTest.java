import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.sql.Timestamp;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Date;
import java.util.List;
import java.util.UUID;
import org.postgresql.PGConnection;
import org.postgresql.util.PSQLException;

/** pgjdbc: statements, batches, updatable result sets, and what comes back. */
final class JdbcTest {
    static final Connection CONNECTION = Tap.connect();

    /** The rows that somebody else has changed, or null if the error is another one. */
    static JsonNode conflict(SQLException error) throws Exception {
        if (error instanceof BatchUpdateException) {
            error = error.getNextException();
        }
        if (!(error instanceof PSQLException e) || !"PT409".equals(e.getSQLState())) {
            return null;
        }
        return new ObjectMapper().readTree(e.getServerErrorMessage().getDetail());
    }

    static String message(SQLException error) throws Exception {
        JsonNode conflict = conflict(error);
        if (conflict == null) {
            throw error;
        }
        return "Somebody else has changed " + conflict.get("ids") + ". Your change was not saved; please look at it again.";
    }

    /** State the version that was read; what comes back is the new one. */
    static long save(int id, int stock, long version) throws SQLException {
        try (PreparedStatement update = CONNECTION.prepareStatement(
                "UPDATE product SET stock = ?, version = ? WHERE id = ? RETURNING version")) {
            update.setInt(1, stock);
            update.setLong(2, version);
            update.setInt(3, id);
            try (ResultSet row = update.executeQuery()) {
                if (!row.next()) {
                    throw new IllegalStateException("product " + id + " is gone");
                }
                return row.getLong(1);
            }
        }
    }

    static void reset() throws SQLException {
        Tap.sql("TRUNCATE product; INSERT INTO product VALUES (1, 'mug', 10), (2, 'cup', 10), (3, 'jug', 10)");
    }

    static String stored(int id) throws SQLException {
        return Tap.sql("SELECT name, stock, version FROM product WHERE id = " + id);
    }

    static String ids(Tap.Action action) throws Exception {
        Throwable error = Tap.raised(action);
        if (!(error instanceof SQLException e) || conflict(e) == null) {
            throw new IllegalStateException("no conflict", error);
        }
        return conflict(e).get("ids").toString();
    }

    static int execute(String sql) throws SQLException {
        try (Statement statement = CONNECTION.createStatement()) {
            return statement.executeUpdate(sql);
        }
    }

    static void undisturbed() throws Exception {
        reset();
        long version = 1;
        for (int stock = 9; stock > 0; stock--) { // more than pgjdbc runs before it prepares a statement on the server
            version = save(1, stock, version);
        }
        Tap.same(stored(1), "mug|1|10", "nine saves in a row");
        try (Statement statement = CONNECTION.createStatement()) {
            ResultSet row = statement.executeQuery("SELECT count(*) FROM pg_prepared_statements WHERE statement LIKE 'UPDATE product SET stock = $1,%'");
            row.next();
            Tap.same(row.getInt(1), 1, "the last of them by a statement that the server has prepared");
        }
        PSQLException error = (PSQLException) Tap.raised(() -> save(1, 5, 1));
        Tap.same(error.getSQLState(), "PT409", "a stale save is a PSQLException: PT409");
        Tap.same(conflict(error).toString(), "{\"table\":\"public.product\",\"conflicts\":1,\"ids\":[1],\"rows\":"
            + "[{\"key\":{\"id\":1},\"status\":\"stale\",\"expected\":1,\"actual\":10}]}", "the DETAIL");
        Tap.same(List.of(error.getServerErrorMessage().getSchema(), error.getServerErrorMessage().getTable(),
            error.getServerErrorMessage().getColumn(), error.getServerErrorMessage().getConstraint()),
            List.of("public", "product", "version", "_occ_guard"), "table, column and constraint");
        Tap.same(message(error), "Somebody else has changed [1]. Your change was not saved; please look at it again.",
            "what a person reads");
        Tap.same(stored(1), "mug|1|10", "nothing was written");
        Tap.ok(Tap.raised(() -> save(7, 1, 1)) instanceof IllegalStateException, "a row that is gone");
        SQLException other = (SQLException) Tap.raised(() -> execute("SELECT 1 / 0"));
        Tap.same(conflict(other), null, "another error is none");
        Tap.same(List.of(execute("UPDATE product SET stock = 1, version = 1 WHERE id > 1"), execute("UPDATE product SET stock = 1, version = 1 WHERE id = 7")),
            List.of(2, 0), "executeUpdate() counts rows as ever");
        Tap.ok(Tap.raised(() -> message(other)) == other, "and stays what it is");
    }

    /** As in the README. */
    static void snippet() throws Exception {
        JsonNode caught = null;
        try (PreparedStatement statement = CONNECTION.prepareStatement("UPDATE product SET stock = 9, version = 1 WHERE id = 1")) {
            try {
                statement.executeUpdate();
            } catch (PSQLException e) {
                if (!"PT409".equals(e.getSQLState())) throw e;
                JsonNode ids = new ObjectMapper().readTree(e.getServerErrorMessage().getDetail()).get("ids");
                caught = ids;
            }
        }
        Tap.same(String.valueOf(caught), "[1]", "the README's few lines");
    }

    static void keys() throws Exception {
        reset();
        try (PreparedStatement update = CONNECTION.prepareStatement(
                "UPDATE product SET stock = 5, version = 1 WHERE id = 1", new String[] {"version"})) {
            update.executeUpdate();
            ResultSet keys = update.getGeneratedKeys();
            keys.next();
            Tap.same(keys.getLong("version"), 2L, "getGeneratedKeys() has the new version");
        }
    }

    static void transactions() throws Exception {
        reset();
        CONNECTION.setAutoCommit(false);
        save(2, 9, 1);
        Savepoint before = CONNECTION.setSavepoint();
        save(2, 8, 2);
        Tap.same(ids(() -> save(2, 7, 1)), "[2]", "a conflict in a transaction");
        Tap.same(((SQLException) Tap.raised(() -> save(2, 7, 3))).getSQLState(), "25P02", "which is aborted then");
        CONNECTION.rollback(before);
        Tap.same(save(2, 7, 2), 3L, "rollback(savepoint) gives the version back");
        CONNECTION.commit();
        Tap.same(stored(2), "cup|7|3", "and the transaction goes on");
        CONNECTION.setAutoCommit(true);

        try (Connection autosave = DriverManager.getConnection(Tap.URL + "&autosave=always")) {
            autosave.setAutoCommit(false);
            Statement statement = autosave.createStatement();
            statement.executeUpdate("UPDATE product SET stock = 1, version = 3 WHERE id = 2");
            Tap.raised(() -> statement.executeUpdate("UPDATE product SET stock = 2, version = 3 WHERE id = 2"));
            statement.executeUpdate("UPDATE product SET stock = 3, version = 4 WHERE id = 2");
            autosave.commit();
        }
        Tap.same(stored(2), "cup|3|5", "autosave=always goes on after a conflict");
    }

    static int[] batch(int[][] rows) throws SQLException {
        CONNECTION.setAutoCommit(false);
        try (PreparedStatement update = CONNECTION.prepareStatement("UPDATE product SET stock = ?, version = ? WHERE id = ?")) {
            for (int[] row : rows) {
                update.setInt(1, row[1]);
                update.setInt(2, row[2]);
                update.setInt(3, row[0]);
                update.addBatch();
            }
            int[] counts = update.executeBatch();
            CONNECTION.commit();
            return counts;
        } catch (SQLException e) {
            CONNECTION.rollback();
            throw e;
        } finally {
            CONNECTION.setAutoCommit(true);
        }
    }

    static void batches() throws Exception {
        reset();
        Tap.same(List.of(Arrays.toString(batch(new int[][] {{1, 9, 1}, {2, 9, 1}})), stored(1), stored(2)),
            List.of("[1, 1]", "mug|9|2", "cup|9|2"), "a batch");
        Throwable error = Tap.raised(() -> batch(new int[][] {{3, 8, 1}, {1, 8, 1}, {2, 8, 1}}));
        Tap.ok(error instanceof BatchUpdateException, "a stale one is a BatchUpdateException");
        Tap.same(conflict((SQLException) error).get("ids").toString(), "[1]", "it stops at the first stale statement");
        Tap.same(stored(3), "jug|10|1", "and none of it was written");

        // One statement with many rows: all stale ids in one error.
        try (PreparedStatement update = CONNECTION.prepareStatement("""
                UPDATE product AS p SET stock = v.stock, version = v.version
                FROM unnest(?::int[], ?::int[], ?::bigint[]) AS v(id, stock, version) WHERE p.id = v.id""")) {
            update.setArray(1, CONNECTION.createArrayOf("int4", new Integer[] {1, 2, 3}));
            update.setArray(2, CONNECTION.createArrayOf("int4", new Integer[] {5, 5, 5}));
            update.setArray(3, CONNECTION.createArrayOf("int8", new Long[] {1L, 1L, 1L}));
            List<Object> ids = new ArrayList<>(Tap.ids(((PSQLException) Tap.raised(update::executeUpdate)).getServerErrorMessage().getDetail()));
            ids.sort(null);
            Tap.same(ids, List.of(1, 2), "one statement names all stale ids");
        }
    }

    /** What setObject() and an updatable result set send. */
    static void resultSets() throws Exception {
        reset();
        try (Statement statement = CONNECTION.createStatement(ResultSet.TYPE_SCROLL_SENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            ResultSet row = statement.executeQuery("SELECT id, name, stock, version FROM product WHERE id = 1");
            row.next();
            Tap.sql("UPDATE product SET stock = 1 WHERE id = 1");
            row.updateInt("stock", 9);
            row.updateLong("version", row.getLong("version"));
            Tap.same(ids(row::updateRow), "[1]", "an updatable result set that states its version is refused");
            row.refreshRow();
            row.updateInt("stock", 8);
            row.updateLong("version", row.getLong("version"));
            row.updateRow();
            Tap.same(Tap.sql("SELECT query FROM pg_stat_activity WHERE pid = " + CONNECTION.unwrap(PGConnection.class).getBackendPID()),
                "UPDATE product SET  \"stock\" = $1, \"version\" = $2 WHERE \"id\" = $3", "the SQL that it sends");
            Tap.same(stored(1), "mug|8|3", "and saved after refreshRow()");
            Tap.same(row.getLong("version"), 2L, "limits: it does not know its new version without another refreshRow()");
            row.updateInt("stock", 7);
            row.updateRow();
            Tap.same(stored(1), "mug|7|4", "limits: one that states no version is not refused, but moves it");
        }
    }

    static void setFunctions() throws Exception {
        reset();
        Tap.same(update("[{\"id\": 1, \"stock\": 4, \"version\": 1}, {\"id\": 3, \"stock\": 5, \"version\": 1}]"),
            List.of("{\"id\": 1} updated 2", "{\"id\": 3} updated 2"), "occ.update()");
        Tap.same(ids(() -> update("[{\"id\": 1, \"version\": \"1\"}, {\"id\": 3, \"version\": \"2\"}, {\"id\": 9, \"version\": 1}]")),
            "[1,9]", "occ.update() names stale and missing rows");
        Tap.same(update("{\"id\": 1, \"stock\": 3, \"version\": \"2\"}"), List.of("{\"id\": 1} updated 3"), "its versions again");
        try (PreparedStatement check = CONNECTION.prepareStatement("SELECT status FROM occ.check('product', ?::jsonb)")) {
            check.setString(1, "{\"id\": 1, \"version\": 3}");
            ResultSet rows = check.executeQuery();
            rows.next();
            Tap.same(rows.getString(1), "checked", "occ.check()");
        }
        try (PreparedStatement call = CONNECTION.prepareStatement("CALL occ.retry(?, arguments => ?::jsonb)")) {
            call.setString(1, "UPDATE product SET stock = stock - $1 WHERE id = 1 RETURNING stock");
            call.setString(2, "[2]");
            ResultSet row = call.executeQuery();
            row.next();
            Tap.same(row.getString("attempts") + row.getString("result"), "1{\"stock\": 1}", "occ.retry()");
        }
    }

    static List<String> update(String rows) throws SQLException {
        try (PreparedStatement update = CONNECTION.prepareStatement(
                "SELECT key, status, version FROM occ.update('product', ?::jsonb)")) {
            update.setString(1, rows);
            List<String> result = new ArrayList<>();
            for (ResultSet row = update.executeQuery(); row.next();) {
                result.add(row.getString("key") + " " + row.getString("status") + " " + row.getString("version"));
            }
            return result;
        }
    }

    static <T> void type(String type, Class<T> read) throws Exception {
        Tap.sql("DROP TABLE IF EXISTS note; CREATE TABLE note (id int PRIMARY KEY, body text, version " + type + ")");
        Tap.sql("SELECT occ.enable('note'); INSERT INTO note VALUES (1, 'a'); UPDATE note SET body = 'b'");
        try (Statement statement = CONNECTION.createStatement();
                PreparedStatement update = CONNECTION.prepareStatement("UPDATE note SET body = 'c', version = ? WHERE id = 1")) {
            ResultSet row = statement.executeQuery("SELECT version FROM note");
            row.next();
            T version = row.getObject(1, read);
            update.setObject(1, version);
            update.executeUpdate();
            Tap.same(ids(update::executeUpdate), "[1]", read.getSimpleName() + " holds a " + type + ": saved once, refused the second time");
        }
    }

    /** A time in milliseconds, as java.util.Date has it, read and stated. It is in the future, so that the next one is not the clock's. */
    static Throwable dates(String options) throws Exception {
        Tap.sql("DROP TABLE IF EXISTS note; CREATE TABLE note (id int PRIMARY KEY, body text, version timestamptz)");
        Tap.sql("SELECT occ.enable('note'" + options + "); INSERT INTO note VALUES (1, 'a', '2099-01-01 12:00:00.123456+00'); UPDATE note SET body = 'b'");
        try (Statement statement = CONNECTION.createStatement();
                PreparedStatement update = CONNECTION.prepareStatement("UPDATE note SET body = 'c', version = ? WHERE id = 1")) {
            ResultSet row = statement.executeQuery("SELECT version FROM note");
            row.next();
            Date version = new Date(row.getTimestamp(1).getTime());
            update.setTimestamp(1, new Timestamp(version.getTime()));
            return Tap.raised(update::executeUpdate);
        }
    }

    static void gaps() throws Exception {
        for (String[] gap : new String[][] {
            {"a bulk update", "UPDATE product SET stock = stock + 1"},
            {"a statement by another program", "UPDATE product SET stock = 7 WHERE id = 1"}}) {
            Tap.closed(gap[0], () -> {
                reset();
                execute(gap[1]);
                return Tap.raised(() -> save(1, 1, 1)) == null;
            });
        }
        Tap.closed("a batch that states no versions", () -> {
            reset();
            try (Statement statement = CONNECTION.createStatement()) {
                statement.addBatch("UPDATE product SET stock = 4 WHERE id = 1");
                statement.executeBatch();
            }
            return Tap.raised(() -> save(1, 1, 1)) == null;
        });
        Tap.closed("a second service that states an old version", () -> {
            reset();
            save(1, 9, 1);
            Tap.sql("UPDATE product SET stock = 5, version = 1 WHERE id = 1");
            return !stored(1).startsWith("mug|9|");
        });
        reset();
        execute("UPDATE product SET version = version + 1, stock = 3 WHERE id = 1");
        Tap.same(stored(1), "mug|3|2", "limits: version + 1 says not what was read");
        Tap.sql("SELECT occ.enable('product', enforce => 'warn')");
        try (Statement statement = CONNECTION.createStatement()) {
            statement.executeUpdate("UPDATE product SET stock = 4, version = 1 WHERE id = 1");
            Tap.same(statement.getWarnings().getSQLState(), "PT409", "enforce => 'warn' arrives as an SQLWarning");
        }
    }

    public static void main(String[] arguments) throws Exception {
        Tap.sql("CREATE TABLE product (id int PRIMARY KEY, name text, stock int)");
        Tap.sql("SELECT occ.enable('product');");
        undisturbed();
        snippet();
        keys();
        transactions();
        batches();
        resultSets();
        setFunctions();
        type("timestamptz", OffsetDateTime.class);
        type("timestamptz", Timestamp.class);
        type("uuid", UUID.class);
        type("double precision", Double.class);
        Tap.same(ids(() -> { throw (Exception) dates(""); }), "[1]", "limits: java.util.Date loses the microseconds of a timestamptz");
        Tap.same(dates(", time_precision => 'ms'"), null, "which time_precision => 'ms' does without");
        gaps();
        Tap.hold("docs/clients/jdbc.md", "java|sql", "JdbcTest.java");
        Tap.hold("README.md", "java", "JdbcTest.java");
        Tap.done("| JDBC (pgjdbc) | `shared` | `PSQLException`; `getSQLState()`, `getServerErrorMessage().getDetail()` |");
    }
}
