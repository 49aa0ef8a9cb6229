"""Writes support.jsonl, the demo's dataset: what customers of a made-up shop ask, and which desk it is for.

    python notebooks/data/support.py notebooks/data/support.jsonl

Every text is made from the patterns below and occurs once; the same seed gives the same file. `group` is the channel a
message came by: chat is short and careless, mail is polite, app is in between.
"""

import json
import random
import re
import sys
from pathlib import Path

ROWS_PER_LABEL = 100
SEED = 7

WORDS = {
    "item": "running shoes|rain jacket|office chair|desk lamp|coffee grinder|phone case|winter boots|bluetooth speaker|"
    "yoga mat|cutting board|tent|water bottle|board game|electric kettle|hiking socks|picture frame|headphones|"
    "frying pan|wool sweater|bike helmet|alarm clock|garden hose|backpack|bed sheets|toaster|monitor|rug|puzzle",
    "when": "yesterday|last week|on monday|two days ago|three weeks ago|on the 4th|last friday|in march|this morning|"
    "ten days ago|over the weekend|a month ago",
    "number": "48213|70155|3391|AX-2207|90018|55-104|12877|QL4410|66120|8032|27499|B-9154",
    "sum": "$24.90|$130|19 euros|forty dollars|$8.50|62 dollars|$219|15 pounds",
    "town": "Portland|Leeds|Austin|Dublin|Denver|Bristol|Halifax|Perth|Tucson|Galway",
    "street": "12 Oak Street|88 Mill Lane|5 Harbor Road|301 Pine Avenue|47 Station Road|9 Hill Court",
    "pay": "credit card|visa|debit card|paypal|bank transfer|gift card",
}

PATTERNS = {
    "refund": """
i [want|would like|need] my money back for the {item}
when [will|do] i get my money [back|] for [order {number}|the {item}]
[still|i am still] waiting for my refund of {sum}
you [promised|said] i would be refunded {when} and nothing [came|happened|arrived]
how long [does|do] [a refund|refunds] take
the {item} went back {when}, where is the money
[please refund|refund] the {sum} [i paid|] for order {number}
i was told {sum} would be [returned|credited] to my {pay}
has my refund for the {item} been [processed|sent|paid out]
can i have my money back [instead of store credit|please|for the {item}]
my {pay} still does not show the refund [from {when}|for {number}|]
i sent the {item} back but [was not|have not been] refunded""",
    "return": """
[how do|can|may] i send the {item} back
i [want|would like|need] to return the {item} [i bought {when}|]
the {item} [does not fit|is too small|is too large|is not my style], how do i return it
where do i find a return label [for {number}|for the {item}|]
what is your return policy [for a {item}|for sale items|]
can i exchange the {item} for [a bigger size|another color|a different model]
how many days do i have to bring [the {item}|something] back
is it possible to return [an opened|a used|a worn] {item}
i changed my mind about the {item}, [can it go back|how do i send it back]
do i have to pay postage when i return [the {item}|something]
please send me a return slip for order {number}
i'd like to swap the {item} for another one""",
    "delivery": """
where is my [order|parcel|package] [{number}|]
my {item} [has not|still hasn't] arrived [yet|]
when will [the {item}|order {number}|my parcel] [be delivered|get here|arrive|come]
the tracking page for {number} has not [changed|moved] since {when}
i ordered a {item} {when} and [nothing came|it is not here]
the courier [never showed up|did not come|left no note] {when}
is my {item} on its way [to {town}|]
how long does shipping to {town} take
the [parcel|package] is [late|overdue|stuck in {town}]
it says delivered but i never got [the {item}|my parcel]
has [order {number}|the {item}] been shipped [already|yet|]
can you track [my order|{number}|the {item}] for me""",
    "cancel": """
[please|] cancel [my order|order {number}|the order of the {item}]
i [want|need|would like] to cancel [what i ordered|the {item} i ordered] {when}
can i still cancel [order {number}|the {item}|my order from {when}]
[do not|please don't] ship the {item}, i don't need it any more
i ordered two {item} by mistake, take one off
[stop|call off] order {number} before it leaves
how do i cancel [an order|something i ordered {when}]
i clicked buy by accident, [undo it|please stop it|i do not want the {item}]
is it too late to cancel the {item}
the {item} is no longer needed, cancel it
withdraw my purchase [{number}|of the {item}] please
i found the {item} cheaper, so i want to cancel""",
    "address": """
[please|] change the [delivery|shipping] address [of|for] [order {number}|the {item}]
i [moved|have moved] to {street}, [update my address|please send it there]
the address on [order {number}|my profile] is wrong
can you ship the {item} to {street} instead
my new address is {street}, {town}
i typed the wrong [house number|street|zip code|postcode] [on order {number}|]
send [order {number}|the {item}] to my [office|neighbor|parents] instead of my home
how do i [edit|change|update] my address
i will be in {town} that week, can the {item} go there
is it possible to deliver to another address [than {street}|]
please correct the street on {number}: {street}
we are moving [to {town}|next week], where do i change that""",
    "damaged": """
the {item} [arrived|came|was delivered] [broken|damaged|cracked|scratched|torn|dented]
my {item} stopped working [after one day|{when}|after a week]
[there is|i found] a [crack|scratch|hole|stain|dent] in the {item}
the box of the {item} was [crushed|wet|open] [and a part is broken|]
one part of the {item} is [missing|broken|bent]
the {item} i [got|received] {when} is [defective|faulty|in pieces]
the {item} does not [turn on|work|hold together]
order {number} came [in pieces|smashed|damaged]
the zipper on the {item} [broke|is torn] [after two days|]
i unpacked the {item} and it is [broken|cracked|bent]
the {item} makes a [strange|loud] noise and then [dies|stops]
a [leg|handle|button|strap] of the {item} came off""",
    "payment": """
my {pay} was [declined|rejected|refused] [at checkout|]
i was charged [twice|two times] for [the {item}|order {number}]
the payment [of {sum}|for {number}|] [failed|does not go through|keeps failing]
[can|do] you take {pay}
why [was|did you take] {sum} [taken|] from my {pay}
checkout says my {pay} is not accepted
you charged {sum} [too much|more than the price shown]
can i pay [by {pay}|in installments|on delivery]
the page [hangs|freezes] when i [pay|enter my {pay}]
there are two charges of {sum} on my {pay}
i tried to pay for the {item} three times and it [fails|errors]
is it safe to pay with my {pay} here""",
    "invoice": """
[please|] send me [the|an] invoice for [order {number}|the {item}]
i need a [receipt|bill|tax receipt] for the {item} [i bought {when}|]
where can i download [the invoice|my receipt] [for {number}|]
the invoice for {number} has the wrong [company name|name|vat number|date]
my accountant needs the invoice [from {when}|of the {item}|for {number}]
i never got [an invoice|a receipt] for [the {item}|{number}]
can you put my company's name on the [bill|invoice|receipt]
[email|mail] me a copy of the receipt [for {sum}|of order {number}|]
does the invoice [show|include] vat
i need [proof of purchase|a receipt] for the {item} for my insurance
please reissue invoice {number}
is there a pdf of the bill for the {item}""",
    "password": """
i forgot my password [again|]
i [can't|cannot] log in [to my account|since {when}|with my email]
how do i reset my [password|login]
the password reset [mail|email|link] [never arrives|does not work|has expired]
it says my [password|login] is wrong but it [is not|isn't]
my account is locked [after too many tries|since {when}|]
i [lost|changed] my phone and can't get the login code
please send me a new password [link|]
the site does not let me sign in [on my phone|]
which email do i use to log in
i want to change my password
two factor code is not [coming|working], i'm locked out""",
    "close account": """
[please|] [delete|close|remove] my account
i [want|would like] to close my account [with you|and have my data erased]
how do i [delete|close] my [account|profile]
[erase|remove] all [the|] data you have [about|on] me
i no longer want to be a customer [of yours|]
[unsubscribe me and|] delete my profile
can you deactivate my account [for good|permanently]
i don't shop here any more, close [it|my account]
take my [name|email|details] out of your system
i want to leave, how do i [end|close] my membership
what happens to my [points|orders] if i delete my account
cancel my membership and remove my account""",
    "discount": """
my [discount|coupon|promo|voucher] code [does not work|is not accepted|says expired]
do you have a [discount|coupon|promo code] for [students|new customers|the {item}|nurses]
is the {item} on sale [soon|this week|]
can i get [a better price|ten percent off|something off] on the {item}
i forgot to enter my [coupon|voucher|code] on order {number}
the price of the {item} [dropped|went down] {when}, do i get the difference
is there a [black friday|summer|birthday] [sale|offer|deal]
how do i use [a voucher|a coupon|my promo code]
the newsletter promised {sum} off but [i see nothing|the code fails]
do you match the price of another shop for the {item}
can i [combine|use] two [vouchers|codes|coupons]
is there free shipping with [a code|two {item}]""",
    "human": """
[i want to|let me|can i] [speak|talk] [to|with] a [person|human|real person|colleague]
[connect|put] me [to|through to] [a person|an agent|your manager|customer service]
[stop|no more] bots, give me a [human|person]
is there a [phone number|hotline] i can call
this chat does not help, i need [a person|someone real|an agent]
[get|give] me your [supervisor|manager|boss]
can someone call me [back|] about [{number}|the {item}]
i have explained it three times, let me talk to somebody
are you a [robot|machine], i want a person
how do i reach a real human [at your shop|]
i want to complain to a manager about [the {item}|{number}|your service]
who can i phone about [order {number}|the {item}]""",
}

OPENINGS = {
    "chat": ("", "", "", "", "hi ", "hey ", "hello ", "so ", "um ", "ok "),
    "app": ("", "", "", "Hi, ", "Hello, ", "Quick question: ", "Good morning, "),
    "mail": (
        "Hello, ",
        "Dear team, ",
        "Good evening, ",
        "Hi there, ",
        "To whom it may concern: ",
        "Dear Sir or Madam, ",
    ),
}
ENDINGS = {
    "chat": ("", "", "", "", " pls", " please", " thx", " asap", "??", " lol"),
    "app": ("", "", ".", "?", ". Thanks", "!", ", please."),
    "mail": (
        ". Thank you.",
        ". Kind regards, Sam",
        ". Best, Noor",
        ". Please advise.",
        ". Thanks in advance!",
        ". Regards",
    ),
}


def rows(seed: int = SEED, per_label: int = ROWS_PER_LABEL) -> list[dict[str, object]]:
    """The dataset: `per_label` different messages for every label, in random order."""
    chance = random.Random(seed)
    found: dict[str, dict[str, object]] = {}
    for label, patterns in PATTERNS.items():
        wanted = len(found) + per_label
        while len(found) < wanted:
            channel = chance.choice(("chat", "chat", "app", "mail"))
            text = _message(chance.choice(patterns.strip().splitlines()), channel, chance)
            said = {"role": "user", "content": text}, {"role": "assistant", "content": label}
            found.setdefault(_bare(text), {"messages": list(said), "group": channel})
    shuffled = list(found.values())
    chance.shuffle(shuffled)
    return shuffled


def _message(pattern: str, channel: str, chance: random.Random) -> str:
    while "[" in pattern:
        pattern = re.sub(r"\[([^\[\]]*)\]", lambda one: chance.choice(one[1].split("|")), pattern)
    text = re.sub(r"\{(\w+)\}", lambda one: chance.choice(WORDS[one[1]].split("|")), pattern)
    text = " ".join(text.split())
    if channel == "chat":
        text = text.lower().replace("'", "") if chance.random() < 0.5 else text.lower()
        text = _slip(text, chance) if chance.random() < 0.15 else text
    else:
        text = re.sub(r"\bi\b", "I", text)
    opening = chance.choice(OPENINGS[channel])
    if channel != "chat" and not opening.endswith((", ", ": ")):
        text = text[0].upper() + text[1:]
    return opening + text + chance.choice(ENDINGS[channel])


def _slip(text: str, chance: random.Random) -> str:
    """Two letters the wrong way round."""
    at = chance.randrange(1, len(text) - 1)
    return text[:at] + text[at + 1] + text[at] + text[at + 2 :]


def _bare(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.lower()).strip()


if __name__ == "__main__":
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows()]
    Path(sys.argv[1]).write_text("".join(lines), encoding="utf-8")
