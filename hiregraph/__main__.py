"""`python -m hiregraph` is the console script."""

from hiregraph.cli import main

if __name__ == "__main__":
    main()
