"""Tests of word vectors, as a TFDS builder. Importing this module registers `word_test_files`."""

from rnnlab.data.builder import TextBuilder

SIMILARITY = (
    "https://raw.githubusercontent.com/mfaruqui/eval-word-vectors/"
    "94b3dd9fdbac7ed08dbee7179cd5ee464acf0594/data/word-sim"
)
ANALOGY = (
    "https://raw.githubusercontent.com/tmikolov/word2vec/20c129af10659f7c50e86e3be406df663beff438"
)


class WordTestFiles(TextBuilder):
    """WordSim-353 with its two parts, SimLex-999, and the analogies of Mikolov et al. (2013).

    One record for each file.
    """

    TITLE = "word_tests"
    URLS = {  # noqa: RUF012
        "wordsim353": f"{SIMILARITY}/EN-WS-353-ALL.txt",
        "wordsim353_similarity": f"{SIMILARITY}/EN-WS-353-SIM.txt",
        "wordsim353_relatedness": f"{SIMILARITY}/EN-WS-353-REL.txt",
        "simlex999": f"{SIMILARITY}/EN-SIMLEX-999.txt",
        "analogies": f"{ANALOGY}/questions-words.txt",
    }
    HOMEPAGE = "https://github.com/mfaruqui/eval-word-vectors"
    CITATION = (
        "@inproceedings{finkelstein2001placing, author={Finkelstein, Lev and Gabrilovich, Evgeniy "
        "and Matias, Yossi and Rivlin, Ehud and Solan, Zach and Wolfman, Gadi and Ruppin, Eytan}, "
        "title={Placing search in context: the concept revisited}, booktitle={WWW}, year={2001}}\n"
        "@article{hill2015simlex, author={Hill, Felix and Reichart, Roi and Korhonen, Anna}, "
        "title={{SimLex-999}: evaluating semantic models with (genuine) similarity estimation}, "
        "journal={Computational Linguistics}, volume={41}, number={4}, year={2015}}\n"
        "@inproceedings{mikolov2013efficient, author={Mikolov, Tomas and Chen, Kai and Corrado, "
        "Greg and Dean, Jeffrey}, title={Efficient estimation of word representations in vector "
        "space}, booktitle={ICLR workshop}, year={2013}}"
    )
    LICENCE = "eval-word-vectors is under MIT, word2vec under Apache-2.0."
