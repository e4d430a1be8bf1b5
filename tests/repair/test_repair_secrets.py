"""Keys, tokens and passwords; and what only shows how they look."""

from __future__ import annotations

import pytest

from curation.repair import PiiParams, find

BODY = "MIIEpAIBAAKCAQEA7Xq9vTz3LkWm2RcYb8nHsFd5JpQu1GxEo4iVaKtZyNwMhCrS" * 2
PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{BODY}\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJ1aWQiOjI3Mzg0OTUxfQ.Qm27xLp84RzTn3VbKw95HcYdJf61SgUe"


def found(text: str) -> list[tuple[str, str]]:
    return [(span.type, text[span.start : span.end]) for span in find(text, PiiParams())]


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("key AKIAQ7WZ3MX5KD2RT8NB leaked", [("api_key", "AKIAQ7WZ3MX5KD2RT8NB")]),
        ("密钥是sk-Qm27xLp84RzTn3VbKw95HcYd，请查", [("api_key", "sk-Qm27xLp84RzTn3VbKw95HcYd")]),
        ("sk-proj-Qm27xLp84RzTn3VbKw95HcYd_aa", [("api_key", "sk-proj-Qm27xLp84RzTn3VbKw95HcYd_aa")]),
        ("ghp_Qm27xLp84RzTn3VbKw95HcYdJf61SgUe0aZq", [("api_key", "ghp_Qm27xLp84RzTn3VbKw95HcYdJf61SgUe0aZq")]),
        ("github_pat_11Qm27xLp84RzTn3VbKw95", [("api_key", "github_pat_11Qm27xLp84RzTn3VbKw95")]),
        ("xoxb-27384951-Qm27xLp84Rz", [("api_key", "xoxb-27384951-Qm27xLp84Rz")]),
        ("AIzaSyQm27xLp84RzTn3VbKw95HcYdJf61SgUe0", [("api_key", "AIzaSyQm27xLp84RzTn3VbKw95HcYdJf61SgUe0")]),
        ('api_key = "q7Wz3mX5kD2rT8nBv6Lp1Jc9"', [("api_key", "q7Wz3mX5kD2rT8nBv6Lp1Jc9")]),
        (
            "aws_secret_access_key=Qm27xLp84RzTn3VbKw95HcYdJf61SgUe0aZq7Wz3",
            [("api_key", "Qm27xLp84RzTn3VbKw95HcYdJf61SgUe0aZq7Wz3")],
        ),
        (f"token: {JWT}", [("token", JWT)]),
        ("Authorization: Bearer q7Wz3mX5kD2rT8nBv6Lp1Jc9", [("token", "q7Wz3mX5kD2rT8nBv6Lp1Jc9")]),
        (f"见下：\n{PEM}\n完", [("private_key", PEM)]),
        ("password=Tq7#mZ2p", [("password", "Tq7#mZ2p")]),
        ('{"password": "Tq7#mZ2p"}', [("password", "Tq7#mZ2p")]),
        ("My password is Tq7mZ2p9, do not tell.", [("password", "Tq7mZ2p9")]),
        ("数据库密码：Tq7#mZ2p。", [("password", "Tq7#mZ2p")]),
        ("密码是 Tq7mZ2p9，别外传", [("password", "Tq7mZ2p9")]),
        ("mysql://root:Tq7mZ2px@db.kestrelyard.net:3306", [("password", "Tq7mZ2px")]),
    ],
)
def test_found(text: str, want: list[tuple[str, str]]) -> None:
    assert found(text) == want


@pytest.mark.parametrize(
    "text",
    [
        "sk-xxxxxxxxxxxxxxxxxxxxxxxx, sk-your-api-key-goes-here-please, sk-...",
        "export OPENAI_API_KEY=YOUR_API_KEY",
        "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
        "password=os.environ['DB_PASS']; password = getpass.getpass(); password: str",
        "password = hash_password(pw2); self.password = user.password1",
        "password=<your password>, password: ******, password=${DB_PASS}, password={{ pw1 }}",
        "Password123 and password: password1 are weak; 密码：123456",
        "密码是您的生日，请修改；密码: 至少8位",
        "Generate a strong password: rT8$jLpZ",
        "为您生成的随机密码：aB3#fG6&kL9@",
        "task-scheduling-is-a-long-hyphenated-word, risk-assessment-frameworks-2024",
        "commit 3f786850e387550fdab836ed7e6dc881de23001b",
        "https://user:password@host.example/path, redis://default:@localhost",
        "The key is to read the token carefully; a keyword is no secret.",
    ],
)
def test_not_found(text: str) -> None:
    assert found(text) == []
