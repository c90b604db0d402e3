"""The command line: verbs for people. Thin: each verb reads settings, calls the shell, prints, and picks an exit code."""
