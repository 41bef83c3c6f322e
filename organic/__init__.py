"""Recommendations: towers, hard filters, quality rules, one search of the index."""
