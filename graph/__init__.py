"""Confirmed hires -> readable links and a graph network -> who is likely hired where."""
