"""How people ask to be left alone, in their languages. Pure data for unsubscribes.py.

One pattern a line, a language after the other, looked for as delivery/phrases.py has it: case and accents do not count.
"""
# ruff: noqa: RUF001 - letters of other alphabets

REQUESTS = r"""
    (?:remove|take|delete|unsubscribe|drop|get) (?:me|us|my (?:e-?mail|address|name)|this (?:e-?mail|address))\b
    (?:me|us) off (?:this|your|the) (?:\w+ )?list|please,? (?:remove|unsubscribe)(?:[.!]|$)|un-?subscribe from
    stop (?:sending|e-?mailing|mailing|contacting|spamming|these|this)|please<1 words> unsubscribe
    (?:do not|don't|never|stop) (?:e-?mail|mail|contact|send|write)(?:ing)? (?:to )?(?:me|us)\b
    no longer (?:want|wish) to (?:receive|get)|(?:don't|do not) (?:want|wish) (?:to (?:receive|get)|any(?: more)?)
    (?:don't|do not) (?:want|wish) (?:these|your)|not interested.{0,30}remove|opt (?:me )?out\b
    (?:want|like|wish) to (?:unsubscribe|opt out|be removed)|cancel my (?:subscription|newsletter)

    aus (?:dem|ihrem|eurem|der|ihrer) (?:e-?mail-?)?(?:verteiler|liste|mailingliste)|newsletter.{0,20}nicht mehr
    (?:bitte|möchte|will).{0,60}(?:abmelden|abbestellen|austragen)|meld(?:en|e|et) sie mich.{0,30} ab\b|melde mich ab
    (?:entfern|lösch|streich)\w* (?:sie |mich |mir )?(?:mich|uns|meine[nr]?|unsere)\b
    newsletter (?:abbestellen|kündigen)
    (?:mich|uns|meine (?:e-?mail|mail)?-?adresse).{0,40}(?:entfernen|löschen|streichen|abmelden)
    keine (?:weiteren )?(?:e-?mails|mails|newsletter|werbung|nachrichten) mehr
    widerspreche<6 words> (?:werbung|zusendung)
    (?:e-?mails|mails|werbung|nachrichten).{0,20}nicht mehr (?:erhalten|bekommen|haben)

    dés(?:in|a)(?:scri|bonn)|ne (?:plus|souhaite plus|veux plus|désire plus) .{0,20}(?:recevoir|envoyer|m'envoyer)
    (?:retire[rz]|supprime[rz]|enleve[rz])[ -].{0,30}(?:liste|adresse)
    ne plus (?:m'|nous )(?:envoyer|écrire|adresser|contacter)

    dar(?:me|nos)? de baja|dén?me de baja|no (?:quiero|deseo) (?:recibir|más)|(?:quít|elimín|bórr)[ea]n?(?:me|nos)
    (?:eliminar|quitar|borrar|retirar)(?:me|nos)? .{0,20}(?:lista|correo)|no me (?:envíen|manden) más

    cancella(?:mi|temi|re|rmi|rci)|disiscri|non (?:voglio|desidero) (?:più )?ricevere|rimuove(?:te|re|r)mi|rimuovimi
    (?:toglie|rimuove)(?:te|re|r)(?:mi|ci)|non (?:inviate|mandate)(?:mi|ci)? più

    não (?:quero|desejo) (?:mais )?receber|(?:remov|descadastr|retir|exclu)\w*[ -]?(?:me)?\b.{0,30}(?:lista|cadastro)
    cancelar (?:a )?(?:minha )?(?:inscri|assinatura)

    avregistrera|avprenumerera|ta bort (?:mig|min)|sluta skicka|vill inte (?:ha|få) (?:fler|mer|era)
    avsluta min prenumeration
    meld(?:e)? (?:meg|mig) (?:av|fra)|ta (?:mig|meg) (?:bort|av)|fjern (?:meg|mig)|vil ikke (?:ha|motta|modtage)
    ikke (?:lenger|længere) (?:å |at )?(?:motta|få|modtage|have)|(?:ønsker|vil) .{0,20}(?:avmeld|afmeld)|stopp utsend

    afmeld|uitschrijven|schrijf (?:me|mij) uit|geen (?:e-?mails|mails|nieuwsbrie\w+|berichten) meer
    verwijder (?:me|mij|mijn)

    poista(?:kaa)? (?:minu|osoit)|en halua (?:enää|vastaanottaa)|peru(?:uttakaa|kaa)? .{0,20}(?:uutiskirje|tilau)

    wypisa|nie chcę (?:więcej )?(?:otrzymywa|dostawa)|usuń(?:cie)? mnie|prosz[ęe] o usunięcie .{0,20}(?:adres|list)
    odhlásit|odhlaste m|nechci (?:dále |už )?(?:dostávat|přijímat)|nechcem (?:už )?(?:dostávať|prijímať)|vyřaďte m
    leiratkoz|töröljenek|nem (?:kérek|szeretnék) .{0,20}(?:levelet|hírlevel)|dezabon|nu mai (?:doresc|vreau) .{0,20}prim

    отпи(?:сать|шите)|не (?:хочу|желаю) (?:больше )?получать|удалите (?:меня|мой)
    исключи\w+ .{0,20}(?:адрес|меня|рассыл)
    відпи(?:сати|шіть)|не (?:хочу|бажаю) (?:більше )?отримувати|видаліть (?:мене|мою)

    配信(?:を)?(?:停止|中止)|配信不要|メールを(?:送ら|止め)|退订|取消订阅|不要再.{0,4}发|不要再.{0,4}發|取消訂閱|停止发送
    수신(?:을)? ?거부|수신거부|보내지 (?:마|말)|구독 ?(?:취소|해지)
    listeden (?:çıkar|sil)|(?:mail|e-?posta|bülten) almak istemiyorum|aboneli\w+ (?:iptal|sonlandır)
    διαγρά(?:ψτε|φη) .{0,15}(?:με|λίστα)|batalkan langganan|berhenti berlangganan|hủy đăng ký|ngừng gửi
"""
