"""On a guarded table: the order states the version that it has read, and starts over if that is stale."""
import json

from django.db import DatabaseError, connection

from models import Order, OrderLine, Product
from occ_django import retry, sqlstate


class SoldOut(Exception):
    pass


@retry(attempts=20)
def place_order(product_id, quantity, has_read=lambda: None):
    product = Product.objects.get(pk=product_id)
    has_read()
    if product.stock < quantity:
        raise SoldOut
    order = Order.objects.create()
    OrderLine.objects.create(order=order, product=product, quantity=quantity)
    product.stock -= quantity
    product.sold += quantity
    product.save()
    return order.pk


def place_order_in_sql(product_id, quantity, max_attempts=20):
    """The same by the function in schema.sql: one round trip, whatever the number of attempts."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("CALL occ.retry('SELECT place_order($1, $2) AS order_id', %s, arguments => %s)",
                           [max_attempts, json.dumps([product_id, quantity])])
            attempts, result = cursor.fetchone()
    except DatabaseError as error:
        if sqlstate(error) == 'SO001':
            raise SoldOut from error
        raise
    return json.loads(result)['order_id']
