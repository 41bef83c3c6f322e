"""The exact engine of the CPU: term bitmaps and postings, clauses, scans and walks over the rows that match."""
