CREATE TABLE product (
    id int PRIMARY KEY,
    name text NOT NULL,
    price int NOT NULL,
    stock int NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO product VALUES
    (1, 'banana', 10, 3, '2024-05-01 12:00:00.123456+00'),
    (2, 'cherry', 10, 4, '2024-05-01 12:00:00.123456+00'),
    (3, 'papaya', 10, 5, '2024-05-01 12:00:00.123456+00');

SELECT occ.enable('product', 'updated_at');
