"""What mail servers write when they refuse mail, by reason: the language of MTAs. Pure data for reasons.py.

One pattern a line, matched against case-folded text with single spaces. The first reason with a match decides, so the
unmistakable ones come first and the vague words last. `<box>` stands for a word for mailbox or user, `<host>` for one
for host or domain, `<be>` for forms of "to be", `<n words>` for up to n words.
"""

import re

_MACROS = {
    "<box>": r"(?:e-?mail|mail ?box(?:es)?|mail ?drop|user(?: ?name)?|recipient(?:'s)?|account|addressee"
    r"|address|local part|alias|inbox|login|customer|person)",
    "<host>": r"(?:host(?: ?name)?|domain(?: ?name)?|server|system)",
    "<be>": r"(?:is |are |was |were |has been |have been |been |being |currently |temporarily |permanently )*",
}
_WORDS = re.compile(r"<(\d) words>")

TEXTS: tuple[tuple[str, str], ...] = (
    (
        "mailbox_full",
        r"""
        over ?-?quota
        quota<3 words> (?:exceed|reached|full|violation)
        exceed\w*<6 words> quota
        disk quota
        <box><3 words> <be>(?:full|over (?:its |the )?(?:quota|limit|size)|out of (?:storage|space))\b
        (?:mailbox|mail folder|maildir|inbox) ?full
        full mailbox|mailfull|out of storage space|storagequotaexceeded
        storage<2 words> exceeded
        (?:mailbox|account|inbox|maildir)<4 words> exceed\w*
        exceed\w* (?:the |its |his |their |allowed |maximum )*(?:mailbox|storage|space|message count)
        (?:not enough|insufficient|no) (?:disk |mailbox |storage |free )*(?:space|storage|room)<4 words> <box>
        mailbox size limit
        would exceed<3 words> (?:quota|limit|mailbox)
        too (?:much|many) (?:mail|messages|data) in (?:mailbox|inbox)
        bo[iî]te.{0,30}pleine|postfach.{0,30}voll|buz[oó]n.{0,30}lleno|caixa.{0,30}cheia|メールボックスが一杯|переполнен
        """,
    ),
    (
        "authentication",
        r"""
        \bd(?:marc|kim)\b(?!\.)|\bspf\b|sender policy framework|\bdkim-?signature
        unauthenticated (?:e-?)?mail|sender id\b|purported responsible
        (?:does not|doesn't|did not|failed to|not) (?:pass|meet)<4 words> authentication
        requires? (?:all )?(?:bulk )?(?:sender|mail)s?<3 words> to authenticate
        authentication (?:checks?|results?|requirement|level)\b|domain ownership
        """,
    ),
    (
        "reputation",
        r"""
        \b(?:reverse dns|rdns|ptr)\b|bad (?:dns )?ptr
        (?:unable|failed|can ?not|could not) (?:to )?(?:find|resolve) (?:your|the) (?:hostname|host name|ip)
        cannot find your (?:reverse )?hostname
        \b(?:rbl|dnsbl|spamhaus|spamcop|barracuda ?central|sorbs|uceprotect|cloudmark|senderbase|senderscore)\b
        \b(?:invaluement|mailspike|abusix)\b|proofpoint\.com/dnsbl
        black ?-?list|block ?-?list(?!ed recipient)|reputation
        listed (?:in|at|on|by)(?! (?:the )?(?:public|domino|directory))
        \b(?:client|ip|host|network|server|address|connection)<4 words> <be>(?:blocked|banned|blacklisted)
        \b(?:blocked|banned) (?:by|from|using|because|due|for|until|ip|host|client)
        part of (?:their|your) network is on our block
        your (?:ip|host|server|mail server|network)\b
        connections? (?:not accepted|refused|rejected|from|denied)<3 words> (?:servers?|ip|hosts?|policy)
        refused to talk to me: 55|dynamic(?:ally assigned)? ip|\bbotnet
        """,
    ),
    (
        "no_mail_here",
        r"""
        null ?mx|rfc7505|does(?: not|n't) (?:accept|receive) (?:e-?)?mail
        no mail (?:is )?accepted|no longer accepts mail
        """,
    ),
    (
        "relaying",
        r"""
        relay(?:ing)?<4 words> (?:denied|not (?:permitted|allowed)|prohibited|refused|disallowed)
        unable to relay|not (?:permitted|allowed|authorized) to relay|(?:we|i) (?:do not|don't) relay
        no relaying|open relay|not gateway|rcpthosts|non-accepted domain|not one of my domains
        is not (?:a )?(?:local|accepted) domain
        """,
    ),
    (
        "sender_refused",
        r"""
        sender(?:'s)?(?: address| domain| verify)*<2 words> (?:rejected|refused|denied|blocked|failed)
        sender(?:'s)?(?: address| domain)* (?:unknown|invalid|does not exist|not found)
        (?:bad|invalid|unknown|forged|spoofed) (?:sender|return path|from)
        sender (?:verification|callout|verify)|domain of sender|from address|valid sender domain
        mail ?from<3 words> (?:rejected|refused|denied|not allowed)
        null (?:reverse-path|sender)s? (?:not|reject)
        you are not (?:allowed|authori[sz]ed)|not authori[sz]ed to send
        authentication (?:is )?required|must authenticate|authrequired
        """,
    ),
    (
        "throttled",
        r"""
        too (?:many|much|fast|frequent)\w*<5 words> (?:connections?|sessions?|recipients|messages|e?-?mails?)
        too (?:many|much|fast|frequent)\w*<5 words> (?:requests|commands|errors|hour|concurren\w*|simultaneous)
        too (?:fast|quickly|frequently|rapidly|many unknown users)|rate ?-?limit|throttl|unusual rate|slow down
        exceed\w*<5 words> (?:rate|connections?|messages per|per (?:hour|minute|day)|concurrency|sending limit)
        receiving mail at a rate|resources temporarily|load too high|server (?:is )?(?:too )?busy|too busy
        """,
    ),
    (
        "greylisted",
        r"""
        gr[ea]y ?-?list|temporarily (?:deferred|rejected|delayed|blocked)|deferred due to user complaints
        please (?:retry|try again) (?:in|after) \d+
        """,
    ),
    (
        "virus",
        r"""
        \bvirus\b|malware|infected|phishing|malicious|trojan
        """,
    ),
    (
        "moved",
        r"""
        (?:has|have) (?:been )?moved|moved to (?:a )?new|user not local; please try
        changed (?:his|her|their|its) (?:e-?mail )?address|new (?:e-?mail )?address is
        no longer (?:works?|employed)
        """,
    ),
    (
        "mailbox_disabled",
        r"""
        <box><6 words>? <be>(?:disabled?|inactive|deactivated|de-activated|suspended|closed|locked|expired)\b
        <box><6 words>? <be>(?:terminated|frozen|discontinued|cancell?ed|not active|dormant|dead|abandoned)\b
        <box><6 words>? <be>(?:on hold|administratively)\b
        (?:disabled|inactive|suspended|closed|locked|expired|deactivated|dormant|frozen) (?:e-?mail |mail )?<box>
        not been (?:active|used) for|has not logged|temporarily disabled|extended inactivity
        (?:mailbox|account|recipient|user) (?:is )?(?:currently )?(?:blocked|restricted)\b
        no longer (?:active|in service)
        """,
    ),
    (
        "user_unknown",
        r"""
        unknown (?:or illegal |or invalid |local |virtual |e-?mail |mail |alias |to |destination |final )*<box>
        (?:user|recipient|mailbox|account|alias|addressee|e-?mail|inbox|local-?part)s?<3 words> <be>unknown\b
        (?:user|recipient|mailbox|account|alias|addressee|e-?mail|inbox|local-?part)s?<3 words> <be>invalid\b
        address<3 words> <be>(?:unknown|invalid|not known)\b
        no such (?:\w+ )?(?:<box>|one|name|local)|there is no (?:such |user|one|account|mailbox|e-?mail|person)
        no <box>(?: \w+)? (?:here|by that|with that|found|exists?|of that)
        (?:<box>|it|that name|you tried to reach|name)<8 words>? (?:does|do|did)(?: not|n't) exist
        (?:does not|doesn't|do not|don't) exist(?! in dns|ent domain)|no longer exists?
        <box><4 words> (?:could not be|can ?not be|<be>not|wasn't|isn't) (?:found|valid|known|recogni[sz]ed|listed)
        <box><4 words> (?:could not be|can ?not be|<be>not|wasn't|isn't) (?:registered|existing|available|deliverable)
        <box><4 words> (?:<be>not|isn't) (?:on (?:this|our) (?:system|server)|a valid|a known|located|local)\b
        not (?:a |an )?(?:valid|known|registered|existing|local) (?:\w+ )?<box>|(?:not|isn't) our customer
        invalid (?:or unknown |local |final |delivery |e-?mail )*(?:<box>|recipients?)
        (?:bad|illegal|nonexistent|non-existent|wrong|incorrect) (?:\w+ )?(?:destination |e-?mail )?<box>
        (?:undeliverable|undefined) (?:\w+ )?(?:destination |e-?mail )?<box>
        recip(?:ient)?\.?notfound|(?:recipient|user|account|mailbox) not found|not found by smtp address
        not listed in (?:domino|public|directory)
        not in (?:the )?(?:directory|user list|address ?book|local recipient)
        unroute?able (?:mail )?(?:address|recipient)|can(?:no|')?t find (?:user|recipient|mailbox)
        (?:mailbox|recipient) (?:is )?unavailable(?! temporarily)|unavailable mailbox|no mailbox
        no longer (?:valid|available|with|in use|at|on|have|has|a valid|an employee|a customer)
        user[_ ]unknown|userunknown|unknownuser|(?:unknown|bad) user\b|never heard of|not a user
        destination<2 words> (?:unknown|invalid|not known|does not)|verification failed for
        isn't (?:a|an|in) |is not (?:a user|here|a member)|unknown in (?:virtual|local|relay|our)
        all recipients (?:are )?invalid|dead letter|discarded user|address (?:error|unknown)|address rejected(?!:)
        recipient address rejected: (?:undeliverable|unverified|user|invalid|unknown|no such|access denied)
        n'existe pas|existiert nicht|no existe|n[ãa]o existe|non esiste|не существует|okänd mottagare|ukjent mottaker
        unbekannte[rn]? (?:empfänger|benutzer|adresse)|宛先.{0,10}(?:不明|見つか)
        doesn.t have an? \S+ account|<box> <be>(?:deleted|removed)
        """,
    ),
    (
        "host_unknown",
        r"""
        (?:<host>|name)<3 words> (?:<be>|could |can ?)(?:not found|unknown|not (?:be )?(?:found|resolved|known|valid))
        (?:<host>|name)<3 words> <be>(?:does(?: not|n't) exist|nonexistent|invalid)
        (?:host|domain)(?: name)? (?:lookup|look-up) fail|couldn'?t find any host|illegal host/domain
        (?:no such|unknown|bad|invalid|nonexistent|illegal) (?:mail )?(?:destination )?(?:host|domain|system)
        (?:unrouteable|unresolvable|unable to resolve) (?:mail )?(?:host|domain)
        domain (?:does(?: not|n't) exist|is not reachable)|nxdomain|name or service not known
        no (?:mx|a record|mail exchanger|dns entries|route to domain|mail server)
        unable to (?:look ?up|resolve|find)<4 words> (?:domain|host|mx)
        domain (?:has |is )?(?:no |not )(?:mx|valid|longer)
        """,
    ),
    (
        "message_too_big",
        r"""
        (?:message|mail|e-?mail|size|header|body|attachment)s?<4 words> (?:too (?:big|large|long)|exceed)
        (?:message|size|length)<3 words> (?:limit|maximum)|maximum (?:message )?size|recipsizelimit
        exceed\w*<4 words> (?:message )?size|larger than|too big for
        """,
    ),
    (
        "spam",
        r"""
        \bspam\w*|unsolicited|\bube\b|\buce\b|\bjunk\b|bulk (?:e-?)?mail|complaints?\b|\bscored?\b
        looks like|advertis|abus(?:e|ive)|content filter
        """,
    ),
    (
        "loop",
        r"""
        (?:mail|routing|message|forwarding) loop|too many hops|hop ?count|loops? back|loop detected
        maximum hops|hops exceeded|mail for \S+ loops
        """,
    ),
    (
        "network",
        r"""
        connection (?:timed? ?out|refused|reset|lost|dropped|closed|failed|died|broken|interrupted)|timed? ?out
        no route to host|(?:host|network|domain) (?:is )?(?:unreachable|not reachable)|not reachable
        (?:could not|unable to|cannot|couldn'?t) (?:connect|establish|contact)
        (?:did not|didn't|not) (?:accept our requests|respond|answer)
        server (?:is )?(?:down|unavailable|not responding)|lost connection|broken pipe|network error
        name (?:server|service)<2 words> (?:error|failure|timeout)|temporar\w+ (?:lookup|resolution|dns)
        tls (?:handshake|negotiation|connection|is)|starttls|conversation with \S+ timed
        """,
    ),
    (
        "expired",
        r"""
        retry (?:time|timeout)<3 words> (?:exceeded|reached|expired)|retry limit|giving up|expired
        (?:delivery|message|queue|retention)<3 words> (?:expired|time ?out|too (?:old|long))
        too long (?:in|on)(?: \w+)? queue|in queue too long|undelivered (?:for|after|within)
        could not be delivered (?:for|within|after)|not (?:be |been )?delivered (?:for|within|in|after) \d+
        (?:maximum|max) (?:number of )?(?:retries|attempts|time)
        """,
    ),
    (
        "policy",
        r"""
        polic(?:y|ies)|access denied|administrative(?:ly)? (?:prohibit|den)|prohibited|security|restricted|moderat
        not (?:permitted|allowed|accepted)|recipient preferences|(?:do )?not have permission|do not want
        white ?-?list|allow ?list|service (?:refused?|denied)|reject|denied|blocked|filtered|refused
        """,
    ),
    (
        "content",
        r"""
        (?:duplicate|missing|invalid|illegal|malformed|bad|multiple) <2 words> ?(?:header|message-id|from|date|mime)
        non-?compliant|rfc ?5?322|rfc ?2822|\b8bit|bare (?:lf|cr)|attachment|line (?:too long|length)|content
        """,
    ),
    (
        "system",
        r"""
        (?:local|system|internal|configuration|software|upstream|processing|disk|i/o)<2 words> (?:error|failure|fault)
        (?:server|unexpected|temporary|mail system)<2 words> (?:error|failure|problem|misconfigur)
        insufficient (?:system )?(?:storage|resources)|out of memory|disk full|no space left|read-only
        can(?:not|'t) (?:create|open|write|append)|lock (?:failed|error)|pipe (?:error|command|to)
        child (?:process|exited)|command (?:died|failed|output)|exit(?:ed)? (?:code|status)|transaction failed
        service (?:unavailable|not available|temporarily)|try again later|later
        """,
    ),
    (
        "protocol",
        r"""
        syntax error|bad sequence|protocol (?:error|violation)|command (?:not|parameter|un)
        unrecogni[sz]ed|not implemented|parameter
        """,
    ),
)


def compile_texts() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Return (reason, pattern) in the order in which they are to be tried."""
    return tuple(
        (reason, re.compile("|".join(_expand(line) for line in lines.split("\n") if line.strip())))
        for reason, lines in TEXTS
    )


def _expand(line: str) -> str:
    line = _WORDS.sub(r"(?: \\S+){0,\1}", line.strip())
    for macro, pattern in _MACROS.items():
        line = line.replace(macro, pattern)
    return line
