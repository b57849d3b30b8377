import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** For the tests of Java's clients: TAP, a second service, and the same table without its guard. */
final class Tap {
    interface Action {
        void run() throws Exception;
    }

    static final String URL = "jdbc:postgresql://localhost/" + System.getenv("PGDATABASE") + "?user=" + System.getenv("PGUSER")
        + "&socketFactory=UnixSockets&socketFactoryArg=" + System.getenv("PGHOST") + "/.s.PGSQL." + System.getenv("PGPORT");

    private static final Connection SECOND_SERVICE = connect();
    private static int tests;
    private static int failures;

    private Tap() {}

    static Connection connect() {
        try {
            return DriverManager.getConnection(URL);
        } catch (SQLException e) {
            throw new IllegalStateException(e);
        }
    }

    static void ok(boolean passed, String what) {
        tests++;
        if (!passed) {
            failures++;
        }
        System.out.println((passed ? "ok " : "not ok ") + tests + " - " + what);
    }

    static void same(Object got, Object wanted, String what) {
        ok(Objects.equals(got, wanted), what);
        if (!Objects.equals(got, wanted)) {
            System.out.println("got    " + got + "\nwanted " + wanted);
        }
    }

    /** What is thrown, or null. */
    static Throwable raised(Action action) {
        try {
            action.run();
            return null;
        } catch (Throwable t) {
            return t;
        }
    }

    /** A second service, which knows nothing of this one's framework: the rows as psql -At prints them, or a refusal. */
    static String sql(String text) throws SQLException {
        try (Statement statement = SECOND_SERVICE.createStatement()) {
            boolean hasRows = statement.execute(text);
            while (!hasRows && statement.getUpdateCount() != -1) {
                hasRows = statement.getMoreResults();
            }
            List<String> lines = new ArrayList<>();
            for (ResultSet rows = statement.getResultSet(); rows != null && rows.next();) {
                List<String> values = new ArrayList<>();
                for (int i = 1; i <= rows.getMetaData().getColumnCount(); i++) {
                    values.add(Objects.requireNonNullElse(rows.getString(i), ""));
                }
                lines.add(String.join("|", values));
            }
            return String.join("\n", lines);
        } catch (SQLException e) {
            if (!Set.of("PT409", "PT428").contains(e.getSQLState())) {
                throw e;
            }
            return e.getSQLState() + ": " + e.getMessage();
        }
    }

    private static void guards(String state) throws SQLException {
        sql("DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT table_name FROM occ.tables LOOP"
            + " EXECUTE format('ALTER TABLE %s " + state + " TRIGGER _occ_guard', t); END LOOP; END $$");
    }

    /** A function that returns whether an update was lost: not with the guard, but without it. */
    static void closed(String what, Callable<Boolean> lost) throws Exception {
        ok(!lost.call(), what);
        guards("DISABLE");
        ok(lost.call(), what + " (lost without the guard)");
        guards("ENABLE");
    }

    static List<Object> ids(String detail) throws Exception {
        List<Object> ids = new ArrayList<>();
        for (JsonNode id : new ObjectMapper().readTree(detail).get("ids")) {
            ids.add(id.isInt() ? (Object) id.asInt() : id.toString());
        }
        return ids;
    }

    /** Hold a page to this program: each line of its code in these languages is in here. */
    static void hold(String page, String languages, String program) throws Exception {
        String source = Files.readString(Path.of(program));
        Matcher blocks = Pattern.compile("^```(?:" + languages + ")\n(.*?)^```", Pattern.MULTILINE | Pattern.DOTALL)
            .matcher(Files.readString(Path.of("../../..", page)));
        while (blocks.find()) {
            List<String> missing = blocks.group(1).lines().map(String::strip).filter(line -> !source.contains(line)).toList();
            same(missing, List.of(), page + " has \"" + blocks.group(1).lines().findFirst().orElse("") + "\" from here");
        }
    }

    static void done(String... rows) {
        System.out.println("1.." + tests);
        if (failures == 0) {
            for (String row : rows) {
                System.out.println("# table: " + row);
            }
        }
        System.exit(failures > 0 ? 1 : 0);
    }
}
