"""Data: text corpora as network input.

Importing this package imports no data-set library; `load_text("tiny_shakespeare")` does.
"""

from rnnlab.data.text import Vocabulary, load_text, one_hot_windows, split_text

__all__ = ["Vocabulary", "load_text", "one_hot_windows", "split_text"]
