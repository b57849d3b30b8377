CREATE TABLE product (
    id int PRIMARY KEY,
    name text NOT NULL,
    stock int NOT NULL,
    version bigint NOT NULL DEFAULT 1
);
INSERT INTO product VALUES (1, 'banana', 10), (2, 'apple', 10), (3, 'pear', 1);

SELECT occ.enable('product');
