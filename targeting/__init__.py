"""Campaigns: audience, plan, control, auction, ledger arithmetic, slates, and the API that serves them."""
