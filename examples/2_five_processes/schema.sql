CREATE TABLE product (
    id int PRIMARY KEY,
    name text NOT NULL,
    stock int NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO product VALUES (1, 'banana', 10);

SELECT occ.enable('product', 'updated_at');
