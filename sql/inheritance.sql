-- Inheritance children have triggers of their own: occ.enable() sees to it.

CREATE TABLE person (id int PRIMARY KEY, name text);
CREATE TABLE employee (badge int) INHERITS (person);
CREATE TABLE manager (bonus int, PRIMARY KEY (badge)) INHERITS (employee);
INSERT INTO person VALUES (1, 'p');
INSERT INTO employee VALUES (2, 'e', 20);
INSERT INTO manager VALUES (3, 'm', 30, 300);

SELECT occ.enable('person');
SELECT table_name, key_columns FROM occ.tables ORDER BY table_name::text COLLATE "C";

UPDATE person SET name = upper(name), version = 1 RETURNING tableoid::regclass, version;
-- Rows of a child are named as such, by the child's key or by the parent's.
UPDATE person SET name = 'stale', version = 1;
UPDATE ONLY person SET name = 'stale', version = 1;
UPDATE manager SET name = 'stale', version = 1;

-- A child created later is not guarded; enabling again finds it.
CREATE TABLE intern (school text) INHERITS (person);
INSERT INTO intern VALUES (4, 'i');
UPDATE intern SET version = 77 RETURNING version;
SELECT occ.enable('person');
UPDATE intern SET version = 1;

SELECT occ.disable('person', drop_column => true);
SELECT count(*) FROM occ.tables;
\d manager
DROP TABLE person CASCADE;
