"""What the store sells, for functions in Python: from catalogue import PRODUCTS."""

import json
import pathlib

PRODUCTS = json.loads((pathlib.Path(__file__).parent.parent / "products.json").read_text())
