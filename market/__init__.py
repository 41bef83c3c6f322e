"""The vocabulary everybody shares: records, money, time, tables, taxonomy, text, artefacts, ranking metrics."""
