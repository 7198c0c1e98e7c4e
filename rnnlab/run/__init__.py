"""From a command line to a finished run: flags, presets, work directory, tables and report."""
