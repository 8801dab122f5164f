"""Access tokens: JWTs of the API, valid for minutes. Their account is read from the register at each request.

Only EdDSA is accepted, whatever a token's header says. The kid names the key; issuer, audience and expiry are required.
"""

from datetime import datetime, timedelta

import jwt

from lending_pipelines.portal.auth.signing_keys import SigningKeys

VALID = timedelta(minutes=15)
AUDIENCE = "lending-api"

_ALGORITHM = "EdDSA"
_TYPE = "at+jwt"
_CLOCK_SKEW = timedelta(seconds=30)
_REQUIRED = ["exp", "iat", "nbf", "iss", "aud", "sub", "fam", "jti"]
_LONGEST = 4096
"""The maximum number of letters of a token."""


class TokenRefused(Exception):
    """A token is not accepted. The message says why, for the client."""


def access_token(keys: SigningKeys, issuer: str, account_id: str, family_id: str, jti: str, now: datetime) -> str:
    """A new access token of a family."""
    kid, key = keys.signing()
    claims = {
        "iss": issuer,
        "aud": AUDIENCE,
        "sub": account_id,
        "fam": family_id,
        "jti": jti,
        "iat": now,
        "nbf": now,
        "exp": now + VALID,
    }
    return jwt.encode(claims, key, _ALGORITHM, headers={"kid": kid, "typ": _TYPE})


def family_of(keys: SigningKeys, issuer: str, token: str) -> tuple[str, str]:
    """The account and the family of an access token. Raises TokenRefused."""
    try:
        if len(token) > _LONGEST:
            raise TokenRefused("the token is too long")
        header = jwt.get_unverified_header(token)
        key = keys.verifying(str(header.get("kid", "")))
        if key is None or header.get("typ") != _TYPE:
            raise TokenRefused("the token was not signed by this portal, or its key is no longer used")
        claims = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            audience=AUDIENCE,
            issuer=issuer,
            leeway=_CLOCK_SKEW,
            options={"require": _REQUIRED, "strict_aud": True},
        )
    except jwt.ExpiredSignatureError:
        raise TokenRefused("the token is expired: use the refresh token") from None
    except jwt.PyJWTError as error:
        raise TokenRefused(f"the token is not valid: {error}") from None
    return str(claims["sub"]), str(claims["fam"])
