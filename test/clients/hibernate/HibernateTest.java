import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.function.Function;
import javax.persistence.CascadeType;
import javax.persistence.Column;
import javax.persistence.Entity;
import javax.persistence.Id;
import javax.persistence.JoinColumn;
import javax.persistence.OneToMany;
import javax.persistence.Table;
import javax.persistence.Version;
import org.hibernate.EmptyInterceptor;
import org.hibernate.JDBCException;
import org.hibernate.LockMode;
import org.hibernate.Session;
import org.hibernate.SessionFactory;
import org.hibernate.StaleObjectStateException;
import org.hibernate.StaleStateException;
import org.hibernate.Transaction;
import org.hibernate.annotations.OptimisticLockType;
import org.hibernate.cfg.Configuration;
import org.hibernate.exception.GenericJDBCException;
import org.postgresql.util.PSQLException;

/** Hibernate's @Version: integers and times. */
public final class HibernateTest {
    @Entity
    @Table(name = "product")
    public static class Product {
        @Id
        public int id;
        public String name;
        public int stock;
        @Version
        public int version;
        @OneToMany(cascade = CascadeType.ALL)
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

    /** No version of its own: all columns are compared in WHERE. */
    @Entity
    @Table(name = "price")
    @org.hibernate.annotations.Entity(optimisticLock = OptimisticLockType.ALL, dynamicUpdate = true)
    public static class Price {
        @Id
        public int id;
        public int amount;
        public String currency;
    }

    static final List<String> SENT = new ArrayList<>();

    static class Log extends EmptyInterceptor {
        @Override
        public String onPrepareStatement(String sql) {
            if (!sql.startsWith("select")) {
                SENT.add(sql.replaceAll("/\\*.*\\*/ ", ""));
            }
            return sql;
        }
    }

    static final SessionFactory FACTORY = factory("0");

    static SessionFactory factory(String batchSize) {
        return new Configuration()
            .addAnnotatedClass(Product.class).addAnnotatedClass(Tag.class).addAnnotatedClass(Note.class).addAnnotatedClass(Price.class)
            .setProperty("hibernate.connection.url", Tap.URL)
            .setProperty("hibernate.connection.driver_class", "org.postgresql.Driver")
            .setProperty("hibernate.dialect", "org.hibernate.dialect.PostgreSQLDialect")
            .setProperty("hibernate.jdbc.batch_size", batchSize)
            .setProperty("hibernate.jdbc.batch_versioned_data", String.valueOf(!batchSize.equals("0")))
            .setInterceptor(new Log())
            .buildSessionFactory();
    }

    /** The keys of what somebody else has changed, none if a batch has found out, or null if the error is another one. */
    static List<Object> conflict(Throwable error) throws Exception {
        if (error instanceof StaleObjectStateException stale) {
            return List.of(stale.getIdentifier());
        }
        if (error instanceof StaleStateException) {
            return List.of();
        }
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
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

    static <T> T transaction(SessionFactory factory, Function<Session, T> work) {
        Session session = factory.openSession();
        Transaction transaction = session.beginTransaction();
        try {
            T result = work.apply(session);
            transaction.commit();
            return result;
        } finally {
            if (transaction.isActive()) {
                transaction.rollback();
            }
            session.close();
        }
    }

    static void run(Consumer<Session> work) {
        transaction(FACTORY, session -> {
            work.accept(session);
            return null;
        });
    }

    static <T> T read(Class<T> type, int id) {
        return transaction(FACTORY, session -> type.cast(session.get(type, id)));
    }

    /** Save a detached product, as a form that comes back does it. */
    static Product save(Product product, int stock) {
        product.stock = stock;
        return transaction(FACTORY, session -> (Product) session.merge(product));
    }

    static void reset() throws Exception {
        Tap.sql("TRUNCATE product, tag, note, price");
        Tap.sql("INSERT INTO tag VALUES (1, 'new', 0); INSERT INTO price VALUES (1, 10, 'EUR')");
        run(session -> {
            for (int id = 1; id <= 3; id++) {
                Product product = new Product();
                product.id = id;
                product.stock = 10;
                session.persist(product);
            }
        });
    }

    static String stored(int id) throws Exception {
        return Tap.sql("SELECT stock, version FROM product WHERE id = " + id);
    }

    static int execute(String sql) {
        return transaction(FACTORY, session -> session.createSQLQuery(sql).executeUpdate());
    }

    static void undisturbed(String options) throws Exception {
        boolean isShared = options.isEmpty();
        String with = (isShared ? "shared" : options.substring(2)) + ": ";
        Tap.sql("SELECT occ.enable('product'" + options + ")");
        Tap.sql("SELECT occ.enable('tag'" + options + ")");
        reset();
        Tap.same(stored(1), "10|0", with + "persist() starts at 0");
        Product product = read(Product.class, 1);
        Product stale = read(Product.class, 1);
        for (int stock = 9; stock > 6; stock--) {
            product = save(product, stock);
        }
        Tap.same(List.of(product.version, stored(1)), List.of(3, "7|3"), with + "three saves, and the version remembered is stored");
        Throwable error = Tap.raised(() -> save(stale, 1));
        Tap.same(List.of(error.getClass().getSimpleName(), conflict(error), stored(1)), List.of("StaleObjectStateException", List.of(1), "7|3"),
            with + "a stale save");
        Throwable late = Tap.raised(() -> run(session -> {
            ((Product) session.get(Product.class, 1)).stock = 1;
            save(read(Product.class, 1), 6);
        }));
        Tap.same(List.of(conflict(late), stored(1)), List.of(List.of(1), "6|4"), with + "one that is stale only when it is flushed");
        run(session -> {
            Product managed = (Product) session.get(Product.class, 1);
            managed.stock = 6;
            managed.name = "mug";
            session.flush();
            managed.stock = 5;
            session.flush();
        });
        Tap.same(stored(1), "5|6", with + "two flushes in a transaction");
        run(session -> session.buildLockRequest(new org.hibernate.LockOptions(LockMode.OPTIMISTIC)).lock(session.get(Product.class, 1)));
        Tap.same(stored(1), "5|6", with + "LockMode.OPTIMISTIC");
        run(session -> session.buildLockRequest(new org.hibernate.LockOptions(LockMode.PESSIMISTIC_FORCE_INCREMENT)).lock(session.get(Product.class, 1)));
        Tap.same(stored(1), "5|7", with + "LockMode.PESSIMISTIC_FORCE_INCREMENT");
        run(session -> session.buildLockRequest(new org.hibernate.LockOptions(LockMode.PESSIMISTIC_WRITE)).lock(session.get(Product.class, 1)));
        Throwable removed = Tap.raised(() -> run(session -> session.delete(stale)));
        Tap.same(conflict(removed), List.of(1), with + "a stale delete()");
        run(session -> session.delete(session.get(Product.class, 1)));
        Tap.same(stored(1), "", with + "delete()");
    }

    static void joins(String options, boolean isUndisturbed) throws Exception {
        Tap.sql("SELECT occ.enable('product'" + options + ")");
        Tap.sql("SELECT occ.enable('tag'" + options + ")");
        reset();
        Throwable error = Tap.raised(() -> run(session -> {
            Tag tag = (Tag) session.get(Tag.class, 1);
            ((Product) session.get(Product.class, 1)).tags.add(tag);
            session.flush();
            tag.name = "old";
        }));
        Tap.same(error == null, isUndisturbed, (options.isEmpty() ? "shared" : options.substring(2)) + ": a tag that a product has taken is saved again");
    }

    static void times(String options) throws Exception {
        Tap.sql("SELECT occ.enable('note', 'updated_at'" + options + ")");
        String with = (options.isEmpty() ? "shared" : options.substring(2)) + ": ";
        Tap.sql("TRUNCATE note; INSERT INTO note VALUES (1, 10, '2026-01-01 12:00:00.123456+00')");
        Note note = read(Note.class, 1);
        Note stale = read(Note.class, 1);
        for (int i = 0; i < 3; i++) {
            note.stock = i;
            Note next = note;
            run(session -> session.update(next));
        }
        Tap.same(Tap.sql("SELECT stock FROM note"), "2", with + "three saves of an entity with a time");
        stale.stock = 7;
        Tap.same(conflict(Tap.raised(() -> run(session -> session.update(stale)))), List.of(1), with + "a stale one");
    }

    static void gap(String what, Tap.Action write) throws Exception {
        Tap.closed(what, () -> {
            reset();
            Product product = read(Product.class, 1);
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
            save(read(Product.class, 1), 9);
            Throwable error = Tap.raised(write);
            if (error != null && conflict(error) == null) {
                throw new IllegalStateException(error);
            }
            return !stored(1).equals("9|1");
        });
    }

    static final String READ_AND_STATED = "UPDATE product SET stock = 5, version = (SELECT version FROM product WHERE id = 1) WHERE id = 1";
    static final String PRODUCT = Product.class.getName();

    static void gaps() throws Exception {
        gap("HQL: update without the version", () -> transaction(FACTORY, session -> session.createQuery("update " + PRODUCT + " set stock = 5").executeUpdate()));
        gap("createSQLQuery()", () -> execute("UPDATE product SET stock = 5"));
        gap("a second service", () -> Tap.sql("UPDATE product SET stock = 5"));
        gap("a second service that states what it has read", () -> Tap.sql(READ_AND_STATED));
        stated("createSQLQuery() that states an old version", () -> execute("UPDATE product SET stock = 5, version = 0 WHERE id = 1"));
        stated("a second service that states an old version", () -> Tap.sql("UPDATE product SET stock = 5, version = 0 WHERE id = 1"));
        reset();
        Product stale = read(Product.class, 1);
        transaction(FACTORY, session -> session.createQuery("update versioned " + PRODUCT + " set stock = 5").executeUpdate());
        Tap.same(List.of(stored(1), conflict(Tap.raised(() -> save(stale, 1)))), List.of("5|1", List.of(1)), "HQL: update versioned");
        execute("UPDATE product SET version = version + 1, stock = 6 WHERE id = 1");
        Tap.same(stored(1), "6|2", "limits: version + 1 says not what was read");
        Tap.sql("SELECT occ.enable('price')");
        run(session -> {
            Price price = (Price) session.get(Price.class, 1);
            price.amount = 11;
            session.flush();
            price.amount = 12;
        });
        Tap.same(Tap.sql("SELECT amount, version FROM price"), "12|3", "optimisticLock = ALL beside a guard: saved twice, not knowing the version, which moves");
        Throwable error = Tap.raised(() -> run(session -> {
            ((Price) session.get(Price.class, 1)).amount = 14;
            execute("UPDATE price SET amount = 13");
        }));
        Tap.same(List.of(conflict(error), Tap.sql("SELECT amount, version FROM price")), List.of(List.of(1), "13|4"), "optimisticLock = ALL: a stale save");
        Tag tag = read(Tag.class, 1);
        Tap.sql("UPDATE tag SET name = 'other'");
        tag.name = "mine";
        run(session -> session.merge(tag));
        Tap.same(Tap.sql("SELECT name, version FROM tag"), "mine|1", "limits: plain orm does not notice an update that names no version");
        Tap.ok(Tap.sql("UPDATE tag SET name = 'late', version = 0").startsWith("PT409"), "but refuses one that states an old version");
    }

    static void errors() throws Exception {
        reset();
        execute("UPDATE product SET stock = 9 WHERE id IN (1, 3)");
        Throwable error = Tap.raised(() -> execute("""
            UPDATE product AS p SET stock = v.stock, version = v.version
            FROM unnest(CAST('{1,2,3}' AS int[]), CAST('{5,5,5}' AS int[]), CAST('{0,0,0}' AS int[])) AS v(id, stock, version) WHERE p.id = v.id"""));
        Tap.ok(error instanceof JDBCException jdbc && "PT409".equals(jdbc.getSQLState()), "the guard's conflict is a JDBCException with its SQLSTATE");
        Tap.same(error.getClass(), GenericJDBCException.class, "which one");
        List<Object> ids = new ArrayList<>(conflict(error));
        ids.sort(null);
        Tap.same(List.of(ids, stored(2)), List.of(List.of(1, 3), "10|0"), "all ids; nothing was written");
        reset();
        Product product = read(Product.class, 1);
        Tap.sql("UPDATE product SET stock = 1 WHERE id = 1");
        Tap.same(message(Tap.raised(() -> save(product, 2))), "Somebody else has changed [1]. Please look at it again.", "what a person reads");
        Tap.same(message(Tap.raised(() -> execute("SELECT 1 / 0"))), null, "another error is no conflict");

        SessionFactory batching = factory("20");
        reset();
        Throwable stale = Tap.raised(() -> transaction(batching, session -> {
            for (int id = 1; id <= 3; id++) {
                ((Product) session.get(Product.class, id)).stock = 4;
            }
            execute("UPDATE product SET stock = 8 WHERE id = 2");
            return null;
        }));
        Tap.same(List.of(conflict(stale), stored(1)), List.of(List.of(), "10|0"), "jdbc.batch_size: a stale row is a StaleStateException");
        batching.close();
    }

    static List<?> update(String rows) {
        return transaction(FACTORY, session -> ((List<?>) session
            .createSQLQuery("SELECT CAST(key AS text), status, version FROM occ.update('product', CAST(? AS jsonb))")
            .setString(0, rows).list()).stream().map(row -> List.of((Object[]) row).toString()).toList());
    }

    static void setFunctions() throws Exception {
        reset();
        Tap.same(update("[{\"id\": 1, \"stock\": 4, \"version\": 0}, {\"id\": 3, \"stock\": 5, \"version\": 0}]"),
            List.of("[{\"id\": 1}, updated, 1]", "[{\"id\": 3}, updated, 1]"), "occ.update()");
        Tap.same(update("{\"id\": 1, \"stock\": 3, \"version\": \"1\"}"), List.of("[{\"id\": 1}, updated, 2]"), "its versions again");
        Tap.same(conflict(Tap.raised(() -> update("[{\"id\": 1, \"version\": 1}, {\"id\": 9, \"version\": 1}]"))), List.of(1, 9),
            "occ.update() names stale and missing rows");
    }

    static final String SENT_BY_HIBERNATE = """
        update product set name=?, stock=?, version=? where id=? and version=?
        update product set version=? where id=? and version=?
        update product set stock=5
        update product set version=version+1, stock=5
        update product set name=?, stock=?, version=? where id=? and version=?
        update tag set product_id=? where id=?
        update tag set product_id=? where id=?
        delete from product where id=? and version=?
        update price set amount=? where id=? and amount=? and currency=?
        """;

    static void shape() throws Exception {
        reset();
        SENT.clear();
        save(read(Product.class, 1), 5);
        run(session -> session.buildLockRequest(new org.hibernate.LockOptions(LockMode.PESSIMISTIC_FORCE_INCREMENT)).lock(session.get(Product.class, 1)));
        transaction(FACTORY, session -> session.createQuery("update " + PRODUCT + " set stock = 5").executeUpdate());
        transaction(FACTORY, session -> session.createQuery("update versioned " + PRODUCT + " set stock = 5").executeUpdate());
        run(session -> ((Product) session.get(Product.class, 2)).tags.add((Tag) session.get(Tag.class, 1)));
        run(session -> session.delete(session.get(Product.class, 3)));
        run(session -> ((Price) session.get(Price.class, 1)).amount = 12);
        Tap.same(String.join("\n", SENT), SENT_BY_HIBERNATE.strip(), "the SQL that is sent");
    }

    public static void main(String[] arguments) throws Exception {
        Tap.sql("""
            CREATE TABLE product (id int PRIMARY KEY, name text, stock int, version int);
            CREATE TABLE tag (id int PRIMARY KEY, name text, version bigint, product_id int);
            CREATE TABLE note (id int PRIMARY KEY, stock int, updated_at timestamptz);
            CREATE TABLE price (id int PRIMARY KEY, amount int, currency text)""");
        for (String options : new String[] {"", ", preset => 'orm', unstated => 'bump'", ", preset => 'orm'"}) {
            undisturbed(options);
            times(options);
            joins(options, options.equals(", preset => 'orm'"));
        }
        Tap.sql("SELECT occ.enable('tag', preset => 'orm');");
        Tap.sql("SELECT occ.enable('product');");
        gaps();
        errors();
        setFunctions();
        shape();
        Tap.hold("docs/clients/hibernate.md", "java|sql", "HibernateTest.java");
        FACTORY.close();
        Tap.done("| Hibernate 3.6 | `shared` | its `StaleObjectStateException`, or a `JDBCException` with the driver's as a cause |");
    }
}
