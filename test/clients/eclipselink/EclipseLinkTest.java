import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.Function;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.EntityManager;
import javax.persistence.EntityManagerFactory;
import javax.persistence.EntityTransaction;
import javax.persistence.Id;
import javax.persistence.JoinColumn;
import javax.persistence.LockModeType;
import javax.persistence.OneToMany;
import javax.persistence.OptimisticLockException;
import javax.persistence.Persistence;
import javax.persistence.Table;
import javax.persistence.Version;
import org.eclipse.persistence.exceptions.DatabaseException;
import org.eclipse.persistence.logging.AbstractSessionLog;
import org.eclipse.persistence.logging.SessionLog;
import org.eclipse.persistence.logging.SessionLogEntry;
import org.postgresql.util.PSQLException;

/** EclipseLink's @Version: integers and times. */
public final class EclipseLinkTest {
    @Entity
    @Table(name = "product")
    public static class Product {
        @Id
        public int id;
        public String name;
        public int stock;
        @Version
        public int version;
        @OneToMany
        @JoinColumn(name = "product_id")
        public List<Tag> tags = new ArrayList<>();
    }

    @Entity
    @Table(name = "tag")
    public static class Tag {
        @Id
        public int id;
        public String name;
        @Version
        public long version;
    }

    @Entity
    @Table(name = "note")
    public static class Note {
        @Id
        public int id;
        public int stock;
        @Version
        @Column(name = "updated_at")
        public Timestamp updatedAt;
    }

    public static class Log extends AbstractSessionLog {
        static final List<String> SENT = new ArrayList<>();

        @Override
        public void log(SessionLogEntry entry) {
            if (SQL.equals(entry.getNameSpace()) && !entry.getMessage().startsWith("SELECT")) {
                SENT.add(entry.getMessage().replaceAll("\\s+bind => .*", "").strip());
            }
        }

        @Override
        public boolean shouldLog(int level, String category) {
            return SQL.equals(category);
        }
    }

    static final EntityManagerFactory FACTORY = factory(Map.of());

    static EntityManagerFactory factory(Map<String, String> more) {
        Map<String, String> properties = new HashMap<>(more);
        properties.put("javax.persistence.jdbc.url", Tap.URL);
        properties.put("eclipselink.weaving", "false");
        properties.put("eclipselink.cache.shared.default", "false");
        properties.put("eclipselink.logging.logger", Log.class.getName());
        properties.put("eclipselink.logging.level", "FINE");
        return Persistence.createEntityManagerFactory("shop", properties);
    }

    /** The keys of what somebody else has changed, none if merge() has found out, or null if the error is another one. */
    static List<Object> conflict(Throwable error) throws Exception {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof org.eclipse.persistence.exceptions.OptimisticLockException stale) {
                return stale.getQuery() == null ? List.of() : List.of(FACTORY.getPersistenceUnitUtil().getIdentifier(stale.getObject()));
            }
            if (cause instanceof PSQLException refused && "PT409".equals(refused.getSQLState())) {
                return Tap.ids(refused.getServerErrorMessage().getDetail());
            }
        }
        return null;
    }

    static String message(Throwable error) throws Exception {
        List<Object> ids = conflict(error);
        return ids == null ? null : "Somebody else has changed " + ids + ". Please look at it again.";
    }

    static <T> T transaction(EntityManagerFactory factory, Function<EntityManager, T> work) {
        EntityManager manager = factory.createEntityManager();
        EntityTransaction transaction = manager.getTransaction();
        try {
            transaction.begin();
            T result = work.apply(manager);
            transaction.commit();
            return result;
        } finally {
            if (transaction.isActive()) {
                transaction.rollback();
            }
            manager.close();
        }
    }

    static void run(Consumer<EntityManager> work) {
        transaction(FACTORY, manager -> {
            work.accept(manager);
            return null;
        });
    }

    static Product read(int id) {
        return transaction(FACTORY, manager -> manager.find(Product.class, id));
    }

    /** Save a detached product, as a form that comes back does it. */
    static Product save(Product product, int stock) {
        product.stock = stock;
        return transaction(FACTORY, manager -> manager.merge(product));
    }

    static void reset() throws Exception {
        Tap.sql("TRUNCATE product, tag, note");
        run(manager -> {
            for (int id = 1; id <= 3; id++) {
                Product product = new Product();
                product.id = id;
                product.stock = 10;
                manager.persist(product);
            }
        });
    }

    static String stored(int id) throws Exception {
        return Tap.sql("SELECT stock, version FROM product WHERE id = " + id);
    }

    /** In a transaction of its own, as another part of the application would. */
    static int execute(String sql) {
        return transaction(FACTORY, manager -> manager.createNativeQuery(sql).executeUpdate());
    }

    static void undisturbed(String options) throws Exception {
        boolean isShared = options.isEmpty();
        String with = (isShared ? "shared" : options.substring(2)) + ": ";
        Tap.sql("SELECT occ.enable('product'" + options + ")");
        Tap.sql("SELECT occ.enable('tag'" + options + ")");
        reset();
        Tap.same(stored(1), "10|1", with + "persist() starts at 1");
        Product product = read(1);
        Product stale = read(1);
        for (int stock = 9; stock > 6; stock--) {
            product = save(product, stock);
        }
        Tap.same(List.of(product.version, stored(1)), List.of(4, "7|4"), with + "three saves, and the version remembered is stored");
        Throwable error = Tap.raised(() -> save(stale, 1));
        Tap.same(List.of(conflict(error), stored(1)), List.of(List.of(), "7|4"), with + "a stale save is an OptimisticLockException");
        Throwable late = Tap.raised(() -> run(manager -> {
            manager.find(Product.class, 1).stock = 1;
            save(read(1), 6);
        }));
        Tap.same(List.of(conflict(late), stored(1)), List.of(List.of(1), "6|5"), with + "so is one that is stale only when it is committed");
        run(manager -> {
            Product managed = manager.find(Product.class, 1);
            managed.stock = 6;
            manager.flush();
            managed.stock = 5;
            manager.flush();
        });
        Tap.same(stored(1), "5|6", with + "two flushes in a transaction");
        run(manager -> manager.lock(manager.find(Product.class, 1), LockModeType.OPTIMISTIC));
        Tap.same(stored(1), isShared ? "5|7" : "5|6", with + "LockModeType.OPTIMISTIC checks, and an echo is " + (isShared ? "bumped" : "kept"));
        run(manager -> manager.lock(manager.find(Product.class, 1), LockModeType.OPTIMISTIC_FORCE_INCREMENT));
        Tap.same(stored(1), isShared ? "5|8" : "5|7", with + "OPTIMISTIC_FORCE_INCREMENT moves the version");
        Throwable removed = Tap.raised(() -> run(manager -> manager.remove(manager.merge(stale))));
        Tap.same(conflict(removed), List.of(), with + "a stale remove()");
        run(manager -> manager.remove(manager.find(Product.class, 1)));
        Tap.same(stored(1), "", with + "remove()");
    }

    static void joins(String options, boolean isUndisturbed) throws Exception {
        Tap.sql("SELECT occ.enable('product'" + options + ")");
        Tap.sql("SELECT occ.enable('tag'" + options + ")");
        reset();
        run(manager -> {
            Tag tag = new Tag();
            tag.id = 1;
            manager.persist(tag);
        });
        Throwable error = Tap.raised(() -> run(manager -> {
            Tag tag = manager.find(Tag.class, 1);
            manager.find(Product.class, 1).tags.add(tag);
            manager.flush();
            tag.name = "new";
        }));
        Tap.same(error == null, isUndisturbed, (options.isEmpty() ? "shared" : options.substring(2)) + ": a tag that a product has taken is saved again");
    }

    static void times(String options) throws Exception {
        Tap.sql("SELECT occ.enable('note', 'updated_at'" + options + ")");
        Tap.sql("TRUNCATE note; INSERT INTO note VALUES (1, 10, '2026-01-01 12:00:00.123456+00')");
        Note note = transaction(FACTORY, manager -> manager.find(Note.class, 1));
        Note stale = transaction(FACTORY, manager -> manager.find(Note.class, 1));
        for (int i = 0; i < 3; i++) {
            Note next = note;
            next.stock = i;
            note = transaction(FACTORY, manager -> manager.merge(next));
        }
        Tap.same(Tap.sql("SELECT stock FROM note"), "2", (options.isEmpty() ? "shared" : options.substring(2)) + ": three saves of an entity with a time");
        stale.stock = 7;
        Tap.same(conflict(Tap.raised(() -> transaction(FACTORY, manager -> manager.merge(stale)))), List.of(), (options.isEmpty() ? "shared" : options.substring(2)) + ": a stale one");
    }

    static void gap(String what, Tap.Action write) throws Exception {
        Tap.closed(what, () -> {
            reset();
            Product product = read(1);
            write.run();
            Throwable error = Tap.raised(() -> save(product, 1));
            if (error != null && conflict(error) == null) {
                throw new IllegalStateException(error);
            }
            return error == null;
        });
    }

    static void stated(String what, Tap.Action write) throws Exception {
        Tap.closed(what, () -> {
            reset();
            save(read(1), 9);
            Throwable error = Tap.raised(write);
            if (error != null && conflict(error) == null) {
                throw new IllegalStateException(error);
            }
            return !stored(1).equals("9|2");
        });
    }

    static void gaps() throws Exception {
        gap("createNativeQuery()", () -> execute("UPDATE product SET stock = 5"));
        gap("a second service", () -> Tap.sql("UPDATE product SET stock = 5"));
        stated("createNativeQuery() that states an old version", () -> execute("UPDATE product SET stock = 5, version = 1 WHERE id = 1"));
        stated("a second service that states an old version", () -> Tap.sql("UPDATE product SET stock = 5, version = 1 WHERE id = 1"));
    }

    static final String READ_AND_STATED = "UPDATE product SET stock = 5, version = (SELECT version FROM product WHERE id = 1) WHERE id = 1";

    static void limits() throws Exception {
        reset();
        Product stale = read(1);
        Tap.sql(READ_AND_STATED);
        Tap.same(save(stale, 1).version, 2, "limits: who states what he has read is checked, and does not move the version");
        Tap.sql("SELECT occ.enable('product')");
        gap("with shared, a second service that states what it has read", () -> Tap.sql(READ_AND_STATED));
    }

    /** What the page says of a JPQL UPDATE, and of what plain orm leaves open. */
    static void versions() throws Exception {
        reset();
        Product stale = read(1);
        run(manager -> manager.createQuery("UPDATE EclipseLinkTest$Product p SET p.stock = 5").executeUpdate());
        Tap.same(List.of(stored(1), conflict(Tap.raised(() -> save(stale, 1)))), List.of("5|2", List.of()), "a JPQL UPDATE counts, once");
        execute("UPDATE product SET version = version + 1, stock = 6 WHERE id = 1");
        Tap.same(stored(1), "6|3", "limits: version + 1 says not what was read");

        Tap.sql("INSERT INTO tag VALUES (1, 'new', 1)");
        Tag tag = transaction(FACTORY, manager -> manager.find(Tag.class, 1));
        Tap.sql("UPDATE tag SET name = 'other'");
        tag.name = "mine";
        transaction(FACTORY, manager -> manager.merge(tag));
        Tap.same(Tap.sql("SELECT name, version FROM tag"), "mine|2", "limits: plain orm does not notice an update that names no version");
        Tap.ok(Tap.sql("UPDATE tag SET name = 'late', version = 1").startsWith("PT409"), "but refuses one that states an old version");
    }

    static void errors() throws Exception {
        reset();
        execute("UPDATE product SET stock = 9 WHERE id IN (1, 3)");
        Throwable error = Tap.raised(() -> execute("""
            UPDATE product AS p SET stock = v.stock, version = v.version
            FROM unnest('{1,2,3}'::int[], '{5,5,5}'::int[], '{1,1,1}'::int[]) AS v(id, stock, version) WHERE p.id = v.id"""));
        Tap.ok(error.getCause() instanceof DatabaseException, "the guard's conflict is a PersistenceException of a DatabaseException");
        Tap.ok(error.getCause().getCause() instanceof PSQLException, "and that of the driver's own");
        List<Object> ids = new ArrayList<>(conflict(error));
        ids.sort(null);
        Tap.same(List.of(ids, stored(2)), List.of(List.of(1, 3), "10|1"), "all ids; nothing was written");
        reset();
        Tap.same(message(Tap.raised(() -> run(manager -> {
            manager.find(Product.class, 1).stock = 1;
            execute("UPDATE product SET stock = 2 WHERE id = 1");
        }))), "Somebody else has changed [1]. Please look at it again.", "what a person reads");
        Tap.same(message(Tap.raised(() -> execute("SELECT 1 / 0"))), null, "another error is no conflict");

        // Batch writing counts what was written, and finds a stale row as ever.
        EntityManagerFactory batching = factory(Map.of("eclipselink.jdbc.batch-writing", "JDBC"));
        reset();
        Throwable stale = Tap.raised(() -> transaction(batching, manager -> {
            for (int id = 1; id <= 3; id++) {
                manager.find(Product.class, id).stock = 4;
            }
            execute("UPDATE product SET stock = 8 WHERE id = 2");
            manager.flush();
            return null;
        }));
        Tap.ok(stale instanceof OptimisticLockException && stored(1).equals("10|1"), "batch writing: a stale row is an OptimisticLockException");
        batching.close();
    }

    static List<?> update(String rows) {
        return transaction(FACTORY, manager -> manager
            .createNativeQuery("SELECT CAST(key AS text), status, version FROM occ.update('product', CAST(? AS jsonb))")
            .setParameter(1, rows).getResultList().stream().map(row -> List.of((Object[]) row).toString()).toList());
    }

    static void setFunctions() throws Exception {
        reset();
        Tap.same(update("[{\"id\": 1, \"stock\": 4, \"version\": 1}, {\"id\": 3, \"stock\": 5, \"version\": 1}]"),
            List.of("[{\"id\": 1}, updated, 2]", "[{\"id\": 3}, updated, 2]"), "occ.update()");
        Tap.same(update("{\"id\": 1, \"stock\": 3, \"version\": \"2\"}"), List.of("[{\"id\": 1}, updated, 3]"), "its versions again");
        Tap.same(conflict(Tap.raised(() -> update("[{\"id\": 1, \"version\": 1}, {\"id\": 9, \"version\": 1}]"))), List.of(1, 9),
            "occ.update() names stale and missing rows");
        Tap.same(read(1).version, 3, "an entity that is read afterwards has the new version");
    }

    static final String SENT = """
        UPDATE product SET STOCK = ?, VERSION = ? WHERE ((ID = ?) AND (VERSION = ?))
        UPDATE product SET VERSION = ? WHERE ((ID = ?) AND (VERSION = ?))
        UPDATE product SET VERSION = ? WHERE ((ID = ?) AND (VERSION = ?))
        UPDATE product SET VERSION = (VERSION + ?), STOCK = ?
        UPDATE product SET VERSION = ? WHERE ((ID = ?) AND (VERSION = ?))
        UPDATE tag SET VERSION = ? WHERE ((ID = ?) AND (VERSION = ?))
        UPDATE tag SET product_id = ? WHERE (ID = ?)
        UPDATE tag SET product_id = ? WHERE (product_id = ?)
        DELETE FROM product WHERE ((ID = ?) AND (VERSION = ?))
        """;

    static void shape() throws Exception {
        reset();
        Tap.sql("INSERT INTO tag VALUES (1, 'new', 1)");
        Log.SENT.clear();
        save(read(1), 5);
        run(manager -> manager.lock(manager.find(Product.class, 1), LockModeType.OPTIMISTIC));
        run(manager -> manager.lock(manager.find(Product.class, 1), LockModeType.OPTIMISTIC_FORCE_INCREMENT));
        run(manager -> manager.createQuery("UPDATE EclipseLinkTest$Product p SET p.stock = 5").executeUpdate());
        run(manager -> manager.find(Product.class, 2).tags.add(manager.find(Tag.class, 1)));
        run(manager -> manager.remove(manager.find(Product.class, 3)));
        Tap.same(String.join("\n", Log.SENT), SENT.strip(), "the SQL that is sent");
    }

    public static void main(String[] arguments) throws Exception {
        Tap.sql("""
            CREATE TABLE product (id int PRIMARY KEY, name text, stock int, version int);
            CREATE TABLE tag (id int PRIMARY KEY, name text, version bigint, product_id int);
            CREATE TABLE note (id int PRIMARY KEY, stock int, updated_at timestamptz)""");
        for (String options : new String[] {"", ", preset => 'orm', unstated => 'bump'", ", preset => 'orm'"}) {
            undisturbed(options);
            times(options);
            joins(options, options.equals(", preset => 'orm'"));
        }
        Tap.sql("SELECT occ.enable('tag', preset => 'orm');");
        Tap.sql("SELECT occ.enable('product', preset => 'orm', unstated => 'bump');");
        gaps();
        versions();
        errors();
        setFunctions();
        shape();
        limits();
        Tap.hold("docs/clients/eclipselink.md", "java|sql", "EclipseLinkTest.java");
        FACTORY.close();
        Tap.done("| EclipseLink | `orm` with `unstated => 'bump'` | its `OptimisticLockException`, or a `PersistenceException` with the driver's as a cause |");
    }
}
