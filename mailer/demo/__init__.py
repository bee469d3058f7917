"""The two stories of the product, played through the real processes."""
