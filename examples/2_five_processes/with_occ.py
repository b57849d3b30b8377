"""On a table that is guarded by its updated_at: save() states the time that was read, and PostgreSQL checks it."""
from models import Product
from occ_django import conflicts


def buy(product_id, amount, has_read):
    product = Product.objects.get(pk=product_id)
    has_read()
    product.stock -= amount
    with conflicts():
        product.save()
