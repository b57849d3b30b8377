"""An order as applications write it: look at the stock, compare and set it, try again, or go back to a savepoint."""
from django.db import transaction

from models import Order, OrderLine, Product


def place_order(product_id, quantity, has_read=lambda: None):
    with transaction.atomic():
        before = transaction.savepoint()
        order = Order.objects.create()
        for i in range(5):
            product = Product.objects.get(pk=product_id)
            has_read()
            if product.stock < quantity:
                transaction.savepoint_rollback(before)
                return 'sold out'
            origin_stock = product.stock
            updated = Product.objects.filter(pk=product_id, stock=origin_stock).update(
                stock=origin_stock - quantity, sold=product.sold + quantity)
            if not updated:
                if i == 4:
                    transaction.savepoint_rollback(before)
                    return 'gave up'
                continue
            OrderLine.objects.create(order=order, product=product, quantity=quantity)
            break
        transaction.savepoint_commit(before)
    return order.pk


def rename(product_id, name, has_read):
    """The page on which somebody corrects a name: save() writes all columns, and compares no stock."""
    product = Product.objects.get(pk=product_id)
    has_read()
    product.name = name
    product.save()
