"""What mail servers write when they refuse mail, in languages other than English. Pure data for reason_texts.py.

Such notices hold a sentence for the reader in his language; where an SMTP reply stands beside it, both are read. The
words are case-folded, so `ß` stands here as `ss`. Accents are left out by `fold`, in the text and in these patterns.
"""
# ruff: noqa: RUF001 - letters of other alphabets

TEXTS_WORLD: tuple[tuple[str, str], ...] = (
    (
        "policy",
        r"""
        (?:groupe|gruppe|grupo|gruppo|groep|gruppen|grupp|グループ|группа)\b.{0,80}(?:n'existe|existiert|exist|esist)
        (?:groupe|gruppe|grupo|gruppo)\b.{0,80}(?:bestaat|finnes|finns|存在|существ)
        (?:groep|gruppen|grupp|グループ|группа)\b.{0,80}(?:bestaat|finnes|finns|存在|существ)
        (?:груп[аиу]|skupin|grup[aęu]?\b|ομάδα|csoport|ryhmä).{0,80}(?:не існує|не съществува|nie istnieje|neexistuje)
        (?:skupin|grup[aęu]?\b|ομάδα|csoport|ryhmä).{0,80}(?:ne postoji|nu există|δεν υπάρχει|nem létezik|ei ole|tidak)
        (?:nhóm|그룹|群组|群組|กลุ่ม|المجموعة|הקבוצה).{0,80}(?:không tồn tại|없|不存在|ไม่มี|غير موجود|לא קיימ)
        """,
    ),
    (
        "reputation",
        r"""
        \bip-?adress|adresse ip\b|ip source|direcci[oó]n ip\b|indirizzo ip\b|endere[cç]o ip\b|ip-адрес|\bip ?地址
        liste noire|schwarze liste|lista (?:negra|nera)|svartlist|чёрн\w+ спис|черн\w+ спис|黑名单
        """,
    ),
    (
        "mailbox_full",
        r"""
        (?:postfach|mailbox|speicher\w*|posteingang).{0,40}(?:voll|überfüllt|überschritten|erschöpft)
        kontingent.{0,30}überschritten
        quota.{0,20}(?:überschritten|dépassé|superad|excedid|superat|overschreden|overskred|överskrid|превышен)
        (?:bo[iî]te|messagerie|espace).{0,40}(?:pleine|saturée|dépassé|plein\b|satur)|dépassé.{0,20}quota
        (?:buz[oó]n|casilla|bandeja).{0,40}(?:llen[oa]|excedid|superad)|cuota.{0,20}(?:excedid|superad)|sin espacio
        caixa.{0,40}(?:cheia|lotada|excedid)|cota.{0,20}excedid|casella.{0,40}piena
        spazio.{0,20}(?:esaurito|insufficiente)
        (?:postvak|mailbox).{0,30}\bvol\b
        (?:postlåda|brevlåda|inkorg|postboks|postkasse|innboks|indbakke).{0,40}(?:full|fuld|fullt)
        skrzynk.{0,30}(?:pełn|przepełn)|переполнен|ящик.{0,30}полон|превышен\w* (?:квот|лимит|размер)
        メールボックス.{0,20}(?:一杯|いっぱい|容量|満杯|超)|容量.{0,10}(?:超過|オーバー|超え|いっぱい)
        受信(?:容量|箱).{0,10}(?:超|いっぱい|一杯)
        (?:邮箱|信箱|郵箱|邮件箱).{0,10}(?:已满|满了|空间不足|超|已滿|滿)|容量已满
        (?:postilaatikko|sähköposti).{0,30}täynnä|posta kutusu.{0,20}(?:dolu|doldu)|kota.{0,20}(?:aşıldı|doldu)
        (?:schránk|mailbox|kvót).{0,30}(?:plná|překroč|prekroč)|postafiók.{0,30}(?:megtelt|tele)
        (?:căsuț|cutia).{0,30}plin|(?:sandučić|poštni predal).{0,30}(?:pun|poln)|postkast.{0,20}täis
        (?:скринька|поштова).{0,30}(?:переповнен|заповнен)|кутия.{0,20}пълна|γραμματοκιβώτιο.{0,30}(?:γεμάτο|πλήρες)
        תיב(?:ת|ה).{0,20}מלאה|صندوق.{0,20}ممتلئ|kotak (?:surat|masuk|pos).{0,20}penuh|hộp thư.{0,20}(?:đầy|hết)
        กล่องจดหมาย.{0,20}เต็ม|(?:메일함|메일박스|사서함|편지함|용량).{0,12}(?:가득|초과|부족|꽉)
        """,
    ),
    (
        "mailbox_disabled",
        r"""
        (?:konto|postfach|mailbox|benutzer).{0,40}(?:deaktiviert|gesperrt|gelöscht|stillgelegt|geschlossen)
        (?:compte|bo[iî]te).{0,40}(?:désactivé|suspendu|fermé|supprimé|bloqué|clôturé)
        adresse.{0,40}(?:désactivé|supprimé|clôturé)
        (?:cuenta|buz[oó]n).{0,40}(?:desactivad|suspendid|deshabilitad|inactiv|bloquead|cancelad|eliminad)
        (?:conta|caixa).{0,40}(?:desativad|suspens|inativ|bloquead|cancelad|encerrad)
        (?:account|casella|utente).{0,40}(?:disattivat|sospes|disabilitat|chius)
        (?:account|postvak).{0,30}(?:uitgeschakeld|geblokkeerd|opgeheven)
        konto(?:t|en)?.{0,30}(?:stengt|sperret|avslutat|inaktiverat|spärrat|lukket)
        (?:ящик|аккаунт|учетная запись).{0,40}(?:заблокирован|отключен|неактив)
        (?:アカウント|メールボックス).{0,20}(?:停止|無効|凍結|解約)
        (?:帐号|账号|账户|邮箱).{0,10}(?:停用|冻结|禁用|过期)
        """,
    ),
    (
        "user_unknown",
        r"""
        (?:empfänger|benutzer|adressat|postfach|e-mail-adresse|adresse|mailbox).{0,50}(?:unbekannt)
        (?:empfänger|benutzer|adressat).{0,50}(?:existiert nicht|nicht (?:gefunden|bekannt|vorhanden|gültig))
        (?:postfach|e-mail-adresse|adresse|mailbox).{0,50}(?:existiert nicht)
        (?:postfach|e-mail-adresse|adresse|mailbox).{0,50}(?:nicht (?:gefunden|bekannt|vorhanden|gültig))
        unbekannte[rn]? (?:empfänger|benutzer|adress|user)|(?:empfänger|benutzer|adresse).{0,20}(?:ungültig|falsch)
        ungültige[rn]? (?:empfänger|adresse)
        kein (?:solches|solcher|gültiger|gültiges) (?:postfach|benutzer|empfänger)|existiert nicht
        gibt es (?:hier )?nicht|keinen account
        adressen?\b.{0,20}nicht gefunden
        (?:destinataire|utilisateur|adresse|bo[iî]te|compte).{0,50}(?:inconnu|n'existe (?:pas|plus)|introuvable)
        (?:destinataire|utilisateur|adresse|bo[iî]te|compte).{0,50}(?:inexistant|invalide|non valide)
        (?:aucun|pas d') (?:utilisateur|destinataire|bo[iî]te)|n'existe (?:pas|plus)|utilisateur inconnu
        destinataire inconnu|pas d'utilisateur|adresse introuvable
        (?:usuario|destinatari[oa]|cuenta).{0,30}no (?:se encuentra|est[aá]) registrad
        no se (?:ha )?(?:encontr\w+).{0,20}(?:direcci[oó]n|usuario|buz[oó]n|destinatari)
        (?:usuario|destinatari[oa]|direcci[oó]n).{0,50}(?:desconocid|no (?:existe|encontrad|v[aá]lid|se encontr))
        (?:buz[oó]n|cuenta|casilla).{0,50}(?:desconocid|no (?:existe|encontrad|v[aá]lid|se encontr))
        (?:usuario|destinatari[oa]|direcci[oó]n|buz[oó]n|cuenta|casilla).{0,50}(?:inexistente|inv[aá]lid|incorrect)
        (?:usu[aá]rio|destinat[aá]rio|endere[cç]o|caixa|conta).{0,50}(?:desconhecid)
        (?:usu[aá]rio|destinat[aá]rio).{0,50}(?:n[aã]o (?:existe|encontrad|[eé] v[aá]lid|foi encontrad))
        (?:endere[cç]o|caixa|conta).{0,50}(?:n[aã]o (?:existe|encontrad|[eé] v[aá]lid|foi encontrad))
        (?:usu[aá]rio|destinat[aá]rio|endere[cç]o|caixa|conta).{0,50}(?:inexistente|inv[aá]lid)
        (?:utente|destinatario|indirizzo|casella).{0,50}(?:sconosciut|non (?:esiste|trovat|valid|[eè] stat[oa] trovat))
        (?:utente|destinatario|indirizzo|casella).{0,50}(?:inesistente|errat)|no existe|n[aã]o existe|non esiste
        (?:gebruiker|ontvanger|adres|postvak).{0,40}(?:onbekend|bestaat niet)
        (?:gebruiker|ontvanger|adres|postvak).{0,40}(?:niet (?:worden )?(?:gevonden|bekend|geldig)|ongeldig)
        onbekende (?:gebruiker|ontvanger)
        (?:användare|mottagare|adress|konto|postlåda)\w*.{0,40}(?:okänd|finns inte|hittades inte)
        (?:användare|mottagare|adress|konto|postlåda)\w*.{0,40}(?:inte hitta|existerar inte|ogiltig)
        okänd (?:användare|mottagare)
        (?:bruker|mottaker|modtager|adresse|postboks|postkasse)\w*.{0,40}(?:ukjent|ukendt|finnes ikke)
        (?:bruker|mottaker|modtager|adresse|postboks|postkasse)\w*.{0,40}(?:findes ikke|ikke (?:funnet|fundet))
        (?:bruker|mottaker|modtager|adresse|postboks|postkasse)\w*.{0,40}(?:eksisterer ikke|ugyldig)
        (?:bruker|bruger|mottaker|modtager|adresse)\w* ble[v]? ikke (?:funnet|fundet)
        ukjent (?:bruker|mottaker)|ukendt (?:bruger|modtager)
        (?:käyttäjä|vastaanottaja|osoite|osoitet)\w*.{0,30}(?:tuntematon|ei löydy|ei löytynyt|ei ole olemassa)
        (?:użytkownik|odbiorc|adres|skrzynk|kont)\w*.{0,30}(?:nieznan|nie istnieje|nie znaleziono)
        nie (?:znaleziono|ma takie\w*).{0,20}(?:adres|użytkownik|odbiorc|skrzynk|kont)
        (?:uživatel|příjemce|adresa|schránk|účet)\w*.{0,30}(?:neexistuje|neznám|nenalezen|nebyla nalezena|neplatn)
        neznám\w* (?:uživatel|příjemce)
        (?:používateľ|príjemc|adresa|schránk)\w*.{0,30}(?:neexistuje|neznám|nenašl|nenájden)
        (?:utilizator|destinatar|adres|căsuț|cutia)\w*.{0,30}(?:necunoscut|inexistent|nu există|nu a fost găsit)
        utilizator necunoscut|(?:korisnik|primatelj|primalac|adresa)\w*.{0,30}(?:ne postoji|nepoznat|nije pronađen)
        nepoznati? (?:korisnik|primatelj|primalac)|(?:uporabnik|prejemnik|naslov)\w*.{0,30}(?:ne obstaja|neznan)
        naslov\w*.{0,20}ni bilo mogoče najti|(?:kasutaja|aadress)\w*.{0,20}(?:ei leitud|ei eksisteeri|tundmatu)
        (?:adrese|lietotājs|saņēmējs)\w*.{0,20}(?:nav atrast|neeksistē|nezinām)
        (?:adresas|vartotojas|gavėjas)\w*.{0,20}(?:nerastas|neegzistuoja|nežinom)
        (?:пользовател|получател|адрес|ящик)\w*.{0,40}(?:не существует|не найден|неизвест|отсутству|недействит)
        (?:пользовател|получател|адрес|ящик)\w*.{0,40}не зарегистрирован
        не существует|несуществующ
        (?:користувач|одержувач|отримувач|адрес)\w*.{0,40}(?:не знайдено|не існує|невідом)
        (?:потребител|получател|адрес)\w*.{0,40}(?:не съществува|не е намерен|непознат)
        (?:διεύθυνση|χρήστης|παραλήπτης).{0,40}(?:δεν (?:βρέθηκε|υπάρχει)|άγνωστ)|άγνωστος (?:χρήστης|παραλήπτης)
        (?:הכתובת|המשתמש|הנמען|הנמענת).{0,20}(?:לא נמצא|לא קיים|אינו קיים|אינה קיימת)
        لم يتم العثور على.{0,10}(?:العنوان|المستخدم|المستلم)|(?:العنوان|المستخدم|المستلم).{0,15}غير (?:موجود|معروف)
        (?:alamat|pengguna|penerima)\b.{0,30}(?:tidak (?:ditemukan|dikenal|ada|wujud|dijumpai))
        không tìm thấy.{0,15}(?:địa chỉ|người)|(?:người dùng|người nhận|địa chỉ|tài khoản).{0,25}không tồn tại
        ไม่พบ(?:ที่อยู่|ผู้ใช้|ผู้รับ)|ไม่มี(?:ผู้ใช้|ที่อยู่)
        アドレス不明|宛先不明
        (?:宛先|受信者|アドレス|ユーザ|あて先).{0,30}(?:不明|見つか|存在し|ありません|誤|間違)
        存在しない.{0,10}(?:アドレス|宛先)|(?:該当|そのような).{0,10}ユーザ
        (?:收件人|用户|用戶|邮箱|郵箱|地址|帐号|账户).{0,12}(?:不存在|未知|无效|找不到|未找到)
        (?:找不到|没有|沒有|查无)(?:此|该|這個)?(?:收件人|用户|用戶|地址|邮箱|郵箱)|查无此(?:人|用户)
        不存在.{0,6}(?:用户|邮箱)|(?:사용자|수신자|받는 ?사람|주소|계정).{0,20}(?:없|존재하지|찾을 수)
        존재하지 않는.{0,8}(?:사용자|수신자|주소|계정|메일)
        (?:kullanıcı|alıcı|adres).{0,30}(?:bulunamadı|yok\b|geçersiz|bilinmiyor)
        (?:címzett|felhasználó|cím|postafiók).{0,30}(?:ismeretlen|nem (?:létezik|található))
        ismeretlen (?:címzett|felhasználó)
        """,
    ),
    (
        "host_unknown",
        r"""
        (?:domain|domäne|host|rechner|server)\w*.{0,40}(?:nicht gefunden|existiert nicht|unbekannt|nicht auflösbar)
        (?:domaine|h[oô]te|serveur).{0,40}(?:introuvable|inconnu|n'existe pas)
        (?:dominio|servidor|anfitri).{0,40}(?:no (?:existe|encontrad|se encontr)|desconocid|inexistente)
        (?:dom[ií]nio|servidor).{0,40}(?:n[aã]o (?:existe|encontrad)|desconhecid|inexistente)
        dominio.{0,40}(?:non (?:esiste|trovat)|inesistente)
        (?:domein|host).{0,30}(?:niet gevonden|bestaat niet|onbekend)
        домен\w*.{0,30}(?:не (?:найден|существует)|неизвест)|ドメイン.{0,20}(?:見つか|存在し|ありません|不明)
        (?:域名|主机|主機|域).{0,10}(?:不存在|找不到|未找到|解析失败)
        """,
    ),
    (
        "message_too_big",
        r"""
        (?:nachricht|e-mail|mail|anhang).{0,30}zu gro(?:ss|ß)|message.{0,30}trop (?:gros|volumineux|grand)
        (?:mensaje|correo).{0,30}demasiado grande
        mensagem.{0,30}(?:muito|excede).{0,20}(?:grande|tamanho)|messaggio.{0,30}troppo grande|bericht.{0,30}te groot
        (?:meddelande|melding|besked).{0,30}(?:för|for) stor
        (?:メール|メッセージ|添付).{0,20}(?:大き|サイズ)|邮件.{0,10}(?:太大|过大|超过)
        (?:сообщени|письм)\w*.{0,30}(?:слишком|превыша)
        """,
    ),
    (
        "spam",
        r"""
        (?:als|wie) (?:spam|unerw[uü]nscht)|unerwünschte (?:werbe|e-?mail)|courrier indésirable|ind[eé]sirable
        correo no deseado|no deseado|lixo eletr|posta indesiderata
        ongewenste|skräppost|søppelpost|spampost|迷惑メール|垃圾(?:邮件|郵件)|спам
        """,
    ),
    (
        "policy",
        r"""
        (?:zugriff|annahme|empfang|zustellung).{0,20}(?:verweigert|abgelehnt|nicht erlaubt)|richtlinie|acc[eè]s refusé
        refusé|acceso denegado|rechazad|acesso negado|rejeitad
        accesso negato|rifiutat|toegang geweigerd|geweigerd|avvisad|avvist|afvist|受信拒否|拒否(?:され|設定)
        受け取りを拒否|拒收|被拒绝|отклонен|отказано
        """,
    ),
)
