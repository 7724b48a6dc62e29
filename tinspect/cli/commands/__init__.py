"""One command a file: NAME, HELP, DESCRIPTION, add_arguments(), run()."""
