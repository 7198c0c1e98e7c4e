"""What the lectures compute, each a few lines that stand by themselves (docs/lecture)."""
