"""Secrets and innocent look-alikes, for test_redact.py and benchmarks/redaction.py.

Every secret is made up here, from a seeded generator and from parts: neither this file nor the repository holds a
string that a scanner takes for a leak. A placeholder of the look-alikes that a scanner might know is in parts too.
"""

# ruff: noqa: E501 - a look-alike is one line

from __future__ import annotations

import base64
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

INNOCENT: Final = next(path for path in Path(__file__).parents if path.name == "tests") / "redact" / "innocent"
_random = random.Random(20261121)
_LOWER = "abcdefghijklmnopqrstuvwxyz"
_UPPER = _LOWER.upper()
_DIGITS = "0123456789"
_HEX = "0123456789abcdef"
_ALNUM = _UPPER + _LOWER + _DIGITS
_URL64 = _ALNUM + "-_"
_B64 = _ALNUM + "+/"
_ALPHABETS = {
    "hex": _HEX, "HEX": _HEX.upper(), "digits": _DIGITS, "alnum": _ALNUM, "url64": _URL64, "b64": _B64,
}  # fmt: skip
_PLACE = re.compile(r"<<(?:uuid|([A-Za-z0-9]+):([0-9]+))>>")


@dataclass(frozen=True)
class Secret:
    """`secret` must be gone from `text` once it is redacted, and what is around it must still be there."""

    kind: str
    text: str
    secret: str


def some(alphabet: str, length: int) -> str:
    """A random string that has a digit where the alphabet has digits, and does not end in a '-' or '_'."""
    while True:
        found = "".join(_random.choices(alphabet, k=length))
        if (not set(_DIGITS) <= set(alphabet) or any(c.isdigit() for c in found)) and found[-1] not in "-_":
            return found


def uuid() -> str:
    return "-".join(some(_HEX, n) for n in (8, 4, 4, 4, 12))


def armour(what: str, *, lines: int = 6, end: str = "\n") -> str:
    """A private key as PEM has it; `end` is the line end."""
    body = [some(_B64, 64) for _ in range(lines)] + [some(_B64, 22) + "=="]
    return end.join(("-----BEGIN " + what + "-----", *body, "-----END " + what + "-----"))


def unix64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _tokens() -> list[Secret]:
    """Each provider's token in a sentence, in code, in a log line: what is around it must not matter."""
    jwt = ".".join(("ey" + "JhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9", "ey" + "J" + some(_URL64, 60), some(_URL64, 43)))
    tokens = {
        "aws access key": "AK" + "IA" + some(_UPPER + _DIGITS, 16),
        "aws temporary key": "AS" + "IA" + some(_UPPER + _DIGITS, 16),
        "github personal": "gh" + "p_" + some(_ALNUM, 36),
        "github oauth": "gh" + "o_" + some(_ALNUM, 36),
        "github server": "gh" + "s_" + some(_ALNUM, 36),
        "github fine-grained": "github" + "_pat_" + some(_ALNUM, 22) + "_" + some(_ALNUM, 59),
        "gitlab personal": "gl" + "pat-" + some(_URL64, 20),
        "gitlab routable": "gl" + "pat-" + some(_URL64, 27) + ".01." + some(_LOWER + _DIGITS, 9),
        "gitlab runner": "gl" + "rt-" + some(_URL64, 20),
        "slack bot": "xo" + "xb-" + some(_DIGITS, 12) + "-" + some(_DIGITS, 12) + "-" + some(_ALNUM, 24),
        "slack user": "xo" + "xp-" + some(_DIGITS, 12) + "-" + some(_DIGITS, 12) + "-" + some(_HEX, 32),
        "slack app": "xa" + "pp-1-A" + some(_UPPER + _DIGITS, 10) + "-" + some(_DIGITS, 13) + "-" + some(_HEX, 64),
        "stripe live": "sk" + "_live_" + some(_ALNUM, 24),
        "stripe restricted": "rk" + "_live_" + some(_ALNUM, 99),
        "stripe test": "sk" + "_test_" + some(_ALNUM, 24),
        "stripe webhook": "wh" + "sec_" + some(_ALNUM, 32),
        "openai project": "sk" + "-proj-" + some(_URL64, 74) + "T3Blbk" + "FJ" + some(_URL64, 74),
        "openai old": "sk" + "-" + some(_ALNUM, 20) + "T3Blbk" + "FJ" + some(_ALNUM, 20),
        "anthropic api": "sk" + "-ant-api03-" + some(_URL64, 93) + "AA",
        "anthropic oauth": "sk" + "-ant-oat01-" + some(_URL64, 93) + "AA",
        "openrouter": "sk" + "-or-v1-" + some(_HEX, 64),
        "google api key": "AI" + "za" + some(_URL64, 35),
        "google client secret": "GOC" + "SPX-" + some(_URL64, 28),
        "google access token": "ya" + "29." + some(_URL64, 120),
        "npm": "np" + "m_" + some(_ALNUM, 36),
        "pypi": "py" + "pi-AgEIcHlwaS5vcmc" + some(_URL64, 90),
        "rubygems": "ruby" + "gems_" + some(_HEX, 48),
        "crates.io": "ci" + "o" + some(_ALNUM, 32),
        "docker hub": "dckr" + "_pat_" + some(_URL64, 27),
        "digitalocean": "do" + "p_v1_" + some(_HEX, 64),
        "heroku": "HR" + "KU-" + uuid(),
        "shopify": "shp" + "at_" + some(_HEX, 32),
        "square": "sq0" + "atp-" + some(_URL64, 22),
        "sendgrid": "S" + "G." + some(_URL64, 22) + "." + some(_URL64, 43),
        "twilio": "S" + "K" + some(_HEX, 32),
        "mailchimp": some(_HEX, 32) + "-us" + "12",
        "telegram": some("123456789", 10) + ":A" + "A" + some(_ALNUM, 33),
        "discord bot": "M" + some(_ALNUM, 25) + "." + some(_URL64, 6) + "." + some(_URL64, 38),
        "hugging face": "h" + "f_" + some(_ALNUM, 34),
        "replicate": "r" + "8_" + some(_ALNUM, 37),
        "groq": "gs" + "k_" + some(_ALNUM, 52),
        "perplexity": "pp" + "lx-" + some(_ALNUM, 48),
        "databricks": "da" + "pi" + some(_HEX, 32),
        "vault": "hv" + "s." + some(_URL64, 90),
        "terraform cloud": some(_ALNUM, 14) + ".atlas" + "v1." + some(_URL64, 67),
        "pulumi": "pu" + "l-" + some(_HEX, 40),
        "grafana": "gl" + "sa_" + some(_ALNUM, 32) + "_" + some(_HEX, 8),
        "new relic": "NR" + "AK-" + some(_UPPER + _DIGITS, 27),
        "sentry": "sn" + "tryu_" + some(_HEX, 64),
        "linear": "lin" + "_api_" + some(_ALNUM, 40),
        "notion": "nt" + "n_" + some(_ALNUM, 46),
        "airtable": "pa" + "t" + some(_ALNUM, 14) + "." + some(_HEX, 64),
        "figma": "fi" + "gd_" + some(_URL64, 40),
        "postman": "PM" + "AK-" + some(_HEX, 24) + "-" + some(_HEX, 34),
        "atlassian": "AT" + "ATT3" + some(_URL64, 186),
        "doppler": "dp" + ".pt." + some(_ALNUM, 43),
        "tailscale": "ts" + "key-auth-" + some(_ALNUM, 12) + "-" + some(_ALNUM, 32),
        "age": "AGE-SECRET" + "-KEY-1" + some("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
        "azure client secret": some(_ALNUM, 3) + "8Q" + "~" + some(_ALNUM, 34),
        "postgres-style jwt": jwt,
        "plaid": "access" + "-sandbox-" + uuid(),
        "alibaba": "LT" + "AI" + some(_ALNUM, 20),
        "circleci": "CCI" + "PAT_" + some(_ALNUM, 22) + "_" + some(_HEX, 40),
    }
    around = (
        "The key is {}, please try it.",
        "```sh\ncurl -H 'X: {}' https://api.invalid/v1\n```",
        'client = Client("{}")  # from the vault',
        "2026-11-21T06:12:00Z DEBUG sent {} to upstream\n",
        '{{"type":"item","text":"line\\n{}\\nline"}}',
        "\x1b[32m{}\x1b[0m",
        "| token | `{}` |",
    )
    return [
        Secret(kind, around[i % len(around)].format(token), token) for i, (kind, token) in enumerate(tokens.items())
    ]


def _keys() -> list[Secret]:
    found = []
    for what in ("RSA", "EC", "DSA", "OPENSSH", "ENCRYPTED", ""):
        key = armour(f"{what} PRIVATE KEY".strip())
        found.append(Secret(f"private key {what or 'pkcs8'}", f"Use this:\n\n{key}\n\nand deploy.", key))
    key = armour("PGP PRIVATE KEY BLOCK")
    found.append(Secret("private key pgp", f"{key}\nend", key))
    key = armour("RSA PRIVATE KEY").replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1)
    found.append(Secret("private key with headers", key, key))
    key = armour("PRIVATE KEY", end="\\n")
    found.append(Secret("private key in json", '{"private_' + 'key": "' + key + '\\n", "client": "a"}', key))
    key = armour("EC PRIVATE KEY", lines=2, end="\n    ")
    found.append(Secret("private key indented", f"tls:\n  key: |\n    {key}\n  port: 443", key))
    key = armour("RSA PRIVATE KEY", lines=9).rsplit("\n", 3)[0]
    found.append(Secret("private key cut off", f"{key}\n```\n[truncated]", key))
    key = armour("RSA PRIVATE KEY", lines=9).split("\n", 3)[3]
    found.append(Secret("private key without its head", f"...\n{key}\n$ ", key))
    lines = "\n".join(some(_B64, 64) for _ in range(4))
    putty = f"PuTTY-User-Key-File-3: ssh-ed25519\nPrivate-Lines: 4\n{lines}\nPrivate-MAC: 00"
    found.append(Secret("private key putty", putty, lines))
    return found


def _credentials() -> list[Secret]:
    word, mixed, hex32, hex64 = "hunt" + "er2", some(_ALNUM, 24), some(_HEX, 32), some(_HEX, 64)
    strong = "Tr0ub" + "4dor&" + "3x"
    basic = unix64("deploy:" + mixed)
    aws = some(_B64, 40)
    azure = some(_B64, 86) + "=="
    pw = "pass" + "word"
    rows = [
        ("url postgres", f"postgres://app:{mixed}@db.internal:5432/main", mixed),
        ("url mysql", f"DATABASE_URL=mysql://root:{strong.replace('&', '')}@10.0.0.4/x", strong.replace("&", "")),
        ("url redis", f"redis://:{hex32}@cache:6379/0", hex32),
        ("url mongodb", f"mongodb+srv://svc:{word}@cluster0.invalid/?retryWrites=true", word),
        ("url amqp", f"broker: amqp://mq:{mixed}@rabbit:5672//", mixed),
        ("url https", f"git clone https://bot:{mixed}@git.invalid/a/b.git", mixed),
        ("url user only", f"git remote set-url origin https://{mixed}@git.invalid/a/b.git", mixed),
        ("url proxy", f"export https_proxy=http://me:{strong.replace('&', '%26')}@proxy:3128",
         strong.replace("&", "%26")),
        ("header bearer", f"Authorization: Bearer {mixed}", mixed),
        ("header bearer in code", f'headers = {{"Authorization": "Bearer {hex64}"}}', hex64),
        ("header basic", f"> Authorization: Basic {basic}", basic),
        ("header token", f"-H 'Authorization: token {hex32}'", hex32),
        ("header api key", f"curl -H 'X-Api-Key: {mixed}' https://api.invalid", mixed),
        ("header private token", f"PRIVATE-TOKEN: {some(_ALNUM, 20)}", ""),
        ("curl user", f"curl -fsS -u admin:{word} https://api.invalid/", word),
        ("netrc", f"machine git.invalid login me password {word}\n", word),
        ("npmrc", f"//registry.invalid/:_auth={basic}", basic),
        ("docker auth", '{"auths": {"r.invalid": {"auth": "' + basic + '"}}}', basic),
        ("slack webhook", "https://hooks.slack" + f".com/services/T{some(_UPPER, 8)}/B{some(_UPPER, 8)}/{mixed}", mixed),
        ("discord webhook", "https://discord" + f".com/api/webhooks/{some('123456789', 18)}/{hex64}", hex64),
        ("cookie", f"Cookie: theme=dark; PHPSESSID={some(_LOWER + _DIGITS, 26)}", ""),
        ("azure connection string", f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={azure};Suffix=x", azure),
        ("azure sas", f"https://a.blob.invalid/c?sv=2022-11-02&sp=r&sig={some(_ALNUM, 43)}%3D", ""),
        ("ado connection string", f"Server=db;Database=x;User Id=sa;Password={strong};", strong),
        ("aws presigned", f"https://b.s3.invalid/k?X-Amz-Expires=60&X-Amz-Signature={hex64}", hex64),
        ("env", f"DB_PASSWORD={word}", word),
        ("env quoted", f'export API_KEY="{mixed}"', mixed),
        ("env of letters", "POSTGRES_PASSWORD=" + "swordf" + "ishing", "swordf" + "ishing"),
        ("env hex", f"SECRET_KEY_BASE={hex64}", hex64),
        ("env of a service", f"DD_API_KEY={hex32}", hex32),
        ("env aws", f"AWS_SECRET_ACCESS_KEY={aws}", aws),
        ("env of laravel", f"APP_KEY=base64:{some(_B64, 43)}=", ""),
        ("aws credentials file", f"[default]\naws_secret_access_key = {aws}\nregion = eu-west-1", aws),
        ("yaml", f"db:\n  user: app\n  {pw}: {word}\n  port: 5432", word),
        ("yaml quoted", f"smtp_{pw}: '{strong}'  # ask Uma", strong),
        ("yaml of kubernetes", f"data:\n  {pw}: {unix64('s3cure-' + word)}\n", ""),
        ("json", '{"user": "app", "' + pw + '": "' + strong + '"}', strong),
        ("json camel case", '{"clientSecret":"' + mixed + '","clientId":"a"}', mixed),
        ("json in json", '{"text": "{\\"api_key\\": \\"' + hex32 + '\\"}"}', hex32),
        ("toml", f'[db]\n{pw} = "{word}"\n', word),
        ("ini", f"[mail]\n{pw}={strong}\n", strong),
        ("properties", f"spring.datasource.{pw}={strong}", strong),
        ("xml", f"<server><{pw}>{strong.replace('&', '')}</{pw}></server>", strong.replace("&", "")),
        ("python", f'SECRET_KEY = "django-insecure-{some(_LOWER + _DIGITS, 40)}"', ""),
        ("python keyword", f'connect(host="db", {pw}="{word}", port=5432)', word),
        ("python annotated", f'token: str = "{mixed}"', mixed),
        ("python bytes", f"jwt_secret = b'{hex32}'", hex32),
        ("python comparison", f'if {pw} == "{strong}":', strong),
        ("python environment", f'os.environ["API_TOKEN"] = "{mixed}"', mixed),
        ("python setdefault", f'env.setdefault("API_TOKEN", "{mixed}")', mixed),
        ("go", f'apiKey := "{mixed}"', mixed),
        ("rust", f'let {pw}: &str = "{strong}";', strong),
        ("ruby", f":client_secret => '{hex32}'", hex32),
        ("php", f"define('DB_PASSWORD', '{strong}');", strong),
        ("shell option", f"mysqldump --user=root --{pw}={word} main", word),
        ("shell option with a blank", f"login --token {mixed} --verbose", mixed),
        ("sql", f"ALTER ROLE app WITH PASSWORD '{strong}';", strong),
        ("query", f"GET /v1/items?limit=5&api_key={hex32}&page=2", hex32),
        ("wireguard", f"[Interface]\nPrivateKey = {some(_B64, 43)}=\nAddress = 10.0.0.2/32", ""),
        ("prose", f"The staging {pw} is {strong}, the user is admin.", strong),
        ("prose with ticks", f"- **{pw}**: `{word}`", word),
        ("diff", f"-    {pw}: {word}\n+    {pw}: ${{DB_PASSWORD}}", word),
        ("terraform", f'variable "x" {{\n  db_{pw} = "{strong}"\n}}', strong),
        ("github actions", f"env:\n  NPM_TOKEN: {uuid()}\n", ""),
        ("gradle", f"signing.{pw}={strong}", strong),
        ("env of words", "VAULT_PASSWORD=" + "correct-horse-" + "battery", "correct-horse-" + "battery"),
        ("env token of a word", "API_TOKEN=" + "starfish" + "99", "starfish" + "99"),
        ("python word", f'{pw} = "' + "thunder" + 'cloud"', "thunder" + "cloud"),
        ("json passphrase", '{"passphrase": "' + "correct horse " + 'battery staple"}', "correct horse " + "battery staple"),
        ("env pin", "PIN_PASS=" + "480" + "1597", "480" + "1597"),
        ("log line", f"level=debug msg=login user=a {pw}={word} took=3ms", word),
    ]  # fmt: skip
    found = []
    for kind, text, secret in rows:
        if not secret:  # the last run of characters that could be one
            secret = max(text.replace('"', " ").replace("=", "= ").replace(":", ": ").split(), key=len).strip("'\",;")
        found.append(Secret(kind, text, secret))
    return found


def secrets() -> list[Secret]:
    return [*_tokens(), *_keys(), *_credentials(), *_command_lines()]


def _command_lines() -> list[Secret]:
    """Passwords that programs are given as an option, an operand or on their standard input."""
    one, two, mixed = "hunt" + "er2", "Winter" + "@2024", some(_ALNUM, 18)
    lines = {
        "mysql": "mysql -h db.internal -u app -p{} shop -e 'select 1'",
        "mysqldump quoted": "mysqldump --all-databases -uroot -p'{}' | gzip > dump.sql.gz",
        "mariadb in docker": "docker exec -i db mariadb -uroot -p{} < schema.sql",
        "mysqladmin with a path": "+ /usr/bin/mysqladmin -u root -p{} ping",
        "sshpass": "sshpass -p {} ssh -o StrictHostKeyChecking=no -p 2222 deploy@web1 uptime",
        "sshpass attached": "sshpass -p'{}' scp -P 2222 app.tar deploy@web1:/srv/",
        "sshpass in a list of words": '["sshpass", "-p", "{}", "ssh", "web1"]',
        "docker login": "docker login -u ci -p {} registry.internal:5000",
        "docker login first": "$ docker --config /tmp/d login registry.internal -p '{}' -u ci",
        "podman login": 'RUN podman login -u ci -p "{}" quay.invalid && podman pull quay.invalid/a/b',
        "skopeo creds": "skopeo copy --src-creds ci:{} docker://a/b:1 oci:out",
        "helm login": "helm registry login r.invalid -u ci -p {}",
        "redis-cli": "redis-cli -h cache -p 6379 -a {} --no-auth-warning info",
        "redis-cli auth": "redis-cli -h cache AUTH {}",
        "redis environment": "REDISCLI_AUTH={} redis-cli ping",
        "curl attached": "curl -fsS -uadmin:{} https://api.invalid/v1",
        "curl quoted": "curl --user 'admin:{}' -X POST https://api.invalid/v1",
        "curl proxy": "curl -U me:{} -x http://proxy:3128 https://api.invalid",
        "curl in a list of words": 'subprocess.run(["curl", "-u", "admin:{}", url])',
        "httpie": "http -a admin:{} GET https://api.invalid/v1",
        "mongo": "mongosh --host db -u root -p {} --authenticationDatabase admin",
        "mongodump quoted": 'mongodump -u root -p "{}" --archive=out',
        "sqlcmd": "/opt/mssql-tools/bin/sqlcmd -S localhost -U sa -P {} -Q 'select 1'",
        "ldapsearch": "ldapsearch -x -D cn=admin,dc=example -w {} -b dc=example",
        "openssl": "openssl pkcs12 -in s.p12 -passin pass:{} -nokeys",
        "openssl out": "openssl genrsa -aes256 -passout pass:{} 4096",
        "zip": "zip -r -P {} out.zip data/",
        "7z": "7z a -p{} out.7z data/",
        "keytool": "keytool -list -keystore a.jks -storepass {}",
        "plink": "plink -ssh deploy@web1 -pw {} uptime",
        "rdp": "xfreerdp /u:ann /p:{} /v:10.0.0.9",
        "smbclient": "smbclient //srv/share -U 'ann%{}' -c ls",
        "lftp": "lftp -u ann,{} sftp://files.invalid",
        "ipmitool": "ipmitool -I lanplus -H bmc7 -U admin -P {} power status",
        "twine": "twine upload -u ann -p {} dist/*",
        "htpasswd": "htpasswd -bc /etc/nginx/users ann {}",
        "htpasswd without a file": "htpasswd -nbB ann {}",
        "rabbitmqctl": "rabbitmqctl add_user app {}",
        "sqlplus": "sqlplus -s scott/{}@//db:1521/orcl",
        "minio": "mc alias set local http://minio:9000 admin {}",
        "sudo": "echo {} | sudo -S apt-get install -y jq",
        "docker login on stdin": "echo '{}' | docker login -u ci --password-stdin registry.internal",
        "passwd on stdin": "echo {} | passwd --stdin deploy",
        "chpasswd": 'echo "deploy:{}" | sudo chpasswd',
        "gh on stdin": "printf '%s' '{}' | gh auth login --with-token",
        "aws configure": "aws configure set aws_secret_access_key {}",
        "in json": '{{"type":"command","command":"bash -lc \\"mysql -uroot -p{} -e 1\\""}}',
        "in a trace": "++ mysql -h127.0.0.1 -P3306 -uroot -p{} -N -B",
    }
    secrets = (one, two, mixed)
    return [
        Secret(f"command {kind}", text.format(secrets[i % 3]), secrets[i % 3])
        for i, (kind, text) in enumerate(lines.items())
    ]


def look_alikes() -> list[str]:
    """Texts in which nothing is a secret: short ones of this module, and those of real kinds in `INNOCENT`."""
    return [*_ids(), *_code(), *_words(), *_files(), *(text for kind in innocent().values() for text in kind)]


def innocent() -> dict[str, list[str]]:
    """Kind (the name of a file in INNOCENT) -> its texts; <<hex:40>> and the like become random strings."""
    return {
        path.stem: [
            _PLACE.sub(lambda m: uuid() if m[0] == "<<uuid>>" else some(_ALPHABETS[m[1]], int(m[2])), text)
            for text in path.read_text("utf-8").removesuffix("\n").split("\n%%\n")
        ]
        for path in sorted(INNOCENT.glob("*.txt"))
    }


def _ids() -> list[str]:
    oid, sha256, md5, sha512 = some(_HEX, 40), some(_HEX, 64), some(_HEX, 32), some(_B64, 86) + "=="
    return [
        f"commit {oid}",
        f"HEAD is now at {oid[:7]} Fix the parser",
        f"tree {oid}\nparent {some(_HEX, 40)}\nauthor A <a@b.invalid> 1795245120 +0000",
        f"Relay-Head: {oid}",
        f"Relay-Tree: {sha256}",
        f"100644 blob {oid}\tREADME.md",
        f"{oid}\trefs/heads/main",
        f"Merge {oid[:12]} into {some(_HEX, 12)}",
        f"index {oid[:7]}..{some(_HEX, 7)} 100644",
        f"https://github.com/a/b/commit/{oid}",
        f"git checkout {oid} -- src",
        f"uses: actions/checkout@{oid}  # v4",
        f"sha256 {sha256}",
        f"sha256:{sha256}",
        f"FROM python@sha256:{sha256}",
        f"{sha256}  gitrelay-0.1.0.tar.gz",
        f"MD5 ({'a.txt'}) = {md5}",
        f"etag: \"{md5}\"",
        f"ETag: W/\"{md5}-gzip\"",
        f"checksum = \"{sha256}\"",
        f"content-hash = \"{sha256}\"",
        f"key: linux-pip-{sha256}",
        f"cache-key: {md5}",
        f"cache_key = '{oid}'",
        f"session {uuid()}",
        f"session_id: {uuid()}",
        f"\"id\": \"{uuid()}\"",
        f"Relay-Peer-Session: {uuid()}",
        f"urn:uuid:{uuid()}",
        f"trace_id={md5} span_id={md5[:16]}",
        f"traceparent: 00-{md5}-{md5[:16]}-01",
        f"request id {uuid()} took 12 ms",
        f"\"integrity\": \"sha512-{sha512}\"",
        f"  integrity sha512-{sha512}",
        f"<script src=a.js integrity=\"sha384-{some(_B64, 64)}\" crossorigin></script>",
        f"golang.org/x/net v0.17.0 h1:{some(_B64, 43)}=",
        f"golang.org/x/net v0.17.0/go.mod h1:{some(_B64, 43)}=",
        f"  resolved \"https://registry.yarnpkg.com/a/-/a-1.0.0.tgz#{oid}\"",
        f"\"resolved\": \"https://registry.npmjs.org/@a/b/-/b-1.2.3.tgz\",\n\"integrity\": \"sha1-{some(_B64, 27)}=\"",
        f"    {{file = \"a-1.0-py3-none-any.whl\", hash = \"sha256:{sha256}\"}},",
        f"click==8.2.0 \\\n    --hash=sha256:{sha256}",
        f"name = \"tokenizers\"\nversion = \"0.15.2\"\nchecksum = \"{sha256}\"",
        f"name = \"secrecy\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{sha256}\"",
        f"  /token-types@5.0.1:\n    resolution: {{integrity: sha512-{sha512}}}",
        f"\"secret-stack@7.0.0\", \"\", {{}}, \"sha512-{sha512}\"",
        f"password-hash: {sha256}",
        f"password_hash = \"$2b$12${some(_ALNUM, 53)}\"",
        f"\"password\": \"$argon2id$v=19$m=65536,t=3,p=4${some(_B64, 22)}${some(_B64, 43)}\"",
        f"token_hash={sha256}",
        f"hashed_password: {sha256}",
        f"the token {oid} is the commit's id",
        f"next_page_token: {some(_URL64, 40)}",
        f"continuationToken={some(_URL64, 32)}",
        f"cursor: {unix64('item:1234567')}",
        f"ssh-rsa {'AAAAB3NzaC1yc2EAAAADAQABAAABgQ'}{some(_B64, 340)}= uma@host",
        f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{some(_B64, 43)} uma@host",
        f"github.com ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABB{some(_B64, 86)}=",
        f"|1|{some(_B64, 27)}=|{some(_B64, 27)}= ssh-rsa AAAAB3NzaC1yc2E{some(_B64, 100)}",
        f"256 SHA256:{some(_B64, 43)} uma@host (ED25519)",
        "-----BEGIN PUBLIC KEY-----\n" + "\n".join(some(_B64, 64) for _ in range(4)) + "\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\n" + "\n".join(some(_B64, 64) for _ in range(9)) + "\n-----END CERTIFICATE-----",
        "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + "\n".join(some(_B64, 64) for _ in range(5)) + "\n=abcd\n",
        "-----BEGIN PGP SIGNATURE-----\n\n" + "\n".join(some(_B64, 64) for _ in range(3)) + "\n-----END PGP SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\n" + "\n".join(some(_B64, 70) for _ in range(4)) + "\n-----END SSH SIGNATURE-----",
        f"data:image/png;base64,iVBORw0KGgo{some(_B64, 400)}",
        f"<img src=\"data:image/gif;base64,R0lGODlh{some(_B64, 200)}\">",
        f"url(data:font/woff2;base64,d09GMgABAAAA{some(_B64, 300)}) format('woff2')",
        "\n".join(some(_B64, 76) for _ in range(8)),
        f"//# sourceMappingURL=data:application/json;base64,{some(_B64, 200)}",
        f"{{\"mappings\":\"AAAA,SAASA,{some(_ALNUM, 60)};EACZ\"}}",
        f"AC{some(_HEX, 32)} is the account, pk" + f"_live_{some(_ALNUM, 24)} the publishable key",
        f"price_{some(_ALNUM, 24)} cus_{some(_ALNUM, 14)} pi_{some(_ALNUM, 24)}",
        f"arn:aws:iam::123456789012:role/deploy-{md5[:8]}",
        f"AROA{some(_UPPER, 17)}:session",
        f"projects/p/secrets/db/versions/3 in {some(_DIGITS, 12)}",
        f"G-{some(_UPPER, 10)} UA-12345678-1 GTM-{some(_UPPER, 7)}",
        f"blob-{oid}.bin",
        f"main.{md5[:8]}.chunk.js vendor.{oid[:20]}.css",
        f".css-{some(_LOWER + _DIGITS, 7)}{{color:#{md5[:6]}}} .sc-{some(_ALNUM, 6)}",
        f"Qm{some(_ALNUM, 44)} is an IPFS hash; 0x{some(_HEX, 40)} an address",
        f"layer {sha256[:12]}: Pull complete",
        f"docker pull r.invalid/a/b@sha256:{sha256}",
        f"conversation 019a{md5[:4]}-{uuid()[9:]}",
    ]  # fmt: skip


def _code() -> list[str]:
    return [
        'password = os.environ["DB_PASSWORD"]',
        'password = os.environ.get("DB_PASSWORD", "")',
        "password = os.getenv('DB_PASSWORD')",
        "const token = process.env.GITHUB_TOKEN;",
        "const { token } = process.env;",
        "api_key = settings.API_KEY",
        "apiKey: config.services.openai.apiKey,",
        "self.token = token",
        "this.password = password2;",
        "token: str",
        "token: str | None = None",
        "password: Optional[str] = None,",
        "password: string;",
        "secret: Buffer | undefined",
        "readonly accessToken: Promise<string>",
        "def login(user: str, password: str) -> Token:",
        "def f(token=None, secret=False, password=...):",
        "func Auth(token string, secret []byte) error {",
        "let token = lexer.next_token();",
        "let tokens: Vec<Token> = lexer.collect();",
        "token = self.tokens[self.pos]",
        'token = tokens["access"]',
        "token = get_token(client_id=a.id)",
        "password = getpass.getpass('Password: ')",
        "password = input('Password: ')",
        "password = prompt_password_v2(user)",
        "secret = secrets.token_hex(32)",
        "SECRET_KEY = secrets.token_urlsafe(64)",
        "secret := os.Getenv(\"WEBHOOK_SECRET\")",
        "token := r.Header.Get(\"Authorization\")",
        "let secret = env!(\"API_SECRET\");",
        "String password = System.getenv(\"DB_PASSWORD\");",
        "private final String password;",
        "$password = $_POST['password'];",
        "$token = $this->tokenStorage->getToken();",
        "password: <%= ENV['DB_PASSWORD'] %>",
        "password: ENV.fetch('DB_PASSWORD')",
        "password = var.db_password",
        "password = random_password.db2.result",
        "password = data.vault_generic_secret.db1.data[\"password\"]",
        "password = \"${var.db_password}\"",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "GITHUB_TOKEN: ${{ secrets.GITHUB_TOKEN }}",
        "API_KEY=${API_KEY:-}",
        "API_KEY=$API_KEY2",
        "export TOKEN=$(cat /run/secrets/token1)",
        "export TOKEN=`pass show ci/token1`",
        "TOKEN=$1",
        "DB_PASSWORD=",
        'DB_PASSWORD=""',
        "password: {{ vault_db_password }}",
        "password: !vault |",
        "password: ENC[AES256_GCM,data:Ab1d,iv:x,tag:y,type:str]",
        "secretKeyRef:\n  name: db1\n  key: password",
        "secretName: tls-cert-2024",
        "tokenSecret: { name: ci-token-2 }",
        "password_file: /run/secrets/db_password1",
        "password: /run/secrets/db1",
        "token: vault:secret/data/ci#token1",
        "password: op://vault/db1/password",
        "API_KEY=https://vault.invalid/v1/secret/ci1",
        "token_url: https://auth.invalid/oauth2/token",
        "token_type: bearer",
        "token_endpoint = 'https://login.invalid/oauth2/v2.0/token'",
        "max_tokens=4096",
        "max_completion_tokens: 128000",
        "tokens: 12345",
        "input_tokens=10231 output_tokens=887 cached_tokens=9000",
        "num_tokens = len(encoding.encode(text))",
        "Relay-Usage: input=10231 cached=9000 output=887 cost_usd=0.0312",
        "usage: {\"input_tokens\":1200,\"output_tokens\":34}",
        "total tokens: 1,234,567",
        "pad_token: \"<pad>\", eos_token: \"</s>\"",
        "bos_token_id=50256",
        "token = \"TOKEN_TYPE_1\"",
        "TOKEN_RE = re.compile(r\"[A-Za-z0-9]{36}\")",
        "password = re.compile('[a-z]+[0-9]{2,8}')",
        "pattern: 'password=[^&]+1'",
        "secret_pattern = r\"gh[pousr]_[A-Za-z0-9]{36}\"",
        "\"AKIA[0-9A-Z]{16}\"",
        "grep -rn 'BEGIN RSA PRIVATE KEY' .",
        "if \"-----BEGIN PRIVATE KEY-----\" in text: raise",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "-----BEGIN RSA PRIVATE KEY-----\n<your key here>\n-----END RSA PRIVATE KEY-----",
        "The file has a line -----BEGIN OPENSSH PRIVATE KEY----- and one -----END OPENSSH PRIVATE KEY-----.",
        "BEGIN = '-----BEGIN PRIVATE KEY-----'\nEND = '-----END PRIVATE KEY-----'\ndef armour(body):\n    return BEGIN",
        "key = f\"-----BEGIN PRIVATE KEY-----\\n{body}\\n-----END PRIVATE KEY-----\"",
        "headers = {\"Authorization\": f\"Bearer {token}\"}",
        "headers[\"Authorization\"] = \"Bearer \" + access_token_v2",
        "-H \"Authorization: Bearer $TOKEN\"",
        "-H 'Authorization: Bearer <token>'",
        "Authorization: Bearer YOUR_TOKEN_HERE",
        "Authorization: Basic <base64 of user:password>",
        "WWW-Authenticate: Basic realm=\"Restricted area 51\"",
        "Basic authentication is not allowed",
        "Authorization: AWS4-HMAC-SHA256 Credential=...",
        "curl -u \"$USER:$PASSWORD\" https://api.invalid",
        "curl -u user:password https://api.invalid",
        "docker run -u 1000:1000 --rm alpine",
        "chown -R app:app /srv; su -u postgres:postgres",
        "postgres://user:password@localhost:5432/db",
        "postgres://postgres:postgres@localhost/test",
        "postgresql://$USER:$PASS@$HOST/$DB",
        "mysql://{user}:{password}@{host}/{db}",
        "redis://localhost:6379/0",
        "mongodb://<user>:<password>@host/db",
        "amqp://guest:guest@localhost:5672/",
        "https://user:pass@example.com/path",
        "ssh://git@github.com:22/a/b.git",
        "git@github.com:a/b.git",
        "https://registry.npmjs.org/@scope/name/-/name-1.2.3.tgz",
        "http://localhost:3000/?email=a@b.invalid",
        "See http://127.0.0.1:8080, or mail ops2@b.invalid",
        "ftp://anonymous@ftp.invalid/pub/a1",
        "npm config set //registry.npmjs.org/:_authToken ${NPM_TOKEN}",
        "//registry.npmjs.org/:_authToken=${NPM_TOKEN}",
        "//npm.pkg.github.com/:_authToken=YOUR_TOKEN",
        "const a={token:e.token,password:t,secret:!0,apiKey:n(12),accessToken:r?r.key1:\"\"}",
        "function t(e,t){return e.password===t.password2&&(e.token=t)}",
        "!function(e){e.secret=e.secret||{},e.secret.v1=function(){}}(window);",
        "var KEYS={Enter:13,Escape:27},key=\"ArrowLeft\",e=t.key",
        "<input type=\"password\" name=\"password\" autocomplete=\"current-password\">",
        "<label for=\"password1\">Password</label>",
        "document.querySelector('#password1')",
        "page.fill('#password', user.password1)",
        "expect(page.getByLabel('Password')).toBeVisible()",
        "assert token == expected_token2",
        "assert response.json() == {\"token\": ANY}",
        "if token != other.token2: raise Mismatch",
        "password is None or len(password) < 12",
        "CREATE TABLE users (id int, password varchar(60), token uuid)",
        "SELECT password, token FROM users WHERE id = 12345678",
        "ALTER ROLE app WITH PASSWORD :'db_password1'",
        "\"password\": {\"type\": \"string\", \"minLength\": 12}",
        "\"token\": \"string\", \"secret\": \"string\"",
        "password: { type: String, required: true, select: false }",
        "secret: { type: 'string', format: 'uuid4' }",
        "token: z.string().min(32)",
        "@api_key.required(scope=\"read:v1\")",
        "private_key = serialization.load_pem_private_key(data)",
        "private_key_path=~/.ssh/id_ed25519",
        "ssh_private_key: ~/.ssh/id_rsa4096",
        "public_key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5'",
        "primary_key=user_id2",
        "key=lambda x: x[1]",
        "sort_key: created_at_2",
        "partition_key = \"tenant#1234567890\"",
        "keyboard_key: F12",
        "foreign_key: accounts.id2",
        "access: read",
        "secrets: inherit",
        "use_secret2 = true",
        "auth_key_id=key-2024-01",
        "from secrets import token_hex as token16",
        "import { token2 } from './tokens'",
        "passwords = load(\"passwords-2024.txt\")",
        "pass",
        "pass: 12 fail: 0 skip: 3",
        "PASS=134 FAIL=0",
        "bypass=abc12345",
        "compass: 359.75deg",
        "cancellation_token = source.token1",
        "csrf_token: {{ csrf_token() }}",
        "csrfmiddlewaretoken=abc123def456ghi789jkl",
        "[redacted:github-token]",
        "API_KEY=[redacted:secret]",
        'password = "[redacted:password]"',
        "postgres://u:[redacted:url-password]@h/db",
        "Authorization: Bearer [redacted:authorization]",
    ]  # fmt: skip


def _words() -> list[str]:
    """Prose, and placeholders as documents have them."""
    return [
        "Set your password before you log in.",
        "The password is incorrect.",
        "The password is base64-encoded and the token is a JWT.",
        "The password was changed 3 times in 2024.",
        "The token is 64 characters long; the secret is 32 bytes.",
        "The token is sha256-hashed, the password is argon2id.",
        "password: at least 12 characters, 1 digit",
        "Password: 8-16 characters",
        "token: the access token, see RFC 6750",
        "secret: what the server knows",
        "Passwords: see chapter 12.",
        "Secret: yes. Token: no. Password: maybe2",
        "I forgot my password. What now?",
        "verify: pass",
        "chk 01 pass: pytest -q",
        "auth-refactor/02: done, verify pass",
        "A key is sk-..., an older one sk_live_...",
        "export OPENAI_API_KEY=sk-...",
        "export ANTHROPIC_API_KEY=sk" + "-ant-...",
        "OPENAI_API_KEY=sk" + "-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "GITHUB_TOKEN=gh" + "p_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "ghp_...",
        "tokens that begin with gh" + "p_, gho_ and github" + "_pat_",
        "a key id such as AK" + "IAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPx" + "RfiCYEXAMPLEKEY",
        "AIza... is a Google key",
        "xoxb-your-token-here",
        "SLACK_TOKEN=xo" + "xb-xxxxxxxxxxxx-xxxxxxxxxxxx",
        "https://hooks.slack" + ".com/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
        "https://hooks.slack" + ".com/services/...",
        "API_KEY=<your-key>",
        "API_KEY=<YOUR_API_KEY>",
        "api_key: YOUR_API_KEY_HERE",
        "api_key = \"your-api-key-1\"",
        "token: your_token",
        "password: changeme",
        "password=CHANGE_ME_1",
        "password=********",
        "password: xxxxxxxx",
        "secret: \"...\"",
        "token = 'abc...xyz1'",
        "secret = 'insert-secret-here'",
        "client_secret: \"replace-me-2\"",
        "DB_PASSWORD=password",
        "DB_PASSWORD=postgres",
        "POSTGRES_PASSWORD: example",
        "password: test",
        "password = \"test1234\"",
        "token = \"test-token-1\"",
        "api_key=\"dummy-key-123\"",
        "secret=\"fake_secret_42\"",
        "\"access_token\": \"access_token_2\"",
        "\"token\": \"tokens.errors.expired2\"",
        "title: \"Password reset 2\"",
        "\"password\": \"Enter your password, 8 or more\"",
        "placeholder=\"Password (8+)\"",
        "call +49 30 901820 or 1-800-555-0199",
        "phone: (555) 010-9999",
        "version 1.2.3-rc.4+build.567",
        "python 3.12.1, node v20.11.0, git 2.43.0",
        "2026-11-21T06:12:00.123456Z",
        "20261121-0612-auth-review",
        "ISBN 978-3-16-148410-0",
        "IBAN DE00 1234 5678 9012 3456 00 is not ours to judge",
        "192.168.178.1 2001:db8::8a2e:370:7334 52:54:00:12:34:56",
        "C:\\Users\\uma\\AppData\\Local\\Temp\\x1",
        "/usr/lib/python3.12/site-packages/token_utils/secret_key.py:123",
        "tests/test_password_reset.py::test_token_2[param1] PASSED",
        "FAILED tests/test_auth.py::test_secret - AssertionError: assert 401 == 200",
        "feature/token-refresh-2",
        "risk-adjusted, task-based, disk-oriented, ask-forgiveness",
        "sk-estonia-2024 is a branch",
        "hf_hub_download, npm_config_registry, npm_package_version",
        "key-value-store-2024-backup",
        "the shape [redacted:<rule>] stands for a secret",
        "sleep 60; token bucket: 100 per second; secret santa",
        "jwt: header.payload.signature",
        "eyJ is how every JWT begins",
        "Bearer tokens are sent in a header",
        "Bearer authentication-with-token-exchange",
    ]  # fmt: skip


def _files() -> list[str]:
    """Whole files and outputs."""
    request = (
        "---\nrelay: 4\nid: 01\nfrom: claude\nto: codex\n---\n\nFix the token refresh.\n\n"
        "---\nReply: .relay/auth/01.res.md\nFormat:\n  ---\n  relay: 4\n  re: 01\n  from: codex\n  to: claude\n"
        "  status: done | error\n  verify: pass | fail | skip\n  ---\n  {your response}\n"
    )
    return [
        request,
        "---\nrelay: 4\nre: 01\nfrom: codex\nto: claude\nstatus: done\nverify: pass\n---\n\nRefreshed the token twice.\n",
        "```python\ndef password(token: str) -> str:\n    return token\n```\n",
        "diff --git a/auth.py b/auth.py\n@@ -1,3 +1,3 @@\n-token = None\n+token: str = load_token(path)\n",
        "def check(password: str, hashed: bytes) -> bool:\n    return bcrypt.checkpw(password.encode(), hashed)\n",
        "services:\n  db:\n    image: postgres:16\n    environment:\n      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD}\n",
        "[tool.x]\ntoken = { env = \"X_TOKEN\" }\nsecret-file = \"secrets/x1\"\n",
        "........................................................... [100%]\n128 passed in 3.21s\n",
        "  1 error: password2 is not defined (no-undef)\n",
        '{"type":"thread.started","thread_id":"' + uuid() + '"}\n{"type":"turn.started"}\n',
        '{"type":"system","subtype":"init","session_id":"' + uuid() + '","apiKeySource":"none"}\n',
        '{"usage":{"input_tokens":7,"cache_read_input_tokens":15034,"output_tokens":9},"total_cost_usd":0.01}\n',
    ]  # fmt: skip
