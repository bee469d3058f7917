"""What mail servers write when they refuse mail, by reason: the language of MTAs. Pure data for reasons.py.

One pattern a line, matched against case-folded text with single spaces. The first reason with a match decides, so the
unmistakable ones come first and the vague words last. `<box>` stands for a word for mailbox or user, `<host>` for one
for host or domain, `<be>` for forms of "to be", `<n words>` for up to n words.
"""

MACROS = {
    "<box>": r"(?:e-?mail|mail ?box(?:es)?|mail ?drop|user(?: ?name)?|recipient(?:'s)?|account|addressee"
    r"|address|local part|alias|inbox|login|customer|person)",
    "<user>": r"(?:mail ?box(?:es)?|mail ?drop|user(?: ?name)?|recipient(?:'s)?|account|addressee|address|local part"
    r"|alias|inbox|login|customer|person)",
    "<host>": r"(?:host(?: ?name)?|domain(?: ?name)?|server|system)",
    "<be>": r"(?:is |are |was |were |has been |have been |been |being |currently |temporarily |permanently )*",
}
TEXTS: tuple[tuple[str, str], ...] = (
    (
        "policy",
        r"""
        groups\.google\.com|google groups|groupe? google
        """,
    ),
    (
        "mailbox_full",
        r"""
        over ?-?quota|mailbox (?:quota|capacity)
        (?:mailbox|account|inbox|user|recipient)<4 words> (?:is |was )?(?:full|overfull|over-?full)\b
        (?:storage|space|disk|mailbox) (?:allocation|allotment|limit) (?:exceeded|reached)
        out of (?:mail ?box|disk|storage) (?:space|quota)
        (?:mailbox|mail box|inbox) (?:is )?(?:too (?:large|big|full)|exceeded)
        reached (?:the|its|his|their) (?:mailbox|storage|quota)
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
        """,
    ),
    (
        "throttled",
        r"""
        too many<2 words> (?:unknown|invalid|bad|nonexistent|wrong)<1 words> (?:users?|recipients?|address|rcpt|mailbox)
        excessive (?:unknown|invalid) (?:users?|recipients?)
        (?:unknown|invalid) (?:users?|recipients?|addresses)<4 words> too (?:many|often|frequently)
        (?:unknown|invalid) (?:users?|recipients?) (?:limit|threshold)
        receiving (?:mail|e-?mail|messages) (?:too|at a rate)|over its messages? rate limit|unusual (?:rate|amount)
        """,
    ),
    (
        "sender_refused",
        r"""
        (?:sender|return[- ]path|envelope[- ]from)<5 words> (?:user unknown|unknown user)
        (?:mail[- ]from|from[- ]address|from header)<5 words> (?:user unknown|unknown user)
        (?:sender|return[- ]path|envelope[- ]from)<5 words> (?:not exist|invalid|unknown)
        (?:mail[- ]from|from[- ]address|from header)<5 words> (?:not exist|invalid|unknown)
        (?:sender|return[- ]path)<4 words> (?:not (?:be )?(?:found|verified|valid|resolv))
        (?:envelope[- ]from|mail[- ]from|from[- ]address)<4 words> (?:not (?:be )?(?:found|verified|valid|resolv))
        (?:sender|return[- ]path)<3 words> (?:verif|call-?out|callback|could not be)
        (?:unable|failed)<1 words> (?:to )?(?:verify|resolve|validate)<3 words> (?:sender|return|from)
        (?:could not|cannot|can't)<1 words> (?:to )?(?:verify|resolve|validate)<3 words> (?:sender|return|from)
        unresolvable sender|(?:invalid|unknown|bad|illegal|malformed) (?:envelope )?sender
        sender<1 words> (?:has no|must)
        verification failed for<9 words> (?:sender|unrouteable)|unknown sender|domain of sender|sender's domain
        """,
    ),
    (
        "policy",
        r"""
        (?:group|list)<12 words> (?:permission to post)
        (?:group|list)<12 words> (?:may not (?:exist|post)|not (?:allow|permit|authori[sz])\w* to post)
        permission to (?:post|send)|not (?:a|allowed) (?:member|subscriber)
        (?:only|restricted to)<4 words> (?:members|subscribers)
        restricted to (?:authenticated|internal|certain|verified)|only accept\w* (?:e-?mails?|mail|messages) from
        not (?:exist )?(?:on|in) (?:the|his|her|their|my|our)<2 words> (?:white ?-?list|allow(?:ed)? ?-?list)
        not (?:on|in) (?:the|his|her|their|my|our)<2 words> (?:approved|contact)
        (?:delivery|access|permission)<5 words> (?:to this (?:group|list|address)|restrict)
        """,
    ),
    (
        "user_unknown",
        r"""
        \buser unknown|\bunknown user|user does(?: not|n't) exist
        no such (?:user|mailbox|recipient|account|address|person)
        (?:user|recipient|mailbox|account|address) (?:was |is )?(?:not found|unknown)\b(?! (?:to|by) (?:us|sender))
        recipient(?:'s)? (?:address )?(?:does(?: not|n't) exist|not found|unknown)
        mailbox (?:not found|does(?: not|n't) exist)
        account that you tried to reach does not exist|address couldn't be found
        address (?:you entered )?couldn.t be found
        doesn.t have an? \S+ account|recipientnotfound|not found by smtp address
        not listed in (?:domino|public|directory)
        unknown (?:or illegal|local part|local-part|virtual) |user name is (?:unknown|invalid)
        unknown (?:to me|name:|to this)|no longer on (?:the |this |our )?server|not (?:our|an|my) account
        (?:no|isn't any|is no) account by that name
        recipient name is not recogni[sz]ed|wasn't found at \S+|couldn't be found(?: at| or)
        no mailbox here by that name
        do(?:es)? not know (?:any|a)(?:body|one| user| person)\b
        account or domain may not exist|no valid recipients? for
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
        part of (?:their|your) network is on our block|will not accept (?:delivery|mail from)
        your (?:ip|host|server|mail server|network)\b
        connections? (?:not accepted|refused|rejected|from|denied)<3 words> (?:servers?|ip|hosts?|policy)
        refused to talk to me: 55|dynamic(?:ally assigned)? ip|\bbotnet
        """,
    ),
    (
        "no_mail_here",
        r"""
        null ?mx|rfc7505
        does(?: not|n't) (?:accept|receive) (?:any )?(?:e-?)?mail\b(?!s? (?:from|that|with|which|over|larger))
        no mail (?:is )?accepted(?! from)|no longer accepts? (?:e-?)?mail|accepts no mail
        smtp service not (?:provided|supported)
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
        sender(?:'s)?(?: address| domain)* (?:is |was )?not (?:allowed|permitted|accepted|authori[sz]ed)
        (?:your|sending) domain(?: name)? (?:has no|has an invalid|does not|doesn't|could not|cannot)
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
        (?:mailbox|account) (?:is |has been )?(?:currently )?blocked\b
        (?:this|the) (?:mailbox|account) (?:is|has been) (?:shut|closed|disabl)
        (?:mailbox|account|user) (?:is |has been )?(?:on hold|held)|address (?:is )?no longer (?:active|in service)
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
        <user><4 words> (?:could not be|can ?not be|<be>not|wasn't|isn't) (?:found|valid|known|recogni[sz]ed|listed)
        <user><4 words> (?:could not be|can ?not be|<be>not|wasn't|isn't) (?:registered|existing|available|deliverable)
        <box><4 words> (?:<be>not|isn't) (?:on (?:this|our) (?:system|server)|a valid|a known|located|local)\b
        not (?:a |an )?(?:valid|known|registered|existing|local) (?:\w+ )?<box>|(?:not|isn't) our customer
        invalid (?:or unknown |local |final |delivery |e-?mail )*(?:<box>|recipients?)
        (?:bad|illegal|nonexistent|non-existent|wrong|incorrect) (?:\w+ )?(?:destination |e-?mail )?<box>
        (?:undeliverable|undefined) (?:destination |e-?mail )?<user>
        recip(?:ient)?\.?notfound|(?:recipient|user|account|mailbox) not found|not found by smtp address
        not listed in (?:domino|public|directory)
        not in (?:the )?(?:directory|user list|address ?book|local recipient)
        unroute?able (?:mail )?(?:address|recipient)|can(?:no|')?t find (?:user|recipient|mailbox)
        (?:mailbox|recipient) (?:is )?unavailable(?! temporarily)|unavailable mailbox|no mailbox
        no longer (?:valid|available|with (?:us|the|our)|in use|at (?:this|the|our))
        no longer (?:on (?:this|our|the)|have|has|a valid|an employee|a customer)
        user[_ ]unknown|userunknown|unknownuser|(?:unknown|bad) user\b|never heard of|not a user
        destination<2 words> (?:unknown|invalid|not known|does not)
        isn't (?:a|an) (?:valid|known|existing|active|registered) |is not (?:a user|here\b)
        unknown in (?:virtual|local|relay|our)
        did not<1 words> match an|no match(?:ing)?<2 words> (?:user|address|recipient|name)
        all recipients (?:are )?invalid|discarded user|address unknown|(?<!sender )address rejected(?!:)
        (?:invalid|unknown|illegal|wrong|bad|incorrect|non-?existent) (?:recipient|e-?mail address)
        (?:invalid|unknown|illegal|wrong|bad|incorrect|non-?existent) (?:mailbox|mail address|destination)
        (?:recipient|rcpt|address)<2 words> (?:verify|verification)<1 words> (?:failed|failure|unsuccessful)
        (?:recipient|rcpt|address)<2 words> (?:validation|look-?up)<1 words> (?:failed|failure|unsuccessful)
        (?:is|was) not a valid|name<3 words> not (?:found|known|in)|ambiguous (?:user|name|recipient)
        (?:typo|misspel|spelling)|check<3 words> (?:address|spelling|recipient)<4 words> (?:correct|again|try|and)
        (?:left|leave[sd]?|retired from|departed) (?:the|our) (?:company|organi[sz]ation|firm|university)|deceased
        mailbox has been (?:deleted|removed|deactivated)|no (?:inbox|mailbox|account|user)\b
        account<3 words> (?:deleted|removed)
        recipient address rejected: (?:undeliverable|unverified|user|invalid|unknown|no such|access denied)
        <user> <be>(?:deleted|removed)\b
        """,
    ),
    (
        "host_unknown",
        r"""
        mx records? (?:\(s\) )?(?:point|resolve)\w*<2 words> non-?existent|(?:domain|host)<3 words> (?:is )?unroute?able
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
        (?:host|name)<2 words> (?:not found|unknown)[,;:.]? (?:please )?try again
        temporar\w+<3 words> (?:dns|name|look)|dns (?:error|time)
        (?:unable|failed) to connect|connect to \S+: |connection (?:was )?(?:terminated|aborted|attempt)
        network is unreachable
        no answer from|destination unreachable|peer closed
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
        (?:was|been|is) (?:in|on) (?:the|our|my) (?:mail )?queue|(?:time|period) (?:has )?(?:expired|elapsed)
        timeout (?:period|exceeded)
        (?:message|mail) (?:will be|has been) (?:deleted|removed) from|could not be sent for
        after (?:\d+|several|many) (?:days|hours|attempts|tries)
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
        (?:duplicate|missing|invalid|illegal|malformed|bad|multiple)<2 words> (?:header|message-id|from|date|mime)\b
        non-?compliant|rfc ?5?322|rfc ?2822|\b8bit|bare (?:lf|cr)|attachment|line (?:too long|length)|content
        """,
    ),
    (
        "mailbox_refuses",
        r"""
        (?:recipient|user|person|addressee|customer)<4 words> (?:not (?:accept|receiv|want)\w*|refuse[sd]?)
        (?:recipient|user|person|addressee|customer)<4 words> (?:declin\w*|asked not to|opted out)
        does not (?:like|want) (?:recipient|mail|to receive)|blocked (?:by|for) (?:the )?(?:recipient|user)
        user filter|user-defined
        (?:mailbox|recipient|user)<3 words> (?:temporarily|currently) (?:unavailable|not available|inaccessible)
        mailbox (?:locked|busy|in use)
        """,
    ),
    (
        "system",
        r"""
        (?:cannot|can't|could not|unable to) (?:update|access|lock|find) (?:mailbox|maildir|spool|the mailbox)
        mailbox (?:locked|busy|corrupt)
        queue file|\.forward|\bmaildrop\b|procmail|\bcyrus\b|local delivery (?:failed|agent)|unknown mailer error
        mail receiving disabled
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
