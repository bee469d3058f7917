"""A rule becomes one SQL condition on `contact`: bound parameters only, related tables through EXISTS."""
