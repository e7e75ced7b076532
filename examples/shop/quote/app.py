"""Prices a basket. A coupon's signature is checked, so that a discount cannot be invented."""

import base64
import hashlib
import hmac
import json
import os

from catalogue import PRODUCTS

BY_ID = {p["id"]: p for p in PRODUCTS}


def handler(event, context):
    try:
        order = json.loads(body(event))
        lines = [price(line) for line in order["basket"]]
        percent = discount(order.get("coupon"))
    except (ValueError, KeyError, TypeError) as e:
        return answer(400, {"message": f"cannot price this basket: {e}"})
    total = sum(line["cents"] for line in lines)
    return answer(200, {"lines": lines, "cents": total, "discount": percent, "toPay": total * (100 - percent) // 100})


def body(event):
    """What the client sent. API Gateway encodes what is not declared as text, such as a form: curl -d without a type."""
    text = event.get("body") or ""
    return base64.b64decode(text) if event.get("isBase64Encoded") else text


def price(line):
    product, quantity = BY_ID.get(line["id"]), int(line.get("quantity", 1))
    if product is None:
        raise ValueError(f"no product {line['id']}")
    if not 1 <= quantity <= product["stock"]:
        raise ValueError(f"{product['stock']} of {line['id']} in stock, {quantity} wanted")
    return {"id": line["id"], "quantity": quantity, "cents": product["cents"] * quantity}


def discount(code):
    if not code:
        return 0
    percent, _, signature = code.partition("-")
    want = hmac.new(os.environ["COUPON_SECRET"].encode(), percent.encode(), hashlib.sha256).hexdigest()[:16]
    if not hmac.compare_digest(signature, want):
        raise ValueError("the coupon is not one of ours")
    return int(percent)


def answer(status, body):
    return {"statusCode": status, "headers": {"content-type": "application/json"}, "body": json.dumps(body)}
