"""The front door: command line, settings, server, demo. Composition only, no rules of its own."""
