"""From documentation to English prose: HTML or POD in, plain paragraphs out.

A paragraph is one line of printable ASCII without line breaks. What isn't running text (code, tables, menus, headings,
lists of names) is dropped by two sieves: its element, then its letters and words.
"""

import re
import unicodedata
from html.parser import HTMLParser

SKIPPED = frozenset(
    "script style head title nav header footer aside table pre form button select svg math h1 h2 h3 h4 h5 h6".split())
BLOCKS = frozenset(
    "p div section article main body li ul ol dl dt dd blockquote br hr center td tr figure figcaption".split())
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
MENU = frozenset(
    "nav navbar navheader navfooter navigation toc contents menu sidebar sphinxsidebar footer header related breadcrumb "
    "breadcrumbs index indextable genindex copyright programlisting screen synopsis highlight literal-block sig "
    "versionbar wy-nav-side wy-nav-top rst-footer-buttons rst-versions".split())

TYPOGRAPHY = str.maketrans({
    "\u2018": "'", "\u2019": "'", "\u201a": "'", "\u201b": "'", "\u2032": "'", "\u00b4": "'",
    "\u201c": '"', "\u201d": '"', "\u201e": '"', "\u2033": '"', "\u00ab": '"', "\u00bb": '"',
    "\u2010": "-", "\u2011": "-", "\u2012": "-", "\u2013": "-", "\u2014": " - ", "\u2015": " - ", "\u2212": "-",
    "\u2026": "...", "\u2022": " ", "\u00b7": " ", "\u00d7": "x", "\u00df": "ss", "\u00e6": "ae", "\u0153": "oe",
    "\u00ad": "", "\u200b": "", "\ufeff": "", "\u00b6": "", "\u00a9": "(c)", "\u2192": "->", "\u00f8": "o",
})

STOP_WORDS = frozenset(
    "a about after all also an and any are as at be because been before but by can could do does for from had has have "
    "he her his how i if in into is it its may more most must no not of on one only or other our out over same she "
    "should so some such than that the their them then there these they this to up use used was we were what when "
    "where which while who will with would you your".split())
SYMBOLS = re.compile(r"[_=<>{}\[\]|\\/@#$%^&*~`+]")
SENTENCE_END = re.compile(r"[.!?][\"')]*$")


class ParagraphParser(HTMLParser):
    """Collects the text of paragraph-like elements into `paragraphs` (list of str, white space collapsed)."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.paragraphs, self.words = [], []
        self.skipping, self.depth = None, 0

    def handle_starttag(self, tag, attributes):
        if self.skipping:
            self.depth += tag == self.skipping
            return
        if tag in BLOCKS or tag in SKIPPED:
            self.flush()
        if tag in VOID:
            return
        names = " ".join(value or "" for key, value in attributes if key in ("class", "id", "role")).lower()
        if tag in SKIPPED or (tag not in ("html", "body") and not MENU.isdisjoint(names.split())):
            self.skipping, self.depth = tag, 1

    def handle_endtag(self, tag):
        if self.skipping:
            self.depth -= tag == self.skipping
            if self.depth == 0:
                self.skipping = None
        elif tag in BLOCKS:
            self.flush()

    def handle_data(self, data):
        if not self.skipping:
            self.words.append(data)

    def flush(self):
        text = " ".join("".join(self.words).split())
        self.words.clear()
        if text:
            self.paragraphs.append(text)


def html_paragraphs(page):
    """Paragraphs of an HTML page (str): list of str, in order."""
    parser = ParagraphParser()
    parser.feed(page)
    parser.close()
    parser.flush()
    return parser.paragraphs


def pod_paragraphs(page):
    """Paragraphs of a POD page (Perl's documentation format, str): indented blocks are code, `=` lines are commands."""
    blocks = (block for block in re.split(r"\n\s*\n", page) if not block.startswith((" ", "\t", "=")))
    return [" ".join(pod_inline(block).split()) for block in blocks]


POD_CODE = re.compile(r"([A-Z])(?:<<+\s+(.*?)\s+>>+|<([^<>]*)>)", re.DOTALL)
POD_ENTITIES = {"lt": "\1", "gt": "\2", "verbar": "|", "sol": "/"}


def pod_inline(text):
    """Resolves POD's inline codes, innermost first: I<x>, C<< x >> become x; L<shown|page> shown; X<index entry> goes."""
    def resolve(code):
        letter, content = code[1], (code[2] or code[3] or "").replace("<", "\1").replace(">", "\2")
        if letter in "XZ":
            return ""
        if letter == "E":
            return POD_ENTITIES.get(content, " ")
        return content.split("|")[0].lstrip("/").strip('"') if letter == "L" else content

    before = None
    while text != before:
        before, text = text, POD_CODE.sub(resolve, text)
    return text.replace("\1", "<").replace("\2", ">")


def ascii_text(text):
    """`text` in ASCII: typographic quotes and dashes spelled plainly, accents dropped; None if other letters remain."""
    text = unicodedata.normalize("NFKD", text.translate(TYPOGRAPHY))
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = " ".join(text.split())
    return text if text.isascii() and text.isprintable() else None


def is_prose(text):
    """True if `text` (one ASCII paragraph) reads like English sentences rather than code, a menu or a list of names."""
    if len(text) < 70 or not SENTENCE_END.search(text) or not (text[0].isupper() or text[0] in "\"'("):
        return False
    words = re.findall(r"[A-Za-z']+", text)
    letters = sum(map(str.isalpha, text)) + text.count(" ")
    common = sum(word.lower() in STOP_WORDS for word in words)
    return (len(words) >= 12
            and letters >= 0.92 * len(text)
            and len(SYMBOLS.findall(text)) <= 0.01 * len(text)
            and common >= 0.28 * len(words)
            and max(map(len, text.split())) <= 30)


def text_paragraphs(page):
    """Paragraphs of a plain text (str): blocks between empty lines; {cross references} lose their braces."""
    return [" ".join(re.sub(r"[{}]", "", block).split()) for block in re.split(r"\n\s*\n", page)]


READERS = {"html": html_paragraphs, "pod": pod_paragraphs, "text": text_paragraphs}


def prose_paragraphs(page, kind):
    """English paragraphs of a page (str) of kind "html", "pod" or "text": list of ASCII str, in order."""
    plain = (ascii_text(text) for text in READERS[kind](page))
    return [text for text in plain if text and is_prose(text)]
