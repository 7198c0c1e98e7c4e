"""Data: text input_texts, images and generated tasks as network input.

Importing this package imports no data-set library; `load_text("tiny_shakespeare")` does.
"""

from rnnlab.data.text import Vocabulary, load_text, one_hot_windows, split_text
from rnnlab.data.words import WordVocabulary, split_words

__all__ = [
    "Vocabulary",
    "WordVocabulary",
    "load_text",
    "one_hot_windows",
    "split_text",
    "split_words",
]
