"""`python -m jan_core.cli`: the command `jan`, without its script."""

from jan_core.cli import main

main()
