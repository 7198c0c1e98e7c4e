"""Training: one pure step, many steps in a dispatch, and a loop that survives interruption."""
